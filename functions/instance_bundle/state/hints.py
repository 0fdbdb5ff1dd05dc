"""Which request an event of EC2's or S3's is about, and that its next poll is due.

The claim of a bundle's location names the request that makes the bundle. An AMI has no location
until it is stored, so it has an item of its own, and so has a bucket whose events arrive.
"""

from collections.abc import Callable

from boto3.dynamodb.conditions import Attr

from instance_bundle.errors import ConditionFailed, InstanceBundleError
from instance_bundle.request import Location, RequestKey
from instance_bundle.state import items
from instance_bundle.state.items import (
    UNDELIVERED,
    claim_key,
    image_key,
    millis,
    request_key,
    sender_key,
)
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import Record
from instance_bundle.state.table import THERE, Item, Table
from instance_bundle.telemetry import logger

_APART = 1
"""Seconds between two events about a request that have an effect."""
_LATELY = 86_400
"""Seconds for which a bucket that has sent an event is expected to send others."""


class Hints:
    """What the ledger has for events. Each call but the `expect` ones may raise `PassingFault` or
    `Denied`.

    Args:
        table: the ledger's.
        clock: epoch seconds.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def expect_image(self, image_id: str, maker: Record) -> None:
        """Store which request makes an AMI. Without it the AMI's events are dropped, and polls find
        what they are about."""
        bucket = maker.target.location.bucket if maker.target else ""
        made = {**image_key(image_id), "owner": items.owner(maker.key), "bucket": bucket}
        self._put(made, items.KEPT, "The AMI's events will be dropped")

    def expect_object(self, maker: Record) -> Record:
        """Store with a request whether its bucket is expected to send an event, since it has sent
        one lately; returns the record as it is then."""
        if maker.target is None:
            return maker
        try:
            sender = self._read(sender_key(maker.target.location.bucket))
            if sender is None or sender["expires"] < self._clock():
                return maker
            expected = {"event_expected": True}
            stored = self._table.update(request_key(maker.key), expected, THERE)
            return items.record(stored, maker.request)
        except InstanceBundleError as error:
            logger.warning("No event of the bucket's is expected", why=str(error))
            return maker

    def maker(self, image_id: str, bucket: str) -> RequestKey | None:
        """The request that makes an AMI; if there is a bucket, and stores it there."""
        item = self._read(image_key(image_id))
        if item is None or bucket not in ("", item["bucket"]):
            return None
        return items.owner_key(item["owner"])

    def claimant(self, location: Location) -> RequestKey | None:
        """The request that writes, or wrote, to a location."""
        item = self._read(claim_key(location))
        return items.owner_key(item["owner"]) if item is not None else None

    def receive(self, key: RequestKey, bucket: str) -> Poll | None:
        """Store that an event about a request has come, and make its next poll due.

        Args:
            key: of the request.
            bucket: that sent the event; empty if EC2 did.

        Returns:
            The poll to send; None if there is nothing to poll for, since the request has been
            answered or another event has just come, or if it is being driven: then its process
            sends the poll.
        """
        now = self._clock()
        is_open = UNDELIVERED & Attr("answer").not_exists()
        is_first = Attr("hinted_at").not_exists() | Attr("hinted_at").lte(millis(now - _APART))
        hinted = {"hinted_at": millis(now)}
        try:
            found = items.record(self._table.update(request_key(key), hinted, is_open & is_first))
        except ConditionFailed:
            return None
        poll = self.make_due(Poll(key, found.generation)) if found.lease_until <= now else None
        if bucket:
            self._put(sender_key(bucket), _LATELY, "No more events of the bucket's are expected")
        return poll

    def make_due(self, poll: Poll) -> Poll | None:
        """Make a poll due now; returns it, or None if it is no longer the next one."""
        is_next = Attr("generation").between(poll.generation - 1, poll.generation)
        try:
            self._table.update(request_key(poll.key), {"due": millis(self._clock())}, is_next)
        except ConditionFailed:
            return None
        return poll

    def _put(self, item: Item, seconds: float, otherwise: str) -> None:
        """Put an item that polling can do without."""
        try:
            expires = int(self._clock() + seconds)
            self._table.put({**item, "format": items.FORMAT, "expires": expires})
        except InstanceBundleError as error:
            logger.warning(otherwise, why=str(error))

    def _read(self, key: Item) -> Item | None:
        return next(iter(self._table.query(key["resource"])), None)
