"""Claims: which request writes, or has written, to a location in S3."""

from collections.abc import Callable

from boto3.dynamodb.conditions import Attr, ConditionBase

from instance_bundle.errors import ConditionFailed
from instance_bundle.request import Location, RequestKey
from instance_bundle.state import items
from instance_bundle.state.items import claim_key
from instance_bundle.state.table import NEW, Item, Table
from instance_bundle.telemetry import logger


def owned_by(key: RequestKey) -> ConditionBase:
    """The condition that a request has a claim."""
    return Attr("owner").eq(items.owner(key))


class Locations:
    """The claims. Each call may raise `PassingFault` or `Denied`.

    Args:
        table: the ledger's.
        clock: epoch seconds.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def claim(
        self, location: Location, key: RequestKey, instead_of: RequestKey | None = None
    ) -> RequestKey | None:
        """Claim a location for a request, until the claim expires or a bundle there is put.

        Args:
            location: where the request writes.
            key: the request's key.
            instead_of: a request whose claim no longer protects anything, and may be replaced.

        Returns:
            The key of another request that has the claim; None if this one has it now.
        """
        expires = int(self._clock() + items.KEPT)
        return self._claim(location, key, {"expires": expires}, instead_of)

    def keep(self, location: Location, key: RequestKey, stored_as: str = "") -> None:
        """Make a claim permanent, unless another request has it.

        Args:
            location: what is claimed.
            key: the request's key.
            stored_as: the S3 URI of what it protects, if that has another name.
        """
        named = {"stored_as": stored_as} if stored_as not in ("", location.s3_uri) else {}
        if self._claim(location, key, named) is not None:
            logger.warning("Another request has claimed the bundle's location")

    def release(self, location: Location, key: RequestKey) -> None:
        """Delete the claim of a location, if this request has it."""
        try:
            self._table.delete(claim_key(location), owned_by(key))
        except ConditionFailed:
            return

    def _claim(
        self,
        location: Location,
        key: RequestKey,
        others: Item,
        instead_of: RequestKey | None = None,
    ) -> RequestKey | None:
        owner = items.owner(key)
        # Expired items may still be there for days.
        free = NEW | owned_by(key) | Attr("expires").lt(int(self._clock()))
        if instead_of is not None:
            free |= owned_by(instead_of)
        claim = {**claim_key(location), "format": items.FORMAT, "owner": owner, **others}
        try:
            self._table.put(claim, free)
        except ConditionFailed as failed:
            return items.owner_key(failed.item["owner"]) if failed.item else None
        return None
