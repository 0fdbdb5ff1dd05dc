"""What is known of requests, bundles and locations, in one DynamoDB table.

| `resource` (hash key)     | `item` (range key)     | what it is                                |
|---------------------------|------------------------|-------------------------------------------|
| `<stack ID>|<logical ID>` | `request|<request ID>` | a request: what was asked, done, answered |
| `<stack ID>|<logical ID>` | `bundle|<physical ID>` | a finished bundle, or its tombstone       |
| `location|<S3 URI>`       | `claim`                | the request that writes, or wrote, there  |

A request is driven by one process at a time: whoever drives it holds its lease, and the lease
ends by itself with that process's time. Its generation tells the poll message that counts: an
older one is dropped. A request that a later one has superseded starts nothing any more.

Bundles, and the claims of their locations, stay until their Delete. All else expires.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from instance_bundle import aws, budget
from instance_bundle.errors import Busy, Denied, Stale, Superseded
from instance_bundle.methods import Bundle, Task
from instance_bundle.request import Location, Request, RequestKey, Target
from instance_bundle.state.history import History
from instance_bundle.state.outcome import Answer, Done, Failed
from instance_bundle.state.records import Doubt, Record, Tombstone, dated
from instance_bundle.telemetry import logger

FORMAT = 1
"""Version of the items' format."""

