"""CloudFormation's side: a stack with one bundle, and a sibling that may fail.

If the bundle has a new handle, a wait condition follows it, and its result decides how the stack
continues. The condition's timeout begins when the bundle is answered. A handle that is not watched
has no condition: the stack continues at once.

Each operation is a generator: it sends a request, yields until the request is over, and continues
with the result. The requests and their order are those of the custom resource reference. For failed
updates, they are those that were observed: the ID of a FAILED answer becomes the resource's ID, and
the rollback's Update has it.

A resource's policies can suppress its Delete (AWS CloudFormation Template Reference, DeletionPolicy
attribute and UpdateReplacePolicy attribute). The sandbox's CloudFormation has the same rules, and
the same assumptions where no page of AWS says what happens.
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
    *("State", "Progress", "StartTime", "UpdateTime"),
    *("ImageId", "ImageArn", "SnapshotIds"),
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
    """The resource's deletion policies in a template.

    Attributes:
        keeps_failed: whether `Retain` also applies to a resource whose creation failed. AWS does
            not document it; the sandbox retains such a resource.
    """

    deletion: Kept = "Delete"
    replacement: Literal["Delete", "Retain"] = "Delete"
    keeps_failed: bool = False

    @property
    def keeps(self) -> bool:
        """Whether no Delete is sent when the resource is removed, or its stack is deleted."""
        return self.deletion != "Delete"

    def keeps_new(self, *, succeeded: bool) -> bool:
        """Whether no Delete is sent when the operation that created the resource is rolled back.

        Args:
            succeeded: whether the resource was created.
        """
        return self.deletion == "Retain" and (succeeded or self.keeps_failed)

    @property
    def keeps_replaced(self) -> bool:
        """Whether no Delete is sent for a bundle that was replaced."""
        return self.replacement == "Retain"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How CloudFormation's requests reach the function.

    Attributes:
        through: what the ServiceToken names.
        signature: version of the signature in ResponseURLs. Version 2 has no date (Amazon S3 API
            Reference, Authenticating requests: query string, signature version 2).
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
        """The payload of the invocation (AWS Lambda Developer Guide, Invoking Lambda functions with
        Amazon SNS notifications)."""
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
    """A request and its answers.

    Attributes:
        payload: of the invocation.
        default_id: the resource's ID if no answer arrives.
        bodies: all answers that arrived.
        result: the answer that CloudFormation uses, the first one; None until it arrives.
        open: whether CloudFormation waits for an answer.
        is_rollback: whether it is the Update of a rollback.
        prefix_was_free: whether its prefix had no objects when it was sent.
    """

    event: Mapping[str, Any]
    payload: Mapping[str, Any]
    sent_at: float
    timeout: int
    default_id: str
    bodies: list[bytes] = field(default_factory=list)
    result: Mapping[str, Any] | None = None
    open: bool = True
    is_rollback: bool = False
    prefix_was_free: bool = True

    @property
    def ends_at(self) -> float:
        """The request's timeout; epoch seconds."""
        return self.sent_at + self.timeout

    @property
    def has_arrived(self) -> bool:
        return self.result is not None

    @property
    def succeeded(self) -> bool:
        return self.result is not None and self.result["Status"] == "SUCCESS"

    @property
    def handle(self) -> str | None:
        """The URL of the handle that this request's signal is sent to."""
        given: str | None = self.event["ResourceProperties"].get("CompletionHandle")
        before = self.event.get("OldResourceProperties", {}).get("CompletionHandle")
        return None if self.event["RequestType"] == "Delete" or given == before else given

    @property
    def work_ends_by(self) -> float:
        """The deadline of its work; epoch seconds."""
        if self.handle is None:
            return self.ends_at
        return self.sent_at + int(self.event["ResourceProperties"].get("CompletionTimeout", 43200))

    @property
    def is_accepted(self) -> bool:
        """Whether it was answered with an acceptance: the work continues."""
        if self.result is None or self.handle is None or not self.succeeded:
            return False
        return bool(self.result["Data"]["State"] != "complete")

    @property
    def physical_id(self) -> str:
        """The resource's ID after the request."""
        if self.result is not None:
            answered: str = self.result["PhysicalResourceId"]
            return answered
        return self.default_id

    def answer(self, body: bytes) -> int:
        """Receive an answer as S3 and CloudFormation do; returns the HTTP status."""
        if time.time() >= self.sent_at + URL_SECONDS:
            return 403
        self.bodies.append(body)
        if self.open and self.result is None:
            self.result = json.loads(body)
        return 200


