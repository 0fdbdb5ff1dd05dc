"""What operators may read of the ledger: the attributes that have no secrets.

What requests ask, with their secrets, is in another table; an earlier version stored it here, as
`request`, which is not in `ATTRIBUTES`. What AWS's own messages repeat of them is concealed before
it is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from instance_bundle.methods import Bundle
from instance_bundle.request import RequestKey
from instance_bundle.state import items
from instance_bundle.state.records import Record
from instance_bundle.state.table import Item

ATTRIBUTES = (
    *("resource", "item", "expires"),
    # of a request
    *("request_type", "physical_id", "sent", "is_dated", "first_receipt", "deadline"),
    *("generation", "lease_until", "begun", "due", "hinted_at", "version", "undelivered"),
    *("target", "attempted_at", "attempts", "task", "accepted", "told", "answer"),
    *("superseded", "ended", "settled", "evidence", "confirmed", "doubt"),
    # of a bundle, its tombstone, and the claim of its location
    *("bundle", "leaving", "released", "unseen", "owner"),
)
"""The names of the attributes to read, all of them: what is here needs them."""

Custody = Literal["managed", "being removed", "released", "kept", "deleted"]
"""What became of a bundle.

- managed: CloudFormation manages it.
- being removed: its removal has begun.
- released: CloudFormation retained it, and then created the resource again.
- kept: its resource was deleted, and it was retained, as its claim shows.
- deleted: its resource was deleted; whether the bundle was removed is no longer stored.
"""


Images = Mapping[RequestKey, str]
"""The AMI that each request makes or made."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A bundle that a resource made.

    Attributes:
        key: the resource, and the request that made the bundle; the request's ID is empty if it is
            no longer stored.
        custody: what became of it.
        physical_id: what `Ref` returned; empty if it is no longer stored.
        s3_uri: where it is, or was; empty if that is no longer stored.
        bundle: all that is stored of it; None once its resource was deleted.
    """

    key: RequestKey
    custody: Custody
    physical_id: str
    s3_uri: str
    bundle: Bundle | None = None


def requests(found: Iterable[Item]) -> Sequence[Record]:
    """The requests among items that were read by `ATTRIBUTES`, in the order of their receipt.

    `Record.request` is None in each, since it was not read.
    """
    records = [items.record(item) for item in found if _kind(item) == "request"]
    return sorted(records, key=lambda record: (record.first_receipt, record.key.request_id))


def images(found: Iterable[Item]) -> Images:
    """The AMIs that are made, or were lately, among items that were read by `ATTRIBUTES`."""
    return {
        items.owner_key(item["owner"]): item["resource"].removeprefix("image|")
        for item in found
        if _kind(item) == "maker"
    }


def owned(found: Iterable[Item]) -> Sequence[Owned]:
    """The bundles among items that were read by `ATTRIBUTES`, by their resources."""
    everything = list(found)
    bundles = [_owned(item) for item in everything if _kind(item) == "bundle"]
    stored = {bundle.key for bundle in bundles}
    # A claim may be permanent shortly before its bundle is stored.
    busy = {record.key for record in requests(everything) if record.in_flight}
    claims = [_claimed(item) for item in everything if item["item"] == "claim"]
    kept = [claim for claim in claims if claim and claim.key not in stored | busy]
    return sorted(
        (*bundles, *kept), key=lambda each: (each.key.resource, each.physical_id, each.s3_uri)
    )


def _kind(item: Item) -> str:
    kind: str = item["item"].partition("|")[0]
    return kind


def _owned(item: Item) -> Owned:
    stack_id, _, logical_id = item["resource"].rpartition("|")
    if "bundle" not in item:
        physical_id = items.tombstone(item).physical_id
        return Owned(RequestKey(stack_id, logical_id, ""), "deleted", physical_id, "")
    bundle = items.decode_bundle(item["bundle"])
    key = RequestKey(stack_id, logical_id, bundle.made_by)
    where = bundle.attributes.get("S3Uri") or bundle.location.s3_uri
    return Owned(key, _custody(item), bundle.physical_id, where, bundle)


def _custody(item: Mapping[str, object]) -> Custody:
    if "leaving" in item:
        return "being removed"
    return "released" if "released" in item else "managed"


def _claimed(item: Item) -> Owned | None:
    """The bundle that a permanent claim protects."""
    if "expires" in item:
        return None
    s3_uri = item["resource"].removeprefix("location|")
    return Owned(items.owner_key(item["owner"]), "kept", "", s3_uri)
