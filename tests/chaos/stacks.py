"""CloudFormation's side: a stack with one bundle in it, and a sibling that may fail.

Where the bundle is given a new handle, a wait condition comes after it, and the stack goes on by
what that comes to. Its time begins once the bundle is answered. A handle that is not watched has no
condition: the stack goes on at once.

Each operation is a generator: it sends requests, yields until one is over, and goes on by what came
of it. What is sent when is told by the custom resource reference, and by what was seen of failed
updates: the ID of a FAILED answer becomes the resource's, and the rollback's Update carries it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from tests.chaos import handles
from tests.chaos.handles import Condition, Handle
from tests.chaos.world import World, new_id

ATTRIBUTES = {
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime", "ImageId"),
}
LIMIT = 4096
URL_SECONDS = 7200

Properties = Mapping[str, Any]


@dataclass(slots=True)
class Exchange:
    """A request, and what was answered to it.

    Attributes:
        invented: the resource's ID where no answer comes.
        bodies: each answer that arrived.
        taken: the answer that counts; None while there is none.
        open: whether CloudFormation waits for an answer.
    """

    event: Mapping[str, Any]
    sent: float
    timeout: int
    invented: str
    bodies: list[bytes] = field(default_factory=list)
    taken: Mapping[str, Any] | None = None
    open: bool = True

    @property
    def ends(self) -> float:
        return self.sent + self.timeout

    @property
    def has_come(self) -> bool:
        return self.taken is not None

    @property
    def succeeded(self) -> bool:
        return self.taken is not None and self.taken["Status"] == "SUCCESS"

    @property
    def handle(self) -> str | None:
        """The URL of the handle that a signal about this request goes to."""
        given: str | None = self.event["ResourceProperties"].get("CompletionHandle")
        before = self.event.get("OldResourceProperties", {}).get("CompletionHandle")
        return None if self.event["RequestType"] == "Delete" or given == before else given

    @property
    def given_up(self) -> float:
        """When its work is to have ended at the latest; epoch seconds."""
        if self.handle is None:
            return self.ends
        return self.sent + int(self.event["ResourceProperties"].get("CompletionTimeout", 43200))

    @property
    def is_accepted(self) -> bool:
        """Whether what was answered is that the work goes on."""
        if self.taken is None or self.handle is None or not self.succeeded:
            return False
        return bool(self.taken["Data"]["State"] != "complete")

    @property
    def physical_id(self) -> str:
        """The resource's ID after the request."""
        if self.taken is not None:
            answered: str = self.taken["PhysicalResourceId"]
            return answered
        return self.invented

    def answer(self, body: bytes) -> int:
        """Take an answer as S3 and CloudFormation do; the HTTP status."""
        if time.time() >= self.sent + URL_SECONDS:
            return 403
        self.bodies.append(body)
        if self.open and self.taken is None:
            self.taken = json.loads(body)
        return 200


Awaited = Exchange | Condition
"""What an operation waits for."""

Operation = Generator[Awaited, None, None]


