"""What operators may read of the ledger: the attributes that have no secrets.

What requests ask, with their secrets, is in another table; an earlier version stored it here, as
`request`, which is not in `ATTRIBUTES`. What AWS's own messages repeat of them is concealed before
it is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from instance_bundle.aws import images
from instance_bundle.methods import BUCKET_TAG, Bundle, object_uri
from instance_bundle.request import Location, RequestKey
from instance_bundle.state import items
from instance_bundle.state.records import Cleanup, Progress, Record, Resource
from instance_bundle.state.table import Item

ATTRIBUTES = (
    *("resource", "item", "expires"),
    # of a request
    *("request_type", "physical_id", "sent", "is_dated", "first_receipt", "deadline"),
    *("generation", "lease_until", "begun", "due", "hinted_at", "version", "undelivered"),
    *("target", "attempted_at", "attempts", "task", "accepted", "told", "answer"),
    *("superseded", "ended", "settled", "evidence", "confirmed", "doubt"),
    # of a bundle, its tombstone, and the claim of its location
    *("bundle", "leaving", "released", "unseen", "owner", "stored_as"),
)
"""The names of the attributes to read, all of them: what is here needs them."""

MAKER_TAG = images.REQUEST_TAG
"""The tag that all AMIs and snapshots have that requests have made: the request's ID."""
STACK_TAG, STACK_NAME_TAG = images.STACK_TAG, images.STACK_NAME_TAG
"""The tags with the ID and the name of the request's stack."""

Custody = Literal[
    "managed", "being removed", "unfinished", "released", "kept", "deleted", "unrecorded"
]
"""What became of a bundle.

- managed: CloudFormation manages it.
- being removed: its removal has begun.
- unfinished: it is being made, or that has failed and is not cleaned up.
- released: CloudFormation retained it, and then created the resource again.
- kept: its resource was deleted, and it was retained, as its claim shows.
- deleted: its resource was deleted; whether the bundle was removed is no longer stored.
- unrecorded: it is not in the ledger; only the tags of an AMI or a snapshot show it.
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
        s3_uri: where it is, or was; empty if nothing was stored, or that is not known.
        is_object: it is one object with this URI, and not a manifest with parts.
        on_delete: what its Delete does; empty if it is not known, or no longer counts.
        image_ids: the AMIs of it that are stored, the current one first.
        snapshot_ids: those of the current AMI.
    """

    key: RequestKey
    custody: Custody
    physical_id: str = ""
    s3_uri: str = ""
    is_object: bool = False
    on_delete: str = ""
    image_ids: tuple[str, ...] = ()
    snapshot_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of a location.

    Attributes:
        location: what is claimed.
        owner: the request that has it.
        s3_uri: what it protects: the location, or the object that EC2 named.
        is_object: it protects one object with this URI, and not a manifest with parts.
        is_permanent: its bundle was finished; else the claim expires.
    """

    location: Location
    owner: RequestKey
    s3_uri: str
    is_object: bool
    is_permanent: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What the tags of an AMI or a snapshot say.

    Attributes:
        key: the request that made it, and the resource.
        bucket: of an AMI that is to be stored as an object, the bucket; else empty.
    """

    key: RequestKey
    bucket: str = ""

    def object_uri(self, image_id: str) -> str:
        """The S3 URI of the object that the AMI with this ID is stored as; empty if it is not."""
        return object_uri(image_id, self.bucket) if self.bucket else ""


def made(tags: Mapping[str, str]) -> Made | None:
    """What the tags of an AMI or a snapshot say; None if they are not those of this application."""
    if MAKER_TAG not in tags:
        return None
    logical_id = tags.get(images.LOGICAL_ID_TAG, "")
    key = RequestKey(tags.get(STACK_TAG, ""), logical_id, tags[MAKER_TAG])
    return Made(key, tags.get(BUCKET_TAG, ""))


def location(s3_uri: str) -> Location:
    """The location with this URI, `s3://bucket/prefix`."""
    bucket, _, prefix = s3_uri.removeprefix("s3://").partition("/")
    return Location(bucket, prefix)


def requests(found: Iterable[Item]) -> Sequence[Record]:
    """The requests among items that were read by `ATTRIBUTES`, in the order of their receipt.

    `Record.request` is None in each, since it was not read.
    """
    records = [items.record(item) for item in found if _kind(item) == "request"]
    return sorted(records, key=lambda record: (record.first_receipt, record.key.request_id))


def resource(found: Iterable[Item]) -> Resource:
    """All that is known about a resource, as the ledger returns it, from its items that were read
    by `ATTRIBUTES`; what its requests asked for is left out."""
    everything = list(found)
    bundles = [item for item in everything if _kind(item) == "bundle"]
    finished = [item for item in bundles if "bundle" in item]
    return Resource(
        requests=tuple(requests(everything)),
        bundles=tuple(_bundle(item) for item in finished if "released" not in item),
        released=tuple(_bundle(item) for item in finished if "released" in item),
        tombstones=tuple(items.tombstone(item) for item in bundles if "bundle" not in item),
    )