_REQUESTS_KEPT = 7 * 24 * 3600
"""Seconds that a request's item outlives its deadline: longer than any event is delivered again."""

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Ledger:
    """The table. Each call may raise `PassingFault` or `Denied`."""

    def __init__(self, table: str, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def open(self, request: Request, lease: float) -> tuple[Record, bool]:
        """Put a request's item, on the condition that it is new, or read the one that is there.

        Args:
            request: what CloudFormation asks.
            lease: seconds for which this process will drive it.

        Returns:
            The record, and whether this process is the one that drives it.
        """
        now = self._clock()
        signed = request.signed_at(now)
        timeout = request.timeout(accepted=False).seconds
        deadline = budget.deadline(request.sent_at(now), timeout)
        item = {
            **_request_key(request.key),
            "format": FORMAT,
            "request": json.dumps(request.as_event()),
            "request_type": request.request_type,
            "physical_id": request.physical_id,
            "asked": _digest(request.properties),
            "asked_before": _digest(request.old_properties),
            "sent": dated(signed) if signed else "",
            "first_receipt": _millis(now),
            "deadline": _millis(deadline),
            "generation": 0,
            "lease_until": _millis(now + lease),
            "expires": int(deadline + _REQUESTS_KEPT),
        }
        try:
            with aws.calling("dynamodb:PutItem"):
                aws.dynamodb().put_item(
                    TableName=self._table,
                    Item=_wire(item),
                    ConditionExpression="attribute_not_exists(#item)",
                    ExpressionAttributeNames={"#item": "item"},
                )
        except Denied as denied:
            if not _condition_failed(denied):
                raise
            stored = self._get(_request_key(request.key))
            if stored is None:
                raise
            return _record(stored), False
        return _record(item), True

    def read(self, key: RequestKey) -> Record | None:
        """A request's record, if there is one."""
        item = self._get(_request_key(key))
        return _record(item) if item else None

    def take(self, key: RequestKey, generation: int, lease: float) -> Record:
        """Take the lease of a request, for the poll message of this generation, and count that an
        invocation has begun with it.

        A message counts until the request's answer has been delivered, and unless a later
        generation has been taken or told of. One that is ahead was
        sent by a process that ended before it could tell: the chain goes on with it.

        Raises:
            Busy: another process has it.
            Stale: the message no longer counts.
        """
        return self._take(key, generation, lease, begun=1)

    def take_over(self, key: RequestKey, generation: int, lease: float) -> Record:
        """Take the lease of a request whose polls have failed; otherwise as `take`."""
        return self._take(key, generation, lease, begun=0)

    def _take(self, key: RequestKey, generation: int, lease: float, *, begun: int) -> Record:
        now = self._clock()
        try:
            updated = self._update(
                _request_key(key),
                "SET #lease = :until, #generation = :generation ADD #begun :begun",
                "#generation <= :generation AND #lease <= :now AND attribute_exists(#request)",
                {
                    "#lease": "lease_until",
                    "#generation": "generation",
                    "#request": "request",
                    "#begun": "begun",
                },
                {
                    ":until": _millis(now + lease),
                    ":generation": generation,
                    ":now": _millis(now),
                    ":begun": begun,
                },
                "ALL_NEW",
            )
        except Denied as denied:
            if not _condition_failed(denied):
                raise
            record = self.read(key)
            if record is None or record.request is None or record.generation > generation:
                raise Stale(f"generation {generation}") from None
            raise Busy(record.lease_until - now) from None
        return _record(updated)

    def carry_on(self, record: Record, task: Task | None, generation: int) -> None:
        """Write down how far the work is, let the poll of this generation be next, end the lease.

        Where another process has advanced the request since, nothing is changed: its view is newer.
        """
        sets = "SET #generation = :next, #lease = :none, #begun = :none"
        values: dict[str, Any] = {":next": generation, ":none": 0, ":this": record.generation}
        names = {"#generation": "generation", "#lease": "lease_until", "#begun": "begun"}
        if task is not None:
            sets += ", #task = :task"
            names["#task"] = "task"
            values[":task"] = _task_json(task)
        try:
            self._update(_request_key(record.key), sets, "#generation = :this", names, values)
        except Denied as denied:
            if not _condition_failed(denied):
                raise

    def intend(self, record: Record, target: Target) -> None:
        """Write down what is to be bundled, and where to, before anything is touched for it."""
        self._update(
            _request_key(record.key),
            "SET #target = :target",
            "attribute_exists(#item)",
            {"#target": "target", "#item": "item"},
            {":target": json.dumps(asdict(target))},
        )

    def attempt(self, record: Record) -> None:
        """Write down that a call which may start the work is about to be made.

        Raises:
            Superseded: a later request ends this one's work; it must not start any.
        """
        try:
            self._update(
                _request_key(record.key),
                "SET #at = :now",
                "attribute_exists(#item) AND attribute_not_exists(#superseded)",
                {"#at": "attempted_at", "#item": "item", "#superseded": "superseded"},
                {":now": _millis(self._clock())},
            )
        except Denied as denied:
            if not _condition_failed(denied):
                raise
            raise Superseded from None

    def attempt_was_nothing(self, record: Record) -> None:
        """Take back an attempt that surely started nothing."""
        self._update(
            _request_key(record.key),
            "SET #at = :never",
            "attribute_exists(#item)",
            {"#at": "attempted_at", "#item": "item"},
            {":never": 0},
        )

    def started(self, record: Record, task: Task) -> None:
        """Write down the work that a call started."""
        self._update(
            _request_key(record.key),
            "SET #task = :task",
            "attribute_exists(#item)",
            {"#task": "task", "#item": "item"},
            {":task": _task_json(task)},
        )

    def doubt(self, record: Record, doubt: Doubt) -> None:
        """Write down what was refused, and is asked again."""
        self._update(
            _request_key(record.key),
            "SET #doubt = :doubt",
            "attribute_exists(#item)",
            {"#doubt": "doubt", "#item": "item"},
            {":doubt": json.dumps(asdict(doubt))},
        )

    def accept(self, record: Record, accepted: Done) -> Done:
        """Store the answer by which the work is accepted, before it is sent.

        From here on the work has the time that its handle waits.

        Returns:
            The answer to send: the one stored first, if there was one already.
        """
        request = record.request
        assert request is not None  # noqa: S101  it has not been answered yet
        deadline = budget.deadline(record.sent_at, request.timeout(accepted=True).seconds)
        updated = self._update(
            _request_key(record.key),
            "SET #accepted = if_not_exists(#accepted, :accepted), #deadline = :deadline, "
            "#expires = :expires",
            "attribute_exists(#item)",
            {
                "#accepted": "accepted",
                "#deadline": "deadline",
                "#expires": "expires",
                "#item": "item",
            },
            {
                ":accepted": json.dumps(_answer_json(accepted)),
                ":deadline": _millis(deadline),
                ":expires": int(deadline + _REQUESTS_KEPT),
            },
            "ALL_NEW",
        )
        return _accepted(json.loads(updated["accepted"]))

    def told(self, record: Record) -> None:
        """Write down that CloudFormation has heard that the work is accepted."""
        self._mark(record, "told")

    def supersede(self, record: Record) -> Record:
        """Have a request start nothing any more; the record as it is then."""
        return self._mark(record, "superseded")

    def end(self, record: Record) -> None:
        """Write down that the end of a request's work is asked for."""
        self._mark(record, "ended")

    def settle(self, record: Record) -> None:
        """Write down that nothing of a request's work is left to end or to clean up."""
        self._mark(record, "settled")

    def answer(self, key: RequestKey, answer: Answer) -> tuple[Record, Answer]:
        """Store the answer before it is sent.

        Returns:
            The record as it is then, and the answer to send: the one stored first, if there was one
            already.
        """
        updated = self._update(
            _request_key(key),
            "SET #answer = if_not_exists(#answer, :answer)",
            "attribute_exists(#item)",
            {"#answer": "answer", "#item": "item"},
            {":answer": json.dumps(_answer_json(answer))},
            "ALL_NEW",
        )
        return _record(updated), _answer(json.loads(updated["answer"]))

    def delivered(self, key: RequestKey) -> None:
        """Forget the request's text, with its secrets, now that its answer has arrived."""
        self._update(
            _request_key(key),
            "SET #lease = :none REMOVE #request",
            "attribute_exists(#item)",
            {"#lease": "lease_until", "#request": "request", "#item": "item"},
            {":none": 0},
        )

    def history(self, key: RequestKey) -> History:
        """All that is known of the resource that this request is about."""
        items = self._query(key)
        requests = [item for item in items if item["item"].startswith("request|")]
        bundles = [item for item in items if item["item"].startswith("bundle|")]
        return History(
            requests=tuple(map(_record, requests)),
            bundles=tuple(_bundle(json.loads(i["bundle"])) for i in bundles if "bundle" in i),
            tombstones=tuple(_tombstone(item) for item in bundles if "bundle" not in item),
        )

    def claim(self, location: Location, key: RequestKey) -> bool:
        """Claim a location for a request, until it expires or a bundle there is kept.

        Returns:
            False where another request has it.
        """
        return self._claim(location, key, {"expires": int(self._clock() + _REQUESTS_KEPT)})

    def _claim(self, location: Location, key: RequestKey, expiry: Mapping[str, int]) -> bool:
        owner = _owner(key)
        item = {**_claim_key(location), "format": FORMAT, "owner": owner, **expiry}
        try:
            with aws.calling("dynamodb:PutItem"):
                aws.dynamodb().put_item(
                    TableName=self._table,
                    Item=_wire(item),
                    # Expired items may still be there for days.
                    ConditionExpression=(
                        "attribute_not_exists(#item) OR #owner = :owner OR #expires < :now"
                    ),
                    ExpressionAttributeNames={
                        "#item": "item",
                        "#owner": "owner",
                        "#expires": "expires",
                    },
                    ExpressionAttributeValues=_wire({":owner": owner, ":now": int(self._clock())}),
                )
        except Denied as denied:
            if not _condition_failed(denied):
                raise
            return False
        return True

    def release(self, location: Location, key: RequestKey) -> None:
        """Give a location up, if it is this request that has it."""
        try:
            with aws.calling("dynamodb:DeleteItem"):
                aws.dynamodb().delete_item(
                    TableName=self._table,
                    Key=_wire(_claim_key(location)),
                    ConditionExpression="#owner = :owner",
                    ExpressionAttributeNames={"#owner": "owner"},
                    ExpressionAttributeValues=_wire({":owner": _owner(key)}),
                )
        except Denied as denied:
            if not _condition_failed(denied):
                raise

    def keep(self, key: RequestKey, bundle: Bundle) -> None:
        """Write down a finished bundle; it stays until its Delete, and so does its claim."""
        if not bundle.is_dry_run and not self._claim(bundle.location, key, {}):
            logger.warning("Another request has claimed the bundle's location")
        item = {
            **_bundle_key(key, bundle.physical_id),
            "format": FORMAT,
            "bundle": json.dumps(_bundle_json(bundle)),
        }
        with aws.calling("dynamodb:PutItem"):
            aws.dynamodb().put_item(TableName=self._table, Item=_wire(item))

    def has_bundle(self, key: RequestKey, physical_id: str) -> bool:
        """Whether a bundle was kept, and nobody has begun to remove it."""
        item = self._get(_bundle_key(key, physical_id))
        return item is not None and "bundle" in item and "leaving" not in item

    def leave(self, key: RequestKey, physical_id: str) -> None:
        """Write down that a bundle is about to be removed, which may take a while."""
        self._update(
            _bundle_key(key, physical_id),
            "SET #leaving = :true",
            "attribute_exists(#item)",
            {"#leaving": "leaving", "#item": "item"},
            {":true": True},
        )

    def bury(self, key: RequestKey, tombstone: Tombstone) -> None:
        """Leave a tombstone, in the place of the bundle if there is one."""
        item = {
            **_bundle_key(key, tombstone.physical_id),
            "format": FORMAT,
            "sent": tombstone.sent,
            "unseen": tombstone.unseen,
            "expires": int(self._clock() + _REQUESTS_KEPT),
        }
        with aws.calling("dynamodb:PutItem"):
            aws.dynamodb().put_item(TableName=self._table, Item=_wire(item))

    def _mark(self, record: Record, mark: str) -> Record:
        try:
            updated = self._update(
                _request_key(record.key),
                "SET #mark = :true",
                "attribute_exists(#item)",
                {"#mark": mark, "#item": "item"},
                {":true": True},
                "ALL_NEW",
            )
        except Denied as denied:
            if not _condition_failed(denied):
                raise
            return record  # it has expired: nobody is at work on it
        return _record(updated)

    def _get(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        with aws.calling("dynamodb:GetItem"):
            response = aws.dynamodb().get_item(
                TableName=self._table, Key=_wire(key), ConsistentRead=True
            )
        item = response.get("Item")
        return item and _plain(item)

    def _query(self, key: RequestKey) -> list[dict[str, Any]]:
        with aws.calling("dynamodb:Query"):
            pages = (
                aws.dynamodb()
                .get_paginator("query")
                .paginate(
                    TableName=self._table,
                    ConsistentRead=True,
                    KeyConditionExpression="#resource = :resource",
                    ExpressionAttributeNames={"#resource": "resource"},
                    ExpressionAttributeValues=_wire({":resource": key.resource}),
                )
            )
            return [_plain(item) for page in pages for item in page["Items"]]

    def _update(
        self,
        key: Mapping[str, str],
        update: str,
        condition: str,
        names: Mapping[str, str],
        values: Mapping[str, Any],
        answer: Literal["NONE", "ALL_NEW"] = "NONE",
    ) -> dict[str, Any]:
        """Change an item; with `ALL_NEW`, what it is then."""
        with aws.calling("dynamodb:UpdateItem"):
            response = aws.dynamodb().update_item(
                TableName=self._table,
                Key=_wire(key),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_wire(values),
                ReturnValues=answer,
            )
        return _plain(response.get("Attributes", {}))


def _condition_failed(denied: Denied) -> bool:
    return denied.code == "ConditionalCheckFailedException"


def _request_key(key: RequestKey) -> dict[str, str]:
    return {"resource": key.resource, "item": f"request|{key.request_id}"}


def _bundle_key(key: RequestKey, physical_id: str) -> dict[str, str]:
    return {"resource": key.resource, "item": f"bundle|{physical_id}"}


def _owner(key: RequestKey) -> str:
    return f"{key.resource}|{key.request_id}"


def _claim_key(location: Location) -> dict[str, str]:
    return {"resource": f"location|{location.s3_uri}", "item": "claim"}


def _wire(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _digest(properties: Any) -> str:
    text = json.dumps(properties, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _doubt(stored: Mapping[str, Any]) -> Doubt:
    return Doubt(**stored)


def _millis(seconds: float) -> int:
    return int(seconds * 1000)


def _task_json(task: Task) -> str:
    """A task without EC2's words on its failure: they may repeat secrets, and stand in the answer
    where these are concealed."""
    return json.dumps(asdict(replace(task, error_code="", error_message="")))


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {"status": "SUCCESS" if isinstance(answer, Done) else "FAILED", **asdict(answer)}


def _answer(stored: Mapping[str, Any]) -> Answer:
    if stored["status"] == "SUCCESS":
        return _accepted(stored)
    return Failed(stored["physical_id"], stored["reason"])


def _accepted(stored: Mapping[str, Any]) -> Done:
    return Done(stored["physical_id"], stored["attributes"])


def _target(stored: Mapping[str, Any]) -> Target:
    return Target(**{**stored, "location": Location(**stored["location"])})


def _tombstone(item: Mapping[str, Any]) -> Tombstone:
    return Tombstone(item["item"].removeprefix("bundle|"), item["sent"], item["unseen"])


def _bundle_json(bundle: Bundle) -> dict[str, Any]:
    """As the first version wrote it, and reads it while this one is deployed."""
    return {
        "physical_id": bundle.physical_id,
        "made_by": bundle.made_by,
        "naming": bundle.identity,
        "location": None if bundle.is_dry_run else asdict(bundle.location),
        "fingerprint": bundle.etag,
        "attributes": dict(bundle.attributes),
    }


def _bundle(stored: Mapping[str, Any]) -> Bundle:
    attributes = stored["attributes"]
    at = stored["location"] or {"bucket": attributes["Bucket"], "prefix": attributes["Prefix"]}
    return Bundle(
        physical_id=stored["physical_id"],
        made_by=stored["made_by"],
        location=Location(**at),
        etag=stored["fingerprint"],
        identity=stored["naming"],
        attributes=attributes,
    )


def _record(item: Mapping[str, Any]) -> Record:
    stack_and_logical, _, _ = item["resource"].rpartition("|")
    return Record(
        request=Request.parse(json.loads(item["request"])) if "request" in item else None,
        key=RequestKey(
            stack_id=stack_and_logical,
            logical_id=item["resource"].rpartition("|")[2],
            request_id=item["item"].partition("|")[2],
        ),
        request_type=item["request_type"],
        physical_id=item["physical_id"],
        sent=item["sent"],
        first_receipt=float(item["first_receipt"]) / 1000,
        deadline=float(item["deadline"]) / 1000,
        generation=int(item["generation"]),
        lease_until=float(item["lease_until"]) / 1000,
        begun=int(item.get("begun", 0)),
        target=_target(json.loads(item["target"])) if "target" in item else None,
        attempted_at=float(item["attempted_at"]) / 1000 if item.get("attempted_at") else None,
        task=Task(**json.loads(item["task"])) if "task" in item else None,
        accepted=_accepted(json.loads(item["accepted"])) if "accepted" in item else None,
        told="told" in item,
        answer=_answer(json.loads(item["answer"])) if "answer" in item else None,
        superseded="superseded" in item,
        ended="ended" in item,
        settled="settled" in item,
        doubt=_doubt(json.loads(item["doubt"])) if "doubt" in item else None,
        asked=item.get("asked", ""),
        asked_before=item.get("asked_before", ""),
    )