@dataclass
class Stack:
    """A stack. `physical_id` and `properties` are the resource's, as CloudFormation has them.

    image_id: of the AMI that the last success told of, by answer or by signal.
    watched: whether a new handle is waited for.
    """

    world: World
    name: str
    properties: Properties = field(default_factory=dict)
    physical_id: str | None = None
    image_id: str = ""
    status: str = "NEW"
    exchanges: list[Exchange] = field(default_factory=list)
    handles: dict[str, Handle] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    watched: bool = True
    gone_at: float | None = None
    _operation: Operation | None = None
    _waits_for: Awaited | None = None
    _interrupted_at: float | None = None
    _unheard: Exchange | None = None

    def __post_init__(self) -> None:
        self.stack_id = (
            f"arn:aws:cloudformation:us-east-1:123456789012:stack/{self.name}/{new_id()}"
        )

    @property
    def rests(self) -> bool:
        return self._operation is None

    @property
    def is_creating(self) -> bool:
        return self.status == "CREATE_IN_PROGRESS"

    @property
    def is_updatable(self) -> bool:
        complete = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return self.status in complete and self._unheard is None

    # What a user, or a sibling, does

    def create(self, properties: Properties, sibling_fails: float | None = None) -> None:
        self._begin(self._create(properties), "CREATE_IN_PROGRESS", sibling_fails)

    def update(
        self,
        properties: Properties,
        sibling_fails: float | None = None,
        *,
        delete_first: bool = False,
    ) -> None:
        operation = self._update(properties, delete_first=delete_first)
        self._begin(operation, "UPDATE_IN_PROGRESS", sibling_fails)

    def delete(self) -> None:
        """Delete the stack; a creation that is under way is given up."""
        physical_id, properties = self.physical_id, self.properties
        if self._operation is not None and self._waits_for is not None:
            self._waits_for.open = False
        if self._operation is not None and isinstance(self._waits_for, Exchange):
            physical_id = self._waits_for.invented
            properties = self._waits_for.event["ResourceProperties"]
        self._begin(self._delete(physical_id, properties, "DELETE"), "DELETE_IN_PROGRESS", None)

    def hear(self, handle: Handle) -> None:
        """Know of an image whose end a handle was told, with nobody waiting for it."""
        if self._unheard is None or self._unheard.handle != handle.url or not handle.signals:
            return
        if handle.signals[0].succeeds:
            self.image_id = handle.signals[0].data["ImageId"]
            self._unheard = None

    def new_handle(self) -> str:
        """The URL of a handle that no bundle of the stack was given before."""
        handle = Handle(self.stack_id, f"Handle{len(self.handles) + 1}", time.time())
        self.handles[handle.url] = handle
        return handle.url

    # CloudFormation

    def _begin(self, operation: Operation, status: str, interrupted: float | None) -> None:
        self.status = status
        self._operation = operation
        self._interrupted_at = None if interrupted is None else time.time() + interrupted
        self._go_on()

    def wakes(self) -> float | None:
        """When CloudFormation has something to do with the stack; None if it has not."""
        if self._waits_for is None or self._operation is None:
            return None
        if self._waits_for.has_come:
            return time.time()
        ends = self._waits_for.ends
        return ends if self._interrupted_at is None else min(ends, self._interrupted_at)

    def wake(self) -> None:
        wakes = self.wakes()
        if self._waits_for is not None and wakes is not None and wakes <= time.time():
            self._waits_for.open = False
            self._go_on()

    def _is_made(self, exchange: Exchange) -> Generator[Awaited, None, bool]:
        """Wait for the answer, then for the signal if there is a condition for it; whether all that
        the operation has to do succeeded."""
        yield exchange
        self.physical_id = exchange.physical_id
        if exchange.taken is None or not exchange.succeeded:
            return False
        image_id = exchange.taken["Data"]["ImageId"]
        self._unheard = None
        if exchange.handle is not None and not self.watched:
            self._unheard = exchange
            self.hear(self.handles[exchange.handle])
        elif exchange.handle is not None:
            handle = self.handles[exchange.handle]
            condition = Condition(handle, time.time() + exchange.given_up - exchange.sent)
            self.conditions.append(condition)
            yield condition
            if condition.signal is None or not condition.succeeded:
                return False
            image_id = condition.signal.data["ImageId"]
        if self._sibling_has_failed():
            return False
        self.image_id = image_id
        return True

    def _sibling_has_failed(self) -> bool:
        """A sibling that fails later than the request fails after it."""
        fails = self._interrupted_at is not None
        self._interrupted_at = None
        return fails

    def _go_on(self) -> None:
        assert self._operation is not None
        try:
            self._waits_for = next(self._operation)
        except StopIteration:
            self._operation = self._waits_for = None

    def _create(self, properties: Properties) -> Operation:
        self.properties = properties
        exchange = self._send("Create", properties)
        if (yield from self._is_made(exchange)):
            self.status = "CREATE_COMPLETE"
            return
        self._interrupted_at = None
        yield from self._delete(exchange.physical_id, properties, "ROLLBACK")

    def _update(self, properties: Properties, *, delete_first: bool) -> Operation:
        old_id, old, old_image_id = self.physical_id, self.properties, self.image_id
        exchange = self._send("Update", properties, old, old_id)
        exchange.invented = old_id or ""
        if (yield from self._is_made(exchange)):
            self.properties = properties
            if self.physical_id != old_id:
                yield from self._clean_up(old_id, old)
            self.status = "UPDATE_COMPLETE"
            return
        self._interrupted_at = None
        if delete_first and self.physical_id != old_id:
            yield from self._clean_up(self.physical_id, properties)
        yield from self._roll_back(old, properties)
        if self.physical_id != old_id and self.status == "UPDATE_ROLLBACK_COMPLETE":
            self.violations.append(f"Rolled back from {old_id} to {self.physical_id}")
        if self.image_id != old_image_id and self.status == "UPDATE_ROLLBACK_COMPLETE":
            self.violations.append(f"Rolled back from {old_image_id} to {self.image_id}")

    def _roll_back(self, properties: Properties, failed: Properties) -> Operation:
        failed_id = self.physical_id
        back = self._send("Update", properties, failed, failed_id)
        back.invented = failed_id or ""
        yield back
        self.physical_id = back.physical_id
        if back.taken is None or not back.succeeded:
            self.status = "UPDATE_ROLLBACK_FAILED"
            return
        self.image_id = back.taken["Data"]["ImageId"]
        self._unheard = None
        if back.physical_id != failed_id:
            yield from self._clean_up(failed_id, failed)
        self.status = "UPDATE_ROLLBACK_COMPLETE"

    def _clean_up(self, physical_id: str | None, properties: Properties) -> Operation:
        yield self._send("Delete", properties, physical_id=physical_id)

    def _delete(self, physical_id: str | None, properties: Properties, what: str) -> Operation:
        self.physical_id, self.properties = physical_id, properties
        exchange = self._send("Delete", properties, physical_id=physical_id)
        exchange.invented = physical_id or ""
        yield exchange
        self.status = f"{what}_COMPLETE" if exchange.succeeded else f"{what}_FAILED"
        if exchange.succeeded:
            self.gone_at = time.time()
            self.violations += [
                f"{task.bundle_id} runs on in {self.name}, which is gone"
                for task in self.world.tasks(self.properties["Storage"]["S3"]["Bucket"])
                if task.storage.prefix.startswith(f"{self.name}/") and not task.view.ended
            ]
            requests = [exchange.event["RequestId"] for exchange in self.exchanges]
            self.violations += [
                f"{work} runs on in {self.name}, which is gone"
                for work in self.world.images.at_work(requests)
            ]

    def _send(
        self,
        request_type: str,
        properties: Properties,
        old: Properties | None = None,
        physical_id: str | None = None,
    ) -> Exchange:
        request_id = new_id()
        now = time.time()
        signed = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        key = quote(f"{self.stack_id}|Bundle|{request_id}", safe="")
        event: dict[str, Any] = {
            "RequestType": request_type,
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
            "ResponseURL": f"https://bucket.example/{key}?X-Amz-Date={signed}&X-Amz-Signature=ab",
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": "Bundle",
            "ResourceType": "Custom::InstanceBundle",
            "ResourceProperties": properties,
        }
        if physical_id is not None:
            event["PhysicalResourceId"] = physical_id
        if old is not None:
            event["OldResourceProperties"] = old
        exchange = Exchange(
            event=event,
            sent=now,
            timeout=int(properties.get("ServiceTimeout", 3600)),
            invented=f"{self.name}-Bundle-{request_id[:12].upper()}",
        )
        self.exchanges.append(exchange)
        self.world.send(event)
        return exchange


