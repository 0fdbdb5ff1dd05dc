"""CloudFormation's side: a stack with one bundle in it, and a sibling that may fail.

Where the bundle is given a new handle, a wait condition comes after it, and the stack goes on by
what that comes to. Its time begins once the bundle is answered. A handle that is not watched has no
condition: the stack goes on at once.

Each operation is a generator: it sends requests, yields until one is over, and goes on by what came
of it. What is sent when is told by the custom resource reference, and by what was seen of failed
updates: the ID of a FAILED answer becomes the resource's, and the rollback's Update carries it.

A resource's policies say where no Delete is sent for it (AWS CloudFormation Template Reference,
DeletionPolicy attribute and UpdateReplacePolicy attribute). The engine of the sandbox has the same
rules; where it assumes something that no page says, so does this one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote

from tests.chaos import handles
from tests.chaos.custody import Custody
from tests.chaos.handles import Condition, Handle
from tests.chaos.world import World, new_id

ATTRIBUTES = {
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime", "ImageId"),
}
LIMIT = 4096
URL_SECONDS = 7200

Properties = Mapping[str, Any]

_OPERATIONS = {
    "CREATE_IN_PROGRESS": "CREATE_STACK",
    "UPDATE_IN_PROGRESS": "UPDATE_STACK",
    "DELETE_IN_PROGRESS": "DELETE_STACK",
}

Kept = Literal["Delete", "Retain", "RetainExceptOnCreate"]

Through = Literal["lambda", "sns"]

_TOKENS: Mapping[Through, str] = {
    "lambda": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
    "sns": "arn:aws:sns:us-east-1:123456789012:bundles",
}


@dataclass(frozen=True, slots=True)
class Policies:
    """What a template says about the deletion of the resource.

    Attributes:
        keeps_failed: whether `Retain` also concerns a resource whose creation has failed. No page
            says it; the engine of the sandbox retains it.
    """

    deletion: Kept = "Delete"
    replacement: Literal["Delete", "Retain"] = "Delete"
    keeps_failed: bool = False

    @property
    def keeps(self) -> bool:
        """Whether no Delete is sent when the resource is taken out, or its stack is deleted."""
        return self.deletion != "Delete"

    def keeps_new(self, *, succeeded: bool) -> bool:
        """Whether none is sent when the operation that created the resource is rolled back.

        succeeded: whether the resource was created.
        """
        return self.deletion == "Retain" and (succeeded or self.keeps_failed)

    @property
    def keeps_replaced(self) -> bool:
        """Whether none is sent for what was replaced."""
        return self.replacement == "Retain"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How CloudFormation's requests reach the function.

    Attributes:
        through: what the ServiceToken names.
        signature: version of the signature in ResponseURLs. Version 2 has no date of its own
            (Amazon S3 API Reference, Authenticating requests: query string, signature version 2).
    """

    through: Through = "lambda"
    signature: Literal[2, 4] = 4

    @property
    def service_token(self) -> str:
        """ARN of the function, or of the topic that it subscribes to."""
        return _TOKENS[self.through]

    def query(self, sent: float) -> str:
        """The query of a ResponseURL."""
        if self.signature == 2:
            expires = int(sent) + URL_SECONDS
            return f"AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires={expires}&Signature=ab"
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(sent))
        return f"X-Amz-Date={date}&X-Amz-Signature=ab"

    def payload(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the function is invoked with (AWS Lambda Developer Guide, Invoking Lambda functions
        with Amazon SNS notifications)."""
        if self.through == "lambda":
            return event
        notification = {
            "Type": "Notification",
            "MessageId": event["RequestId"],
            "TopicArn": self.service_token,
            "Subject": "AWS CloudFormation custom resource request",
            "Message": json.dumps(event),
        }
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": f"{self.service_token}:1",
            "Sns": notification,
        }
        return {"Records": [record]}


@dataclass(slots=True)
class Exchange:
    """A request, and what was answered to it.

    Attributes:
        payload: what the function is invoked with.
        invented: the resource's ID where no answer comes.
        bodies: each answer that arrived.
        taken: the answer that counts; None while there is none.
        open: whether CloudFormation waits for an answer.
        goes_back: whether it is the Update of a rollback.
        finds_place: whether nothing was at the prefix that it names when it was sent.
    """

    event: Mapping[str, Any]
    payload: Mapping[str, Any]
    sent: float
    timeout: int
    invented: str
    bodies: list[bytes] = field(default_factory=list)
    taken: Mapping[str, Any] | None = None
    open: bool = True
    goes_back: bool = False
    finds_place: bool = True

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


@dataclass(slots=True)
class Later:
    """A resource that comes after the bundle, at work. ends: epoch seconds."""

    ends: float
    open: bool = True

    @property
    def has_come(self) -> bool:
        return False


Awaited = Exchange | Condition | Later
"""What an operation waits for."""

Operation = Generator[Awaited, None, None]


@dataclass
class Stack:
    """A stack. `physical_id` and `properties` are the resource's, as CloudFormation has them.

    image_id: of the AMI that the last success told of, by answer or by signal.
    watched: whether a new handle is waited for.
    later: seconds that the resource after the bundle takes; None where there is none.
    later_fails: whether it fails then.
    phase: the stack's status as CloudFormation shows it; `status` is that of the operation.
    kept: the IDs of what was retained by a policy.
    left_at_work: whether a policy had CloudFormation forget work that may not have ended.
    """

    world: World
    name: str
    custody: Custody
    dialect: Dialect = field(default_factory=Dialect)
    logical_id: str = "Bundle"
    policies: Policies = field(default_factory=Policies)
    properties: Properties = field(default_factory=dict)
    physical_id: str | None = None
    image_id: str = ""
    status: str = "NEW"
    exchanges: list[Exchange] = field(default_factory=list)
    handles: dict[str, Handle] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    watched: bool = True
    later: float | None = None
    later_fails: bool = False
    phase: str = "NEW"
    kept: set[str] = field(default_factory=set)
    left_at_work: bool = False
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
        return self._is_complete and self.physical_id is not None and self._unheard is None

    @property
    def is_without(self) -> bool:
        """Whether the stack is there, and the resource is not in its template any more."""
        return self._is_complete and self.physical_id is None

    @property
    def _is_complete(self) -> bool:
        complete = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return self.status in complete

    # What a user, or a sibling, does

    def create(
        self,
        properties: Properties,
        sibling_fails: float | None = None,
        *,
        policies: Policies | None = None,
    ) -> None:
        self.policies = policies or self.policies
        self._begin(self._create(properties), "CREATE_IN_PROGRESS", sibling_fails)

    def update(
        self,
        properties: Properties,
        sibling_fails: float | None = None,
        *,
        delete_first: bool = False,
        policies: Policies | None = None,
    ) -> None:
        operation = self._update(
            properties, delete_first=delete_first, policies=policies or self.policies
        )
        self._begin(operation, "UPDATE_IN_PROGRESS", sibling_fails)

    def take_out(self) -> None:
        """Update the stack to a template without the resource."""
        self._begin(self._take_out(), "UPDATE_IN_PROGRESS", None)

    def add(
        self,
        logical_id: str,
        properties: Properties,
        sibling_fails: float | None = None,
        *,
        policies: Policies,
    ) -> None:
        """Update the stack to a template with a resource of this logical ID, in the place of the
        one that it has, if any."""
        operation = self._add(logical_id, properties, policies)
        self._begin(operation, "UPDATE_IN_PROGRESS", sibling_fails)

    def cancel(self) -> None:
        """Cancel an update, as CancelUpdateStack does: all is rolled back at once, and what is at
        work is given up."""
        if self.phase == "UPDATE_IN_PROGRESS":
            self._interrupted_at = time.time()

    def delete(self) -> None:
        """Delete the stack; a creation that is under way is given up."""
        physical_id, properties = self.physical_id, self.properties
        if self._operation is not None and self._waits_for is not None:
            self._waits_for.open = False
        if self._operation is not None and isinstance(self._waits_for, Exchange):
            physical_id = self._waits_for.invented
            properties = self._waits_for.event["ResourceProperties"]
        is_unfinished = self.is_creating or self.status == "UPDATE_ROLLBACK_FAILED"
        undoes = None if is_unfinished else False
        self.left_at_work |= self.policies.keeps and self.status == "UPDATE_ROLLBACK_FAILED"
        operation = (
            self._keep(physical_id, "DELETE_COMPLETE")
            if physical_id is None or self.policies.keeps
            else self._delete(physical_id, properties, "DELETE", undoes=undoes)
        )
        self._begin(operation, "DELETE_IN_PROGRESS", None)

    def hear(self, handle: Handle) -> None:
        """Know of an image whose end a handle was told, with nobody waiting for it."""
        if self._unheard is None or self._unheard.handle != handle.url or not handle.signals:
            return
        if handle.signals[0].succeeds:
            self.image_id = handle.signals[0].data["ImageId"]
            self._hold(self._unheard)
            self._unheard = None

    def new_handle(self) -> str:
        """The URL of a handle that no bundle of the stack was given before."""
        handle = Handle(self.stack_id, f"Handle{len(self.handles) + 1}", time.time())
        self.handles[handle.url] = handle
        return handle.url

    # CloudFormation

    def _begin(self, operation: Operation, status: str, interrupted: float | None) -> None:
        self.status = status
        self._enter(status, _OPERATIONS[status])
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
        self._show_answer(exchange)
        self._note_doubt(exchange)
        if exchange.taken is None or not exchange.succeeded:
            return False
        if not exchange.is_accepted:
            self._hold(exchange)
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
            self._hold(exchange)
        if self.later is not None and self._interrupted_at is None:
            yield Later(time.time() + self.later)
            if self.later_fails:
                return False
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
            self._enter(self.status)

    def _enter(self, phase: str, operation: str | None = None) -> None:
        """Show the stack's status; `operation` begins with it."""
        if phase in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            operation = "ROLLBACK"
        self.phase = phase
        self.world.stack_reads.enter(self.stack_id, phase, operation)

    def _show(self, what: str, logical_id: str, physical_id: str | None) -> None:
        """Show the status of the resource; `what` is done with the one of this ID. One that was
        replaced, or whose replacement was undone, is not shown: the resource is the other one."""
        known = self.world.stack_reads.physical_id(self.stack_id, logical_id)
        if what.startswith("DELETE") and known not in (None, physical_id):
            return
        self.world.stack_reads.move(self.stack_id, logical_id, what, physical_id)

    def _show_answer(self, exchange: Exchange) -> None:
        """Show what became of a request."""
        event, became = exchange.event, "COMPLETE" if exchange.succeeded else "FAILED"
        is_delete = event["RequestType"] == "Delete"
        physical_id = event["PhysicalResourceId"] if is_delete else exchange.physical_id
        what = f"{event['RequestType'].upper()}_{became}"
        self._show(what, event["LogicalResourceId"], physical_id)

    def _hold(self, exchange: Exchange) -> None:
        """Report that the resource has a bundle, which is finished."""
        on_delete = exchange.event["ResourceProperties"].get("OnDelete", "Retain")
        self.custody.hold(self.name, exchange.physical_id, on_delete)

    def _note_doubt(self, exchange: Exchange) -> None:
        """Report that an Update which was not answered may have taken effect."""
        if exchange.taken is None and exchange.event["RequestType"] == "Update":
            on_delete = exchange.event["ResourceProperties"].get("OnDelete", "Retain")
            self.custody.doubt(exchange.event["PhysicalResourceId"], on_delete)

    def _retain(self, physical_id: str | None, logical_id: str) -> None:
        """Send no Delete for what has this ID; None where it has no ID yet."""
        is_finished = physical_id in self.world.finished.keys() | self.world.images.stored
        self.left_at_work |= not is_finished or self._unheard is not None
        if physical_id is not None:
            self._show("DELETE_SKIPPED", logical_id, physical_id)
            self.kept.add(physical_id)
            self.custody.retain(physical_id)

    def _create(self, properties: Properties) -> Operation:
        self.properties = properties
        exchange = self._send("Create", properties)
        if (yield from self._is_made(exchange)):
            self.status = "CREATE_COMPLETE"
            return
        self._interrupted_at = None
        self._enter("ROLLBACK_IN_PROGRESS")
        if self.policies.keeps_new(succeeded=exchange.succeeded):
            yield from self._keep(exchange.physical_id, "ROLLBACK_COMPLETE")
        else:
            yield from self._delete(exchange.physical_id, properties, "ROLLBACK", undoes=True)

    def _update(
        self, properties: Properties, *, delete_first: bool, policies: Policies
    ) -> Operation:
        old_id, old, old_image_id = self.physical_id, self.properties, self.image_id
        old_policies = self.policies
        exchange = self._send("Update", properties, old, old_id)
        exchange.invented = old_id or ""
        if (yield from self._is_made(exchange)):
            self.properties, self.policies = properties, policies
            self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            if self.physical_id != old_id:
                yield from self._clean_up(old_id, old, keeps=old_policies.keeps_replaced)
            self.status = "UPDATE_COMPLETE"
            return
        self._interrupted_at = None
        self._enter("UPDATE_ROLLBACK_IN_PROGRESS")
        if delete_first and self.physical_id != old_id:
            yield from self._clean_up(self.physical_id, properties, undoes=None)
        yield from self._roll_back(old, properties, keeps=policies.keeps_replaced)
        if self.physical_id != old_id and self.status == "UPDATE_ROLLBACK_COMPLETE":
            self.violations.append(f"Rolled back from {old_id} to {self.physical_id}")
        if self.image_id != old_image_id and self.status == "UPDATE_ROLLBACK_COMPLETE":
            self.violations.append(f"Rolled back from {old_image_id} to {self.image_id}")

    def _roll_back(
        self, properties: Properties, failed: Properties, *, keeps: bool = False
    ) -> Operation:
        failed_id = self.physical_id
        back = self._send("Update", properties, failed, failed_id)
        back.invented = failed_id or ""
        back.goes_back = True
        yield back
        self.physical_id = back.physical_id
        self._show_answer(back)
        self._note_doubt(back)
        if back.taken is None or not back.succeeded:
            self.status = "UPDATE_ROLLBACK_FAILED"
            return
        self.image_id = back.taken["Data"]["ImageId"]
        self._unheard = None
        self._hold(back)
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        if back.physical_id != failed_id:
            yield from self._clean_up(failed_id, failed, keeps=keeps, undoes=None)
        self.status = "UPDATE_ROLLBACK_COMPLETE"

    def _take_out(self) -> Operation:
        """Nothing but the clean-up concerns the resource: it goes last."""
        self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        yield from self._clean_up(self.physical_id, self.properties, keeps=self.policies.keeps)
        self.physical_id = None
        self.status = "UPDATE_COMPLETE"

    def _add(self, logical_id: str, properties: Properties, policies: Policies) -> Operation:
        old_name, old_id, old = self.logical_id, self.physical_id, self.properties
        old_image_id, old_policies = self.image_id, self.policies
        self.logical_id, self.physical_id, self.properties = logical_id, None, properties
        exchange = self._send("Create", properties)
        if (yield from self._is_made(exchange)):
            self.policies = policies
            self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            if old_id is not None:
                yield from self._clean_up(old_id, old, old_name, keeps=old_policies.keeps)
            self.status = "UPDATE_COMPLETE"
            return
        self._interrupted_at = None
        self._unheard = None
        self._enter("UPDATE_ROLLBACK_IN_PROGRESS")
        # What is there already is not concerned; what was added goes in the clean-up.
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        keeps = policies.keeps_new(succeeded=exchange.succeeded)
        yield from self._clean_up(exchange.physical_id, properties, keeps=keeps, undoes=True)
        self.logical_id, self.physical_id, self.properties = old_name, old_id, old
        self.image_id, self.policies = old_image_id, old_policies
        self.status = "UPDATE_ROLLBACK_COMPLETE"

    def _clean_up(
        self,
        physical_id: str | None,
        properties: Properties,
        logical_id: str | None = None,
        *,
        keeps: bool = False,
        undoes: bool | None = False,
    ) -> Operation:
        if keeps:
            self._retain(physical_id, logical_id or self.logical_id)
            return
        exchange = self._send(
            "Delete", properties, physical_id=physical_id, logical_id=logical_id, undoes=undoes
        )
        yield exchange
        self._show_answer(exchange)
        self.custody.left(physical_id or "", succeeded=exchange.succeeded)

    def _keep(self, physical_id: str | None, status: str) -> Operation:
        """The stack goes, and no Delete is sent."""
        if physical_id is not None:
            self._retain(physical_id, self.logical_id)
        self.physical_id = physical_id
        self.status = status
        self.gone_at = time.time()
        yield from ()

    def _delete(
        self,
        physical_id: str | None,
        properties: Properties,
        what: str,
        *,
        undoes: bool | None = False,
    ) -> Operation:
        self.physical_id, self.properties = physical_id, properties
        exchange = self._send("Delete", properties, physical_id=physical_id, undoes=undoes)
        exchange.invented = physical_id or ""
        yield exchange
        self._show_answer(exchange)
        self.custody.left(physical_id or "", succeeded=exchange.succeeded)
        self.status = f"{what}_COMPLETE" if exchange.succeeded else f"{what}_FAILED"
        if exchange.succeeded:
            self.gone_at = time.time()
        if exchange.succeeded and not self.left_at_work:
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
        logical_id: str | None = None,
        *,
        undoes: bool | None = False,
    ) -> Exchange:
        self.custody.check()
        if request_type == "Delete":
            self.custody.leave(physical_id or "", undoes=undoes)
        request_id = new_id()
        now = time.time()
        logical_id = logical_id or self.logical_id
        self._show(f"{request_type.upper()}_IN_PROGRESS", logical_id, physical_id)
        key = quote(f"{self.stack_id}|{logical_id}|{request_id}", safe="")
        event: dict[str, Any] = {
            "RequestType": request_type,
            "ServiceToken": self.dialect.service_token,
            "ResponseURL": f"https://bucket.example/{key}?{self.dialect.query(now)}",
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::InstanceBundle",
            "ResourceProperties": properties,
        }
        if physical_id is not None:
            event["PhysicalResourceId"] = physical_id
        if old is not None:
            event["OldResourceProperties"] = old
        exchange = Exchange(
            event=event,
            payload=self.dialect.payload(event),
            sent=now,
            timeout=int(properties.get("ServiceTimeout", 3600)),
            invented=f"{self.name}-{logical_id}-{request_id[:12].upper()}",
        )
        s3 = properties["Storage"]["S3"]
        if prefix := s3.get("Prefix"):
            there = self.world.keys(s3["Bucket"])
            exchange.finds_place = not any(key.startswith(f"{prefix}.") for key in there)
        self.exchanges.append(exchange)
        self.world.send(exchange.payload)
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
    stack.custody.check()
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
