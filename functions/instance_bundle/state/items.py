"""The ledger's items: their keys and attributes, also as earlier versions wrote them.

| `resource` (hash key)     | `item` (range key)     | what it is                                |
|---------------------------|------------------------|-------------------------------------------|
| `<stack ID>|<logical ID>` | `request|<request ID>` | a request, its progress and its answer    |
| `<stack ID>|<logical ID>` | `bundle|<physical ID>` | a finished bundle, or its tombstone       |
| `location|<S3 URI>`       | `claim`                | the request that writes, or wrote, there; |
|                           |                        | `stored_as`, where EC2 named the object   |
| `image|<AMI ID>`          | `maker`                | the request that makes, or made, the AMI  |
| `bucket|<name>`           | `sender`               | that the bucket sent an event lately      |

Attributes that this version does not know are ignored: a later version wrote them, which is being
deployed, or was rolled back.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from boto3.dynamodb.conditions import Attr

from instance_bundle.methods import Bundle, Task
from instance_bundle.request import Location, Request, RequestKey, Target
from instance_bundle.state.outcome import Answer, Done, Failed
from instance_bundle.state.records import (
    Announcement,
    Cleanup,
    Doubt,
    Evidence,
    LastEvent,
    Record,
    Tombstone,
    dated,
)
from instance_bundle.state.table import Item

FORMAT = 1
"""Version of the items' format."""
UNDELIVERED = Attr("undelivered").exists() | Attr("request").exists()
"""A request's answer is to be delivered; an earlier version stored only `request`, its text."""
KEPT = 7 * 24 * 3600
"""Seconds from a request's deadline until its item expires: longer than Lambda retries an event."""

T = TypeVar("T")

_BUNDLES_NAMES = {"identity": "naming", "etag": "fingerprint"}
"""The first version's names of a bundle's fields: it reads them while this one is deployed."""


def request_key(key: RequestKey) -> dict[str, str]:
    """The key of a request's item."""
    return {"resource": key.resource, "item": f"request|{key.request_id}"}


def bundle_key(key: RequestKey, physical_id: str) -> dict[str, str]:
    """The key of a bundle's item, and of its tombstone."""
    return {"resource": key.resource, "item": f"bundle|{physical_id}"}


def claim_key(location: Location) -> dict[str, str]:
    """The key of a location's claim."""
    return {"resource": f"location|{location.s3_uri}", "item": "claim"}


def image_key(image_id: str) -> dict[str, str]:
    """The key of the item that says which request makes an AMI."""
    return {"resource": f"image|{image_id}", "item": "maker"}


def sender_key(bucket: str) -> dict[str, str]:
    """The key of the item that says that a bucket sent an event lately."""
    return {"resource": f"bucket|{bucket}", "item": "sender"}


def owner(key: RequestKey) -> str:
    """The request that has a claim or makes an AMI, as text for that item."""
    return f"{key.resource}|{key.request_id}"


def owner_key(text: str) -> RequestKey:
    """The key of a request, from the text that `owner` made."""
    resource, _, request_id = text.rpartition("|")
    stack_id, _, logical_id = resource.rpartition("|")
    return RequestKey(stack_id, logical_id, request_id)


