"""Finished bundles, and the tombstones of those that are gone."""

from collections.abc import Callable
from dataclasses import replace

from instance_bundle.methods import Bundle
from instance_bundle.request import RequestKey
from instance_bundle.state import items
from instance_bundle.state.items import bundle_key
from instance_bundle.state.locations import Locations
from instance_bundle.state.records import Tombstone
from instance_bundle.state.table import THERE, Table


class Bundles:
    """The bundles of resources. Each call may raise `PassingFault` or `Denied`.

    Args:
        table: the ledger's.
        locations: the claims of their locations.
        clock: epoch seconds.
    """

    def __init__(self, table: Table, locations: Locations, clock: Callable[[], float]) -> None:
        self._table = table
        self._locations = locations
        self._clock = clock

    def put(self, key: RequestKey, bundle: Bundle) -> None:
        """Store a finished bundle; it stays until its Delete, and so does its claim."""
        if not bundle.is_dry_run:
            maker = replace(key, request_id=bundle.made_by)
            self._locations.keep(bundle.location, maker, bundle.attributes.get("S3Uri", ""))
        self._table.put(
            {
                **bundle_key(key, bundle.physical_id),
                "format": items.FORMAT,
                "bundle": items.encode_bundle(bundle),
            }
        )

    def has(self, key: RequestKey, physical_id: str) -> bool:
        """Whether a bundle is stored, and its removal has not begun."""
        sought = bundle_key(key, physical_id)["item"]
        found = [item for item in self._table.query(key.resource) if item["item"] == sought]
        return any("bundle" in item and "leaving" not in item for item in found)

    def about_to_remove(self, key: RequestKey, physical_id: str) -> None:
        """Store that the removal of a bundle begins, which may take a while."""
        self._table.update(bundle_key(key, physical_id), {"leaving": True}, THERE)

    def release(self, key: RequestKey, physical_id: str) -> None:
        """Store that CloudFormation retained a bundle, and no longer manages it."""
        self._table.update(bundle_key(key, physical_id), {"released": True}, THERE)

    def leave_tombstone(self, key: RequestKey, tombstone: Tombstone) -> None:
        """Store a tombstone; it replaces the bundle's item, if there is one."""
        self._table.put(
            {
                **bundle_key(key, tombstone.physical_id),
                "format": items.FORMAT,
                "sent": tombstone.sent,
                "unseen": tombstone.unseen,
                "expires": int(self._clock() + items.KEPT),
            }
        )