def images_made(found: Iterable[Item]) -> Images:
    """The AMIs that are made, or were lately, among items that were read by `ATTRIBUTES`."""
    return {
        items.owner_key(item["owner"]): item["resource"].removeprefix("image|")
        for item in found
        if _kind(item) == "maker"
    }


def claims(found: Iterable[Item]) -> Sequence[Claim]:
    """The claims among items that were read by `ATTRIBUTES`."""
    return [_claim(item) for item in found if item["item"] == "claim"]


def owned(found: Iterable[Item]) -> Sequence[Owned]:
    """The bundles among items that were read by `ATTRIBUTES`, by their resources."""
    everything = list(found)
    bundles = [_owned(item) for item in everything if _kind(item) == "bundle"]
    stored = {bundle.key for bundle in bundles}
    gone = {(each.key.resource, each.physical_id) for each in bundles if each.custody == "deleted"}
    records = requests(everything)
    unfinished = [
        _unfinished(record)
        for record in records
        if _is_unfinished(record)
        and record.key not in stored
        and (record.key.resource, record.task.id if record.task else None) not in gone
    ]
    # A claim may be permanent shortly before its bundle is stored.
    busy = {record.key for record in records if record.in_flight} | {u.key for u in unfinished}
    kept = [
        Owned(claim.owner, "kept", "", claim.s3_uri, is_object=claim.is_object)
        for claim in claims(everything)
        if claim.is_permanent and claim.owner not in stored | busy
    ]
    return sorted(
        (*bundles, *unfinished, *kept),
        key=lambda each: (each.key.resource, each.physical_id, each.s3_uri),
    )


def why_claimed(claim: Claim, found: Iterable[Item]) -> str:
    """What the ledger has a claim for, as part of a sentence; empty if there is nothing.

    Args:
        claim: the claim.
        found: all items of the ledger, read by `ATTRIBUTES`.
    """
    everything = list(found)
    for record in requests(everything):
        if record.key == claim.owner and record.may_write:
            work = f"task {record.task.id}" if record.task else "its work"
            return f"{work} may still write there, and is not cleaned up"
    for item in everything:
        if _kind(item) == "bundle" and "bundle" in item:
            bundle = _bundle(item)
            if bundle.location == claim.location:
                return f"the ledger has the bundle {bundle.physical_id} there, {_custody(item)}"
    return ""


def _kind(item: Item) -> str:
    kind: str = item["item"].partition("|")[0]
    return kind


def _bundle(item: Item) -> Bundle:
    return items.decode_bundle(item["bundle"])


def _owned(item: Item) -> Owned:
    stack_id, _, logical_id = item["resource"].rpartition("|")
    if "bundle" not in item:
        physical_id = items.tombstone(item).physical_id
        return Owned(RequestKey(stack_id, logical_id, ""), "deleted", physical_id)
    bundle = _bundle(item)
    custody, attributes = _custody(item), bundle.attributes
    s3_uri = attributes.get("S3Uri") or bundle.location.s3_uri
    current_first = (attributes.get("ImageId", ""), *reversed(bundle.image_ids))
    return Owned(
        RequestKey(stack_id, logical_id, bundle.made_by),
        custody,
        bundle.physical_id,
        "" if bundle.is_dry_run else s3_uri,
        is_object=s3_uri != bundle.location.s3_uri,
        on_delete=bundle.on_delete if custody != "released" else "",
        image_ids=tuple(dict.fromkeys(each for each in current_first if each)),
        snapshot_ids=_ids(attributes.get("SnapshotIds", "")),
    )


def _custody(item: Item) -> Custody:
    if "leaving" in item:
        return "being removed"
    return "released" if "released" in item else "managed"


def _is_unfinished(record: Record) -> bool:
    """Whether a request has begun to make something, which is neither finished nor cleaned up."""
    return (
        record.work >= Progress.ATTEMPTED
        and not record.succeeded
        and record.cleanup != Cleanup.CLEANED_UP
    )


def _unfinished(record: Record) -> Owned:
    task, target = record.task, record.target
    if task is None or target is None:
        return Owned(record.key, "unfinished")
    is_object = target.method == "StoreImage"
    return Owned(
        record.key,
        "unfinished",
        task.id,
        object_uri(task.id, target.location.bucket) if is_object else target.location.s3_uri,
        is_object=is_object,
        image_ids=(task.image_id,) if task.image_id else (),
        snapshot_ids=_ids(task.snapshot_ids),
    )


def _claim(item: Item) -> Claim:
    s3_uri: str = item["resource"].removeprefix("location|")
    return Claim(
        location(s3_uri),
        items.owner_key(item["owner"]),
        item.get("stored_as", s3_uri),
        is_object="stored_as" in item,
        is_permanent="expires" not in item,
    )


def _ids(joined: str) -> tuple[str, ...]:
    return tuple(each for each in joined.split(",") if each)