def digest(properties: Any) -> str:
    """A digest of properties: equal for equal properties only."""
    text = json.dumps(properties, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def millis(seconds: float) -> int:
    """Epoch seconds as items have them: in milliseconds."""
    return int(seconds * 1000)


def encode(value: Any) -> str:
    """A dataclass as JSON."""
    return json.dumps(asdict(value))


def decode(kind: type[T], text: str) -> T:
    """The dataclass, from the text that `encode` made, in this version or an earlier one."""
    return _built(kind, json.loads(text))


def encode_task(task: Task) -> str:
    """A task without EC2's error message, which may repeat secrets.

    The message is in the answer, where secrets are concealed.
    """
    return encode(replace(task, error_code="", error_message=""))


def encode_answer(answer: Answer) -> str:
    """An answer as JSON, with its status."""
    status = "SUCCESS" if isinstance(answer, Done) else "FAILED"
    return json.dumps({"status": status, **asdict(answer)})


def decode_answer(text: str) -> Answer:
    """The answer, from the text that `encode_answer` made."""
    stored = json.loads(text)
    succeeded = stored["status"] == "SUCCESS"
    return _built(Done, stored) if succeeded else _built(Failed, stored)


def encode_bundle(bundle: Bundle) -> str:
    """A bundle as JSON that the first version can read."""
    stored = asdict(bundle)
    for name, before in _BUNDLES_NAMES.items():
        stored[before] = stored.pop(name)
    if bundle.is_dry_run:
        stored["location"] = None
    return json.dumps(stored)


def decode_bundle(text: str) -> Bundle:
    """The bundle, from the text that `encode_bundle` made."""
    stored = json.loads(text)
    for name, before in _BUNDLES_NAMES.items():
        stored[name] = stored.pop(before)
    attributes = stored["attributes"]
    stored["location"] = stored["location"] or {
        "bucket": attributes["Bucket"],
        "prefix": attributes["Prefix"],
    }
    stored["image_ids"] = tuple(stored.get("image_ids", ()))
    return _built(Bundle, stored)


def encode_announcement(announcement: Announcement) -> str:
    """An announcement as text: equal for equal ones."""
    return f"{announcement.state}|{encode_bundle(announcement.bundle)}"


def decode_announcement(text: str) -> Announcement:
    """The announcement, from the text that `encode_announcement` made."""
    state, _, bundle = text.partition("|")
    return Announcement("removed" if state == "removed" else "complete", decode_bundle(bundle))


def tombstone(item: Item) -> Tombstone:
    """The tombstone in an item."""
    return Tombstone(item["item"].removeprefix("bundle|"), item["sent"], item["unseen"])


def record(item: Item, request: Request | None = None) -> Record:
    """The record in an item.

    Args:
        item: the ledger's.
        request: what CloudFormation asked, where it was read; an earlier version stored it with the
            record.
    """
    if "request" in item:
        request = Request.parse(json.loads(item["request"]))
    is_undelivered = "undelivered" in item or "request" in item
    stack_id, _, logical_id = item["resource"].rpartition("|")
    first_receipt = float(item["first_receipt"]) / 1000
    return Record(
        request=request if is_undelivered else None,
        key=RequestKey(stack_id, logical_id, item["item"].partition("|")[2]),
        request_type=item["request_type"],
        physical_id=item["physical_id"],
        sent=item["sent"] or dated(first_receipt),
        is_dated=bool(item.get("is_dated", item["sent"])),
        first_receipt=first_receipt,
        deadline=float(item["deadline"]) / 1000,
        generation=int(item["generation"]),
        lease_until=float(item["lease_until"]) / 1000,
        begun=int(item.get("begun", 0)),
        due=float(item.get("due", 0)) / 1000,
        hinted_at=float(item.get("hinted_at", 0)) / 1000,
        event_expected=bool(item.get("event_expected")),
        version=int(item.get("version", 0)),
        target=_of(item, "target", Target),
        identity=item.get("identity", ""),
        on_delete=item.get("on_delete", ""),
        attempted_at=float(item["attempted_at"]) / 1000 if item.get("attempted_at") else None,
        attempts=int(item.get("attempts", 0)),
        task=_of(item, "task", Task),
        acceptance=_of(item, "accepted", Done),
        acceptance_sent="told" in item,
        answer=decode_answer(item["answer"]) if "answer" in item else None,
        superseded="superseded" in item,
        cleanup=_cleanup(item),
        doubt=_of(item, "doubt", Doubt),
        evidence=_of(item, "evidence", Evidence),
        confirmed=item.get("confirmed", ""),
        asked=item.get("asked", ""),
        asked_before=item.get("asked_before", ""),
        announcements=tuple(map(decode_announcement, sorted(item.get("announcements", ())))),
        last_event=_of(item, "last_event", LastEvent),
        undelivered=is_undelivered,
    )


def attributes(record: Record) -> dict[str, Any]:
    """The facts of a record that the driving process writes, as attributes of its item.

    An attribute that is to be absent is None.
    """
    return {
        "target": record.target and encode(record.target),
        "identity": record.identity or None,
        "on_delete": record.on_delete or None,
        "attempted_at": millis(record.attempted_at) if record.attempted_at else None,
        "attempts": record.attempts or None,
        "task": record.task and encode_task(record.task),
        "doubt": record.doubt and encode(record.doubt),
        "evidence": record.evidence and encode(record.evidence),
        "confirmed": record.confirmed or None,
        "superseded": record.superseded or None,
        "ended": record.cleanup >= Cleanup.CANCEL_REQUESTED or None,
        "settled": record.cleanup == Cleanup.CLEANED_UP or None,
    }


def _cleanup(item: Item) -> Cleanup:
    if "settled" in item:
        return Cleanup.CLEANED_UP
    return Cleanup.CANCEL_REQUESTED if "ended" in item else Cleanup.NONE


def _of(item: Item, name: str, kind: type[T]) -> T | None:
    return decode(kind, item[name]) if name in item else None


def _built(kind: type[T], stored: Mapping[str, Any]) -> T:
    hints: Mapping[str, Any] = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(**{name: _value(hints[name], stored[name]) for name in hints if name in stored})


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _value(hint: Any, value: Any) -> Any:
    kinds = [kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)]
    return _built(kinds[0], value) if kinds and isinstance(value, Mapping) else value  # type: ignore[arg-type]
