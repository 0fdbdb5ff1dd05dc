"""Which request an event of EC2's or S3's is about, and that its next poll is due.

The claim of a bundle's location names the request that makes the bundle. An AMI has no location
until it is stored, so it has an item of its own.
"""

from collections.abc import Callable

from boto3.dynamodb.conditions import Attr

from instance_bundle.errors import ConditionFailed, InstanceBundleError
from instance_bundle.methods import Task
from instance_bundle.request import Location, RequestKey
from instance_bundle.state import items
from instance_bundle.state.items import claim_key, image_key, millis, request_key
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import Record
from instance_bundle.state.table import Item, Table
from instance_bundle.telemetry import logger

_SOON = 1
"""Seconds; a poll that is due so soon need not come sooner."""


class Hints:
    """What the ledger has for events. Each call but `expect` may raise `PassingFault` or `Denied`.

    Args:
        table: the ledger's.
        clock: epoch seconds.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def expect(self, task: Task, maker: Record) -> None:
        """Store which request makes an AMI, if the task is one. Without it the AMI's events are
        dropped, and polls find what they are about."""
        if not task.image_id or maker.target is None:
            return
        item = {
            **image_key(task.image_id),
            "format": items.FORMAT,
            "owner": items.owner(maker.key),
            "bucket": maker.target.location.bucket,
            "expires": int(self._clock() + items.KEPT),
        }
        try:
            self._table.put(item)
        except InstanceBundleError as error:
            logger.warning("The AMI's events will be dropped", why=str(error))

    def maker(self, image_id: str, bucket: str | None) -> RequestKey | None:
        """The request that makes an AMI; if there is a bucket, and stores it there."""
        item = self._read(image_key(image_id))
        if item is None or bucket not in (None, item["bucket"]):
            return None
        return items.owner_key(item["owner"])

    def claimant(self, location: Location) -> RequestKey | None:
        """The request that writes, or wrote, to a location."""
        item = self._read(claim_key(location))
        return items.owner_key(item["owner"]) if item is not None else None

    def make_due(self, key: RequestKey) -> Poll | None:
        """Make the next poll of a request due now.

        Returns:
            The poll to send; None if the request has been answered, is due soon, or is being
            driven.
        """
        now = self._clock()
        waits = (
            Attr("request").exists()
            & Attr("answer").not_exists()
            & Attr("due").gt(millis(now + _SOON))
            & Attr("lease_until").lte(millis(now))
        )
        hinted = {"due": millis(now), "hinted_at": millis(now)}
        try:
            item = self._table.update(request_key(key), hinted, waits)
        except ConditionFailed:
            return None
        return Poll(key, int(item["generation"]))

    def _read(self, key: Item) -> Item | None:
        return next(iter(self._table.query(key["resource"])), None)