def receive(stacks: Mapping[str, Stack], url: str, body: bytes) -> int:
    """Take what is PUT to a ResponseURL, or to a handle; the HTTP status."""
    if url.startswith(handles.PATH):
        stack_id, logical_id = handles.place(url)
        stack = stacks[stack_id]
        handle = next(h for h in stack.handles.values() if h.logical_id == logical_id)
        status = handle.take(body)
        stack.hear(handle)
        return status
    key = unquote(url.rpartition("/")[2].partition("?")[0])
    stack_id, _, request_id = key.split("|")
    stack = stacks[stack_id]
    for exchange in stack.exchanges:
        if exchange.event["RequestId"] == request_id:
            stack.violations += _problems(exchange.event, body)
            return exchange.answer(body)
    return 403


def _problems(event: Mapping[str, Any], body: bytes) -> Iterator[str]:
    """What CloudFormation would not take, and what is not promised."""
    if len(body) > LIMIT:
        yield f"An answer of {len(body)} bytes"
    answer = json.loads(body)
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if answer[name] != event[name]:
            yield f"{name} is not the request's"
    if not answer["PhysicalResourceId"]:
        yield "An answer without PhysicalResourceId"
    if answer["Status"] not in ("SUCCESS", "FAILED"):
        yield f"Status {answer['Status']}"
    if answer["Status"] == "FAILED" and not answer["Reason"]:
        yield "FAILED without a Reason"
    if answer["Status"] == "SUCCESS":
        yield from _problems_of_success(event, answer)


def _problems_of_success(event: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    if event["RequestType"] != "Delete":
        if set(answer["Data"]) != ATTRIBUTES:
            yield "Not every attribute is answered"
    elif answer["PhysicalResourceId"] != event["PhysicalResourceId"]:
        yield "A Delete answered another ID"