@dataclass(slots=True)
class Later:
    """A resource after the bundle, in progress. ends_at: epoch seconds."""

    ends_at: float
    open: bool = True

    @property
    def has_arrived(self) -> bool:
        return False


Awaited = Exchange | Condition | Later
"""What an operation waits for."""

Operation = Generator[Awaited, None, None]


@dataclass
class Stack:
    """A stack. `physical_id` and `properties` are the resource's, as CloudFormation has them.

    Attributes:
        image_id: of the AMI in the last success, from an answer or a signal.
        watched: whether a wait condition waits for a new handle.
        later: how many seconds the resource after the bundle takes; None if there is no such
            resource.
        later_fails: whether that resource then fails.
        phase: the stack's status as CloudFormation shows it; `status` is that of the operation.
        retained: the IDs of bundles that a policy retained.
        left_running: whether a policy retained a bundle whose work may not have ended.
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
    retained: set[str] = field(default_factory=set)
    left_running: bool = False
    gone_at: float | None = None
    _operation: Operation | None = None
    _waits_for: Awaited | None = None
    _interrupted_at: float | None = None
    _unwatched: Exchange | None = None

    def __post_init__(self) -> None:
        self.stack_id = (
            f"arn:aws:cloudformation:us-east-1:123456789012:stack/{self.name}/{new_id()}"
        )

    @property
    def is_idle(self) -> bool:
        return self._operation is None

    @property
    def is_creating(self) -> bool:
        return self.status == "CREATE_IN_PROGRESS"

    @property
    def is_updatable(self) -> bool:
        return self._is_complete and self.physical_id is not None and self._unwatched is None

    @property
    def is_without(self) -> bool:
        """Whether the stack exists, and its template no longer has the resource."""
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
        """Remove the resource from the template."""
        self._begin(self._take_out(), "UPDATE_IN_PROGRESS", None)

    def add(
        self,
        logical_id: str,
        properties: Properties,
        sibling_fails: float | None = None,
        *,
        policies: Policies,
    ) -> None:
        """Add a resource with this logical ID to the template; it replaces the existing one."""
        operation = self._add(logical_id, properties, policies)
        self._begin(operation, "UPDATE_IN_PROGRESS", sibling_fails)

    def cancel(self) -> None:
        """Cancel an update, as CancelUpdateStack does: the stack stops waiting for the resource
        and rolls back."""
        if self.phase == "UPDATE_IN_PROGRESS":
            self._interrupted_at = time.time()

    def delete(self) -> None:
        """Delete the stack; a creation in progress is abandoned."""
        physical_id, properties = self.physical_id, self.properties
        if self._operation is not None and self._waits_for is not None:
            self._waits_for.open = False
        if self._operation is not None and isinstance(self._waits_for, Exchange):
            physical_id = self._waits_for.default_id
            properties = self._waits_for.event["ResourceProperties"]
        is_unfinished = self.is_creating or self.status == "UPDATE_ROLLBACK_FAILED"
        undoes = None if is_unfinished else False
        self.left_running |= self.policies.keeps and self.status == "UPDATE_ROLLBACK_FAILED"
        operation = (
            self._keep(physical_id, "DELETE_COMPLETE")
            if physical_id is None or self.policies.keeps
            else self._delete(physical_id, properties, "DELETE", undoes=undoes)
        )
        self._begin(operation, "DELETE_IN_PROGRESS", None)

    def note_signal(self, handle: Handle) -> None:
        """Record the image of a signal for which no wait condition waits."""
        if self._unwatched is None or self._unwatched.handle != handle.url or not handle.signals:
            return
        if handle.signals[0].succeeds:
            self.image_id = handle.signals[0].data["ImageId"]
            self._report_bundle(self._unwatched)
            self._unwatched = None

    def new_handle(self) -> str:
        """The URL of a new handle."""
        handle = Handle(self.stack_id, f"Handle{len(self.handles) + 1}", time.time())
        self.handles[handle.url] = handle
        return handle.url

    # CloudFormation

    def _begin(self, operation: Operation, status: str, interrupted: float | None) -> None:
        self.status = status
        self._enter(status, _OPERATIONS[status])
        self._operation = operation
        self._interrupted_at = None if interrupted is None else time.time() + interrupted
        self._continue()

    def wakes_at(self) -> float | None:
        """When CloudFormation continues with the stack; None if it waits for nothing."""
        if self._waits_for is None or self._operation is None:
            return None
        if self._waits_for.has_arrived:
            return time.time()
        ends_at = self._waits_for.ends_at
        return ends_at if self._interrupted_at is None else min(ends_at, self._interrupted_at)

    def wake(self) -> None:
        wakes_at = self.wakes_at()
        if self._waits_for is not None and wakes_at is not None and wakes_at <= time.time():
            self._waits_for.open = False
            self._continue()

    def _wait_until_done(self, exchange: Exchange) -> Generator[Awaited, None, bool]:
        """Wait for the answer, for the signal if there is a condition, and for the resource after
        the bundle; returns whether all succeeded."""
        yield exchange
        self.physical_id = exchange.physical_id
        self._show_answer(exchange)
        self._report_unanswered_update(exchange)
        if exchange.result is None or not exchange.succeeded:
            return False
        if not exchange.is_accepted:
            self._report_bundle(exchange)
        image_id = exchange.result["Data"]["ImageId"]
        self._unwatched = None
        if exchange.handle is not None and not self.watched:
            self._unwatched = exchange
            self.note_signal(self.handles[exchange.handle])
        elif exchange.handle is not None:
            handle = self.handles[exchange.handle]
            condition = Condition(handle, time.time() + exchange.work_ends_by - exchange.sent_at)
            self.conditions.append(condition)
            yield condition
            if condition.signal is None or not condition.succeeded:
                return False
            image_id = condition.signal.data["ImageId"]
            self._report_bundle(exchange)
        if self.later is not None and self._interrupted_at is None:
            yield Later(time.time() + self.later)
            if self.later_fails:
                return False
        if self._sibling_has_failed():
            return False
        self.image_id = image_id
        return True

    def _sibling_has_failed(self) -> bool:
        """Whether a sibling fails; one that was to fail later fails now."""
        fails = self._interrupted_at is not None
        self._interrupted_at = None
        return fails

    def _continue(self) -> None:
        assert self._operation is not None
        try:
            self._waits_for = next(self._operation)
        except StopIteration:
            self._operation = self._waits_for = None
            self._enter(self.status)

    def _enter(self, phase: str, operation: str | None = None) -> None:
        """Change the stack's status.

        Args:
            operation: the operation that begins with this status, if any.
        """
        if phase in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            operation = "ROLLBACK"
        self.phase = phase
        self.world.stack_reads.enter(self.stack_id, phase, operation)

    def _show(self, what: str, logical_id: str, physical_id: str | None) -> None:
        """Change the resource's status.

        The Delete of a bundle that was replaced, or of a replacement that was rolled back, does not
        change it: the resource has another bundle.

        Args:
            what: the status.
            physical_id: of the bundle that the status is about.
        """
        known = self.world.stack_reads.physical_id(self.stack_id, logical_id)
        if what.startswith("DELETE") and known not in (None, physical_id):
            return
        self.world.stack_reads.move(self.stack_id, logical_id, what, physical_id)

    def _show_answer(self, exchange: Exchange) -> None:
        """Change the resource's status to the result of a request."""
        event, became = exchange.event, "COMPLETE" if exchange.succeeded else "FAILED"
        is_delete = event["RequestType"] == "Delete"
        physical_id = event["PhysicalResourceId"] if is_delete else exchange.physical_id
        what = f"{event['RequestType'].upper()}_{became}"
        self._show(what, event["LogicalResourceId"], physical_id)

    def _report_bundle(self, exchange: Exchange) -> None:
        """Report that the resource has a finished bundle."""
        on_delete = exchange.event["ResourceProperties"].get("OnDelete", "Retain")
        self.custody.hold(self.name, exchange.physical_id, on_delete)

    def _report_unanswered_update(self, exchange: Exchange) -> None:
        """Report that an Update without an answer may have taken effect."""
        if exchange.result is None and exchange.event["RequestType"] == "Update":
            on_delete = exchange.event["ResourceProperties"].get("OnDelete", "Retain")
            self.custody.doubt(exchange.event["PhysicalResourceId"], on_delete)

    def _retain(self, physical_id: str | None, logical_id: str) -> None:
        """Send no Delete for the bundle with this ID; None if it has no ID yet."""
        is_finished = physical_id in self.world.finished.keys() | self.world.images.stored
        self.left_running |= not is_finished or self._unwatched is not None
        if physical_id is not None:
            self._show("DELETE_SKIPPED", logical_id, physical_id)
            self.retained.add(physical_id)
            self.custody.retain(physical_id)

    def _create(self, properties: Properties) -> Operation:
        self.properties = properties
        exchange = self._send("Create", properties)
        if (yield from self._wait_until_done(exchange)):
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
        exchange.default_id = old_id or ""
        if (yield from self._wait_until_done(exchange)):
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
        back.default_id = failed_id or ""
        back.is_rollback = True
        yield back
        self.physical_id = back.physical_id
        self._show_answer(back)
        self._report_unanswered_update(back)
        if back.result is None or not back.succeeded:
            self.status = "UPDATE_ROLLBACK_FAILED"
            return
        self.image_id = back.result["Data"]["ImageId"]
        self._unwatched = None
        self._report_bundle(back)
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        if back.physical_id != failed_id:
            yield from self._clean_up(failed_id, failed, keeps=keeps, undoes=None)
        self.status = "UPDATE_ROLLBACK_COMPLETE"

    def _take_out(self) -> Operation:
        """The resource is removed in the clean-up."""
        self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        yield from self._clean_up(self.physical_id, self.properties, keeps=self.policies.keeps)
        self.physical_id = None
        self.status = "UPDATE_COMPLETE"

    def _add(self, logical_id: str, properties: Properties, policies: Policies) -> Operation:
        old_name, old_id, old = self.logical_id, self.physical_id, self.properties
        old_image_id, old_policies = self.image_id, self.policies
        self.logical_id, self.physical_id, self.properties = logical_id, None, properties
        exchange = self._send("Create", properties)
        if (yield from self._wait_until_done(exchange)):
            self.policies = policies
            self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            if old_id is not None:
                yield from self._clean_up(old_id, old, old_name, keeps=old_policies.keeps)
            self.status = "UPDATE_COMPLETE"
            return
        self._interrupted_at = None
        self._unwatched = None
        self._enter("UPDATE_ROLLBACK_IN_PROGRESS")
        # The existing resource is not touched; the new one is removed in the clean-up.
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
        self.custody.delete_answered(physical_id or "", succeeded=exchange.succeeded)

    def _keep(self, physical_id: str | None, status: str) -> Operation:
        """Delete the stack without sending a Delete."""
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
        exchange.default_id = physical_id or ""
        yield exchange
        self._show_answer(exchange)
        self.custody.delete_answered(physical_id or "", succeeded=exchange.succeeded)
        self.status = f"{what}_COMPLETE" if exchange.succeeded else f"{what}_FAILED"
        if exchange.succeeded:
            self.gone_at = time.time()
        if exchange.succeeded and not self.left_running:
            self.violations += [
                f"{task.bundle_id} still runs in {self.name}, which is gone"
                for task in self.world.tasks(self.properties["Storage"]["S3"]["Bucket"])
                if task.storage.prefix.startswith(f"{self.name}/") and not task.view.ended
            ]
            requests = [exchange.event["RequestId"] for exchange in self.exchanges]
            self.violations += [
                f"{work} still runs in {self.name}, which is gone"
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
            self.custody.delete_sent(physical_id or "", undoes=undoes)
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
            sent_at=now,
            timeout=int(properties.get("ServiceTimeout", 3600)),
            default_id=f"{self.name}-{logical_id}-{request_id[:12].upper()}",
        )
        s3 = properties["Storage"]["S3"]
        if prefix := s3.get("Prefix"):
            keys = self.world.keys(s3["Bucket"])
            exchange.prefix_was_free = not any(key.startswith(f"{prefix}.") for key in keys)
        self.exchanges.append(exchange)
        self.world.send(exchange.payload)
        return exchange


def receive(stacks: Mapping[str, Stack], url: str, body: bytes) -> int:
    """Receive a PUT to a ResponseURL or to a handle; returns the HTTP status."""
    if url.startswith(handles.PATH):
        stack_id, logical_id = handles.owner(url)
        stack = stacks[stack_id]
        handle = next(h for h in stack.handles.values() if h.logical_id == logical_id)
        status = handle.receive(body)
        stack.note_signal(handle)
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
    """Whether CloudFormation would refuse an answer, or the answer breaks a promise."""
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
            yield "An answer does not have all attributes"
    elif answer["PhysicalResourceId"] != event["PhysicalResourceId"]:
        yield "A Delete was answered with another ID"
