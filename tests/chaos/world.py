"""The simulated world: AWS in this process, with a simulated clock and injected faults.

The function's own handlers run here with moto's DynamoDB, SQS and S3 and the sandbox's EC2. A kill
is an exception that nothing in the function catches; a Lambda timeout is a kill at the next call.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import math
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal
from unittest.mock import patch
from xml.sax.saxutils import escape

import time_machine
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.ec2.models import ec2_backends
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from samtranslator.yaml_helper import yaml_parse
from urllib3.connectionpool import HTTPConnectionPool

from instance_bundle import app, aws, budget, last_resort
from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.request.properties import MethodName
from instance_bundle.settings import settings
from sandbox.artifact import REPOSITORY
from sandbox.calls.api_calls import ServiceError
from sandbox.clients import CREDENTIALS
from sandbox.cloudformation.reads import by_function
from sandbox.ec2 import api as ec2
from sandbox.ec2 import bundle_tasks, images, store_tasks
from sandbox.ec2.bundle_task import BundleTask
from sandbox.functions import trace_headers
from sandbox.functions.lineage import LIMIT, Lineage
from sandbox.observation.events_put import EventsPut
from sandbox.upstream import conditional_deletes
from tests.chaos import aws_events, handles, roles
from tests.chaos.aws_events import AwsEvents
from tests.chaos.images import WorldsImages, portrait
from tests.chaos.stack_reads import StackReads

ACCOUNT, REGION = "123456789012", "us-east-1"
START = 1_800_000_000.0
FUNCTION_SECONDS = 30
VISIBILITY_SECONDS = 180
RECEIVES = 3
BATCH = 10
QUEUES = ("polls", "dead-letters")
RETRY_DELAYS = (60.0, 120.0)
EVENT_SECONDS = 900
LONGEST_RUN = 14 * 3600

FAULTS = (
    *("fail", "throttle", "deny", "delay", "cut", "cut-after"),
    *("hang", "garble", "refuse"),
)
KILLS = ("kill", "kill-after")
LOOP_STOPPED = "RecursiveInvocation"
RESPONSE_PUT = "response:Put"
SIGNAL_PUT = "signal:Put"
EVENTS_PUT = "events:PutEvents"
TASK_EVENTS_PUT = "task events:Put"
"""PutEvents of events about tasks that run. What strikes these has no effect on a result."""
TEXTS = "requests"
"""The table of the requests' texts."""
TEXT_CALLS = ("texts:PutItem", "texts:Query", "texts:DeleteItem")
"""The calls about that table."""

_TAGGED: tuple[Literal["image", "snapshot"], ...] = ("image", "snapshot")

_ERRORS = {
    ("ec2", "fail"): (500, "InternalError"),
    ("ec2", "throttle"): (503, "RequestLimitExceeded"),
    ("ec2", "deny"): (403, "UnauthorizedOperation"),
    ("ec2", "refuse"): (503, "Unavailable"),
    ("s3", "fail"): (500, "InternalError"),
    ("s3", "throttle"): (503, "SlowDown"),
    ("s3", "deny"): (403, "AccessDenied"),
    ("s3", "refuse"): (400, "RequestTimeout"),
    ("dynamodb", "fail"): (500, "InternalServerError"),
    ("dynamodb", "throttle"): (400, "ThrottlingException"),
    ("dynamodb", "deny"): (400, "AccessDeniedException"),
    ("dynamodb", "refuse"): (400, "RequestLimitExceeded"),
    ("secretsmanager", "fail"): (500, "InternalServiceError"),
    ("secretsmanager", "throttle"): (400, "ThrottlingException"),
    ("secretsmanager", "deny"): (400, "AccessDeniedException"),
    ("secretsmanager", "refuse"): (503, "ServiceUnavailable"),
    ("events", "fail"): (500, "InternalException"),
    ("events", "throttle"): (400, "ThrottlingException"),
    ("events", "deny"): (400, "AccessDeniedException"),
    ("events", "refuse"): (503, "ServiceUnavailable"),
    ("cloudformation", "fail"): (500, "InternalFailure"),
    ("cloudformation", "throttle"): (400, "Throttling"),
    ("cloudformation", "deny"): (403, "AccessDenied"),
    ("cloudformation", "refuse"): (503, "ServiceUnavailable"),
    ("sqs", "fail"): (500, "InternalFailure"),
    ("sqs", "throttle"): (400, "RequestThrottled"),
    ("sqs", "deny"): (403, "AccessDenied"),
    ("sqs", "refuse"): (400, "KMS.ThrottlingException"),
}


UNREADABLE = ("", "<html><body>Sign in", '{"Attribut')
"""Bodies of answers that can't be read."""

_RESULT_PUTS = (RESPONSE_PUT, SIGNAL_PUT, EVENTS_PUT)
"""The calls that send the result of a request."""

_NAMES = {"eventbridge": "events", "secrets-manager": "secretsmanager"}
"""IAM's names of services, by the SDK's names."""


def action_of(call: str) -> str:
    """A call as the function's Reasons name it."""
    return call.replace("texts:", "dynamodb:")


class Killed(BaseException):
    """The process is killed; the function must not catch this."""


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Which calls fail, and how; similar to the sandbox's faults.

    Attributes:
        call: `service:Action`, or `*` for any.
        kind: one of FAULTS or KILLS. `delay`: the answer is slow. `hang`: the call takes effect,
            and there is no answer. `garble`: the call takes effect, and the answer can't be read.
            `refuse`: a temporary error. Or `twice`: another process handles the same event first.
            `meanwhile`: another process does other work that is due first. `hint`: another process
            handles an event of AWS's about each AMI and each location first.
        nth: the first matching call that is struck, counted from when the fault was set.
        times: how many matching calls in a row are struck.
        seconds: for how long calls are struck, counted from the first one; None: only `times`
            limits it.
    """

    call: str
    kind: str
    nth: int = 1
    times: int = 1
    seconds: float | None = None


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    struck_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether its `seconds` have passed."""
        first, seconds = self.struck_at, self.fault.seconds
        return first is not None and seconds is not None and time.time() >= first + seconds


@dataclass(slots=True)
class _Event:
    """An event in Lambda's queue, for the function or for the failure handler."""

    payload: Mapping[str, Any]
    sent_at: float
    due: float
    is_for_failure_handler: bool = False
    attempts: int = 0
    chain: Lineage = field(default_factory=Lineage)


@dataclass(frozen=True, slots=True)
class _Function:
    """A function, as a chain of requests names it."""

    function_name: str
    account_id: str = ACCOUNT
    region: str = REGION


_MAIN, _LAST_RESORT = _Function("cfn-instance-bundle"), _Function("cfn-instance-bundle-last-resort")


@dataclass(frozen=True, slots=True)
class _Context:
    """The `context` of an invocation."""

    ends: float
    is_for_failure_handler: bool
    function_name: str = "InstanceBundleFunction"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:bundle"
    aws_request_id: str = "b1dd1e4a-4d0c-4f0c-8d0e-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.ends - time.time()) * 1000))


@dataclass(frozen=True, slots=True)
class Started:
    """A bundle task that a call started. at: epoch seconds."""

    bundle_id: str
    prefix: str
    at: float


@dataclass
class World:
    """AWS, until the next `clear`. `running` creates it.

    Attributes:
        instances: the suitable instances of each method.
        secret: ARN of the secret that signs upload policies.
        images: EC2's images.
        on_answer: is called with the path and body of each PUT to a ResponseURL or handle; returns
            the HTTP status.
        wakes_at: when CloudFormation's side has something to do, in epoch seconds; None if nothing.
        wake: does it.
        counts: what happened, by name; `clear` keeps it.
        started: all bundle tasks.
        finished: the complete bundle tasks, by ID.
        violations: found while the sequence ran.
        delivered: the events that reached the function.
        log: the injected faults, crashes and calls refused by IAM, in order.
        answers_struck: when a fault struck an answer, signal or event that was being sent, or any
            call of the failure handler; epoch seconds.
        polled: when a batch of polls was delivered; epoch seconds.
        stack_reads: what CloudFormation's API says about the stacks.
        events_put: the entries that event buses received; `clear` keeps them.
        aws_events: the events that EC2 and S3 send to the function.
        batch_size: how many messages an event source mapping delivers in one batch, at most.
        on_call: is called with the name of each call of the function, before a fault can strike it.
        allows_loops: whether the functions' RecursiveLoop is Allow; otherwise each is stopped after
            16 invocations in one chain of requests.
        garbled: how many answers could not be read.
    """

    clock: time_machine.Traveller
    instances: Mapping[MethodName, list[str]]
    secret: str
    images: WorldsImages
    on_answer: Callable[[str, bytes], int] = lambda _path, _body: 200
    wakes_at: Callable[[], float | None] = lambda: None
    wake: Callable[[], None] = lambda: None
    counts: Counter[str] = field(default_factory=Counter)
    started: list[Started] = field(default_factory=list)
    finished: dict[str, BundleTask] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    delivered: list[Mapping[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    answers_struck: list[float] = field(default_factory=list)
    polled: list[float] = field(default_factory=list)
    stack_reads: StackReads = field(default_factory=StackReads)
    events_put: EventsPut = field(default_factory=EventsPut)
    aws_events: AwsEvents = field(default_factory=AwsEvents)
    batch_size: int = BATCH
    on_call: Callable[[str], None] | None = None
    allows_loops: bool = False
    garbled: int = 0
    _events: list[_Event] = field(default_factory=list)
    _armed: list[_Armed] = field(default_factory=list)
    _duplicated: int = 0
    _contexts: list[_Context] = field(default_factory=list)
    _handled: list[Any] = field(default_factory=list)
    _chains: list[Lineage] = field(default_factory=list)

    def clear(self, bucket: str) -> None:
        """Start again with an empty ledger, empty queues and a new bucket. The clock continues."""
        for table in ("ledger", TEXTS):
            for item in _items(table):
                key = {name: item[name] for name in ("resource", "item")}
                aws.dynamodb().delete_item(TableName=table, Key=key)
        self.clear_queues()
        self.aws_events.clear()
        aws.s3().create_bucket(Bucket=bucket)
        # At a full minute, so that the times of polls are the same in each sequence.
        self._reach(math.ceil((time.time() + bundle_tasks.LISTED_SECONDS) / 60) * 60)
        tasks = bundle_tasks.of(ACCOUNT, REGION, time.time)
        tasks.received.clear()
        tasks._tasks.clear()
        self.images.clear()
        self.stack_reads.clear()
        self._events.clear()
        self._armed.clear()
        self._duplicated = 0
        self.started.clear()
        self.finished.clear()
        self.violations.clear()
        self.delivered.clear()
        self.log.clear()
        self.answers_struck.clear()
        self.polled.clear()
        self._chains.clear()

    def clear_queues(self) -> None:
        """Delete all messages."""
        for name in QUEUES:
            _queue(name)._messages = []

    # The steps of a sequence

    def arm(self, fault: Fault) -> None:
        """Inject a fault, from now on."""
        self._armed.append(_Armed(fault))

    @property
    def longest_chain(self) -> int:
        """The most invocations of the function in one chain of requests."""
        return max((each.invocations(_MAIN) for each in self._chains), default=0)

    def disarm(self) -> None:
        """Remove all faults."""
        self._armed.clear()
        self._duplicated = 0

    def duplicate_messages(self, count: int) -> None:
        """Have the next batches of messages delivered twice."""
        self._duplicated = count

    def send(self, payload: Mapping[str, Any], delay: float = 0.0) -> None:
        """Invoke the function asynchronously."""
        now = time.time()
        self._events.append(_Event(payload, now, now + delay))

    def move(self, seconds: float) -> None:
        """Let time pass, and do everything that is due in it."""
        end = time.time() + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._reach(due)
            self._do_next()
        self._reach(end)

    def sleep(self, seconds: float) -> None:
        """Let time pass without doing what is due: a process sleeps."""
        self._reach(time.time() + seconds)

    def run_until_idle(self) -> None:
        """Let time pass until nothing is left to do.

        Raises:
            Violation: there is still something to do after `LONGEST_RUN`.
        """
        end = time.time() + LONGEST_RUN
        while (due := self._next_due()) is not None:
            if due > end:
                left = [message.body for name in QUEUES for message in _all(name)]
                self.clear_queues()
                raise Violation(f"There is still work that nobody waits for: {left}")
            self._reach(due)
            self._do_next()

    # What exists

    def ledger_items(self) -> list[dict[str, Any]]:
        """All items of the ledger, in DynamoDB's form."""
        return _items("ledger")

    def texts(self) -> list[dict[str, Any]]:
        """All items of the table of the requests' texts, in DynamoDB's form."""
        return _items(TEXTS)

    def keys(self, bucket: str) -> set[str]:
        """The keys of a bucket's objects."""
        from moto.s3.models import s3_backends

        return set(s3_backends[ACCOUNT]["aws"].buckets[bucket].keys)

    def etags(self, bucket: str) -> dict[str, str]:
        """The ETag of each of a bucket's objects, by its key."""
        from moto.s3.models import s3_backends

        keys = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys
        return {key: keys[key].etag for key in keys}

    def tasks(self, bucket: str) -> list[BundleTask]:
        """The bundle tasks that write to a bucket."""
        tasks = bundle_tasks.of(ACCOUNT, REGION, time.time)
        tasks.advance()
        return [task for task in tasks._tasks.values() if task.storage.bucket == bucket]

    def own_images(self) -> list[str]:
        """The IDs of the AMIs that the function made or registered, also of those that are gone."""
        return [*self.images.made, *self.images.registered]

    def locations(self) -> list[tuple[str, str]]:
        """The bucket and prefix of each location that a request claims, or claimed."""
        found = [item["resource"]["S"] for item in self.ledger_items()]
        uris = [uri.removeprefix("location|s3://") for uri in found if uri.startswith("location|")]
        return [(bucket, prefix) for bucket, _, prefix in (uri.partition("/") for uri in uris)]

    def refuses_to_store(self) -> bool:
        """Whether DynamoDB has refused a call: an answer may then be missing in the ledger."""
        return any(line.startswith(("deny dynamodb:", "deny texts:")) for line in self.log)

    def messages(self) -> int:
        """How many messages are in the queues."""
        return sum(len(_queue(name)._messages) for name in QUEUES)

    def note_made(self, action: str) -> None:
        """Record what a call to EC2 has made."""
        match action:
            case "BundleInstance":
                self._note_start()
            case "CreateImage":
                self.images.note_starts()
            case "RegisterImage":
                self.images.note_registrations()

    def _note_start(self) -> None:
        """Record the bundle task that the last BundleInstance started, if it started one."""
        request = bundle_tasks.requests_received()[-1]
        if "BundleId" not in request:
            return
        s3 = request["Storage"]["S3"]
        if f"{s3['Prefix']}.manifest.xml" in self.keys(s3["Bucket"]):
            self.violations.append(f"A bundle is overwritten at {s3['Prefix']}")
        self.started.append(Started(request["BundleId"], s3["Prefix"], time.time()))

    # The passing of time

    def _reach(self, moment: float) -> None:
        tasks = bundle_tasks.of(ACCOUNT, REGION, time.time)
        # Tasks write their objects when they end, not when they are polled.
        for stop in [*sorted(end for end in self._ends() if end < moment), moment]:
            if stop > time.time():
                # A little later, since the clock is less precise than a float.
                self.clock.move_to(stop + 0.001)
                ec2.advance_all()
        ec2.advance_all()
        self.images.note_ends()
        for task in tasks._tasks.values():
            if task.view.state == "complete":
                self.finished[task.bundle_id] = task

    def _ends(self) -> list[float]:
        """When work ends, or ended; infinite if it hangs."""
        tasks = bundle_tasks.of(ACCOUNT, REGION, time.time)._tasks.values()
        return [task.started + task.seconds for task in tasks] + self.images.ends()

    def _next_due(self) -> float | None:
        dues = [event.due for event in self._events]
        dues += [_visible_from(message) for name in QUEUES for message in _all(name)]
        dues += [message.visible_at for message in self.aws_events.queue.messages]
        if self.aws_events.fates:  # an event may come as soon as work ends
            dues += [end for end in self._ends() if time.time() < end < math.inf]
        wakes_at = self.wakes_at()
        if wakes_at is not None:
            dues.append(wakes_at)
        return min(dues, default=None)

    def _do_next(self) -> None:
        now = time.time()
        wakes_at = self.wakes_at()
        if wakes_at is not None and wakes_at <= now:
            self.wake()
            return
        event = min(self._events, key=lambda event: event.due, default=None)
        if event is not None and event.due <= now:
            self._events.remove(event)
            self._invoke_event(event)
            return
        self._invoke_batch("polls", app.handler)
        self._invoke_batch("dead-letters", last_resort.handler)
        self._invoke_aws_events(app.handler)

    def _invoke_event(self, event: _Event) -> None:
        if "requestPayload" not in event.payload and event.payload not in self.delivered:
            self.delivered.append(event.payload)
        if time.time() >= event.sent_at + EVENT_SECONDS:
            self._hand_over(event, "EventAgeExceeded", {})
            return
        event.attempts += 1
        handler = last_resort.handler if event.is_for_failure_handler else app.handler
        payload = json.loads(json.dumps(event.payload))
        _, error = self._invoke(handler, payload, event.chain)
        if error is None:
            return
        if error == LOOP_STOPPED:
            self._hand_over(event, error, {})
            return
        if event.attempts > len(RETRY_DELAYS):
            self._hand_over(event, "RetriesExhausted", {"errorType": error})
            return
        event.due = time.time() + RETRY_DELAYS[event.attempts - 1]
        self._events.append(event)

    def _hand_over(self, event: _Event, condition: str, response: Mapping[str, Any]) -> None:
        """Send the event to the function's on-failure destination: the other function."""
        record = {
            "requestContext": {"condition": condition, "approximateInvokeCount": event.attempts},
            "requestPayload": event.payload,
            "responsePayload": response,
        }
        now = time.time()
        function = _LAST_RESORT if event.is_for_failure_handler else _MAIN
        chain = event.chain.through(function)
        self._events.append(_Event(record, now, now, not event.is_for_failure_handler, chain=chain))

    def _invoke_batch(self, queue: str, handler: Callable[[Any, Any], Any]) -> None:
        batch = _receive(queue, self.batch_size)
        if not batch:
            return
        event = {"Records": [_record(message) for message in batch]}
        if queue == "polls":
            self.polled.append(time.time())
        function = _MAIN if queue == "polls" else _LAST_RESORT
        chain = Lineage.of_batch(map(trace_headers.header_of, batch), function)
        if queue == "polls" and self._duplicated:
            self._duplicated -= 1
            self.counts["duplicates"] += 1
            self._invoke(handler, json.loads(json.dumps(event)), chain)
        answer, error = self._invoke(handler, event, chain)
        if error is not None:
            return
        failed = _failed(answer)
        for message in batch:
            if message.id not in failed:
                _sqs().delete_message(queue, str(message.receipt_handle))

    def _invoke_aws_events(self, handler: Callable[[Any, Any], Any]) -> bool:
        """Handle a batch of the events of EC2's and S3's; returns whether there is one."""
        queue = self.aws_events.queue
        batch = queue.receive()
        if batch:
            self.counts["events of AWS's"] += len(batch)
            event = {"Records": [message.record() for message in batch]}
            answer, error = self._invoke(handler, event, Lineage())
            failed = _failed(answer) if error is None else {message.id for message in batch}
            for message in batch:
                if message.id not in failed:
                    queue.delete(message)
        return bool(batch)

    def _invoke(
        self, handler: Callable[[Any, Any], Any], event: Any, chain: Lineage
    ) -> tuple[Any, str | None]:
        """What a handler returns; the error's type if it crashed, was killed or was stopped."""
        function = _LAST_RESORT if handler is last_resort.handler else _MAIN
        if not self.allows_loops and chain.invocations(function) >= LIMIT:
            self.counts["loops stopped"] += 1
            return None, LOOP_STOPPED
        self._chains.append(chain.through(function))
        context = _Context(time.time() + FUNCTION_SECONDS, handler is last_resort.handler)
        trace = {
            "_X_AMZN_TRACE_ID": self._chains[-1].header(),
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        }
        self._contexts.append(context)
        self._handled.append(event)
        try:
            with patch.dict(os.environ, trace):
                return handler(event, context), None
        except Killed:
            return None, "Runtime.ExitError"
        except Exception as error:  # noqa: BLE001  as the Lambda runtime does
            self.counts["crashes"] += 1
            self.log.append(f"crashed: {type(error).__name__}: {error}")
            return None, type(error).__name__
        finally:
            self._contexts.pop()
            self._handled.pop()

    @property
    def caller(self) -> str | None:
        """The function that runs, by its logical ID; None while none does."""
        if not self._contexts:
            return None
        is_failure_handler = self._contexts[-1].is_for_failure_handler
        return "LastResortFunction" if is_failure_handler else "InstanceBundleFunction"

    def note_refusal(self, name: str, error: ServiceError) -> None:
        """Record a call that the function's role does not allow."""
        self.counts["refused by IAM"] += 1
        self.log.append(f"not allowed: {name}: {error.message}")

    @property
    def handled(self) -> Any:
        """The event or batch of messages that the function is handling."""
        return self._handled[-1]

    def handle_twice(self) -> None:
        """While one process waits for AWS, another handles the same event completely."""
        if len(self._contexts) > 1 or self._contexts[-1].is_for_failure_handler:
            return
        event = json.loads(json.dumps(self._handled[-1]))
        self._invoke(_other_environment().handler, event, Lineage())

    def _meanwhile(self) -> None:
        """While one process waits for AWS, another handles the events and messages that are due."""
        if len(self._contexts) > 1:
            return
        handler = _other_environment().handler
        now = time.time()
        wakes_at = self.wakes_at()
        if wakes_at is not None and wakes_at <= now:
            self.wake()
        for event in [event for event in self._events if event.due <= now]:
            self._events.remove(event)
            event.attempts += 1
            _, error = self._invoke(handler, dict(event.payload), event.chain)
            if error is not None:
                event.due = time.time() + RETRY_DELAYS[0]
                self._events.append(event)
        self._invoke_batch("polls", handler)
        self._invoke_aws_events(handler)

    def _hint(self) -> None:
        """While one process waits for AWS, another handles events about all AMIs and locations."""
        if len(self._contexts) > 1:
            return
        with self.aws_events.all_delivered():
            for image_id in self.own_images():
                aws_events.image_event(image_id)
            for bucket, prefix in self.locations():
                aws_events.object_event(bucket, f"{prefix}.manifest.xml")
        while self._invoke_aws_events(_other_environment().handler):
            pass

    # The calls

    def call(self, name: str, carry_out: Callable[[], Any], refuse: Callable[[str], Any]) -> Any:
        """Carry out a call, with the fault that strikes it, if any.

        Args:
            name: of the call.
            carry_out: returns the service's answer.
            refuse: answers with an error of a kind of fault, or raises the client's exception.
        """
        if not self._contexts:
            return carry_out()
        self._check_time()
        self._check_cost(name)
        if self.on_call is not None:
            self.on_call(name)
        kind = self._strike(name)
        self._before_call(kind)
        if kind in ("fail", "throttle", "deny", "cut", "refuse"):
            return refuse(kind)
        answer = carry_out()
        if kind == "cut-after":
            return refuse("cut")
        if kind == "hang":
            self._reach(time.time() + budget.READ)
            self._check_time()
        if kind in ("hang", "garble"):
            return refuse(kind)
        if kind == "kill-after":
            raise Killed
        return answer

    def _before_call(self, kind: str | None) -> None:
        """The effect of a fault before the call is carried out."""
        match kind:
            case "kill":
                raise Killed
            case "meanwhile":
                self._meanwhile()
            case "twice":
                self.handle_twice()
            case "hint":
                self._hint()
            case "delay":
                self._reach(time.time() + budget.READ - 1)
            case _:
                return
        self._check_time()

    def _check_cost(self, call: str) -> None:
        """An event of AWS's costs no call of EC2's or S3's; one about others only one read."""
        if not (self._handled and aws_events.is_batch(self.handled)):
            return
        is_about_others = aws_events.is_about_others(self.handled)
        allowed = ("dynamodb:Query",) if is_about_others else ("dynamodb:", "sqs:")
        if not call.startswith(allowed):
            self.violations.append(f"An event of AWS's costs {call}: {self.handled}")

    def _check_time(self) -> None:
        if time.time() > self._contexts[-1].ends:
            self.counts["timeouts"] += 1
            raise Killed

    def _strike(self, name: str) -> str | None:
        for armed in self._armed:
            if armed.fault.call not in ("*", name) or armed.is_over:
                continue
            armed.seen += 1
            past = armed.seen - armed.fault.nth
            if past < 0:
                continue
            if past == armed.fault.times - 1:
                self._armed.remove(armed)
            armed.struck_at = armed.struck_at or time.time()
            self.counts[armed.fault.kind] += 1
            self.log.append(f"{armed.fault.kind} {name}")
            if name in _RESULT_PUTS or self._contexts[-1].is_for_failure_handler:
                self.answers_struck.append(time.time())
            return armed.fault.kind
        return None


@contextmanager
def running() -> Iterator[World]:
    """A world, until the context is left."""
    with ExitStack() as parts:
        clock = parts.enter_context(time_machine.travel(START, tick=False))
        parts.enter_context(ec2.install(time.time))
        parts.enter_context(conditional_deletes.enforced())
        parts.enter_context(mock_aws())
        _make_resources()
        variables = {
            "LEDGER_TABLE": "ledger",
            "REQUEST_TABLE": TEXTS,
            "POLL_QUEUE_URL": _queue_url("polls"),
            "ALLOWED_INSTANCE_TAG": "sandbox:bundled=yes",
            "UPLOAD_SECRET_ARNS": "*",
            "SANDBOX_RESPONSE_ORIGIN": "https://bucket.example",
            "EVENT_BUS": "default",
            "EVENT_QUEUE_ARN": aws_events.QUEUE_ARN,
        }
        parts.enter_context(patch.dict(os.environ, variables))
        parts.callback(_clear_caches)
        _clear_caches()
        for name in ("instance-bundle", "botocore", "crhelper.resource_helper"):
            parts.enter_context(_silent(logging.getLogger(name)))
        instances: dict[MethodName, list[str]] = {
            "BundleInstance": [ec2.run_windows_instance_store(aws.ec2()) for _ in range(2)],
            "StoreImage": [ec2.run_ebs_instance(aws.ec2()) for _ in range(2)],
        }
        aws.ec2().create_tags(
            Resources=[id_ for of_method in instances.values() for id_ in of_method],
            Tags=[{"Key": "sandbox:bundled", "Value": "yes"}],
        )
        key = {
            "AccessKeyId": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        secret = aws.secretsmanager().create_secret(Name="bundles", SecretString=json.dumps(key))
        world = World(clock, instances, secret["ARN"], _images_of_others(clock))
        world.allows_loops = _allows_loops()
        parts.enter_context(trace_headers.kept())
        parts.enter_context(world.events_put.watching())
        parts.enter_context(world.aws_events.installed())
        parts.enter_context(world.stack_reads.installed())
        parts.enter_context(patch("time.sleep", world.sleep))
        parts.enter_context(patch.object(BotocoreStubber, "__call__", _stub(world)))
        parts.enter_context(patch.object(SQSBackend, "receive_message", _receiving(world)))
        parts.enter_context(patch.object(HTTPConnectionPool, "_make_request", _put(world)))
        yield world


def steer(instance_id: str, **how: str | int) -> None:
    """Set how an instance's next bundle task, or image, proceeds: by its `sandbox:<name>` tags."""
    tags = {f"sandbox:{name.replace('_', '-')}": str(value) for name, value in how.items()}
    aws.ec2().create_tags(
        Resources=[instance_id],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def _images_of_others(clock: time_machine.Traveller) -> WorldsImages:
    """Images of an instance that no stack uses: one made by a person, one by another deployment."""
    instance = ec2.run_ebs_instance(aws.ec2())
    others: list[dict[str, str]] = [
        {"made-by": "a person"},
        {"made-by": "a deployment", REQUEST_TAG: "another's-request"},
    ]
    ids = []
    for number, tags in enumerate(others):
        ids.append(
            aws.ec2().create_image(
                InstanceId=instance,
                Name=f"another's-{number}",
                NoReboot=True,
                TagSpecifications=[
                    {
                        "ResourceType": kind,
                        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                    }
                    for kind in _TAGGED
                ],
            )["ImageId"]
        )
    clock.shift(60)
    ec2.advance_all()
    backend = ec2_backends[ACCOUNT][REGION]
    return WorldsImages(
        ec2=backend,
        images=images.of(ACCOUNT, REGION, time.time),
        tasks=store_tasks.of(ACCOUNT, REGION, time.time),
        foreign={id_: portrait(backend, backend.amis[id_]) for id_ in ids},
    )


def _items(table: str) -> list[dict[str, Any]]:
    from moto.dynamodb.models import dynamodb_backends

    found = dynamodb_backends[ACCOUNT][REGION].tables[table]
    return [item.to_json()["Attributes"] for item in found.all_items()]


def _make_resources() -> None:
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    for name, logical_id in {"ledger": "LedgerTable", TEXTS: "RequestTable"}.items():
        table = template["Resources"][logical_id]["Properties"]
        aws.dynamodb().create_table(
            TableName=name,
            **{each: table[each] for each in ("AttributeDefinitions", "KeySchema", "BillingMode")},
        )
    aws.sqs().create_queue(QueueName="dead-letters")
    redrive = {
        "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters",
        "maxReceiveCount": RECEIVES,
    }
    aws.sqs().create_queue(QueueName="polls", Attributes={"RedrivePolicy": json.dumps(redrive)})


def _allows_loops() -> bool:
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    return bool(template["Globals"]["Function"].get("RecursiveLoop") == "Allow")


def _stub(world: World) -> Callable[..., Any]:
    """Replaces moto's stubber: the world's faults strike a call before moto receives it."""
    carry_out_in_moto = BotocoreStubber.__call__

    def send(stubber: BotocoreStubber, event_name: str, request: Any, **_: Any) -> Any:
        service, action = event_name.split(".")[1:]
        service = _NAMES.get(service, service)

        name = f"{service}:{action}"
        is_of_tasks = name == EVENTS_PUT and _is_of_tasks(request.body)

        def carry_out() -> Any:
            error = world.caller and roles.refusal(world.caller, name, request)
            if error:
                world.note_refusal(name, error)
                return _answer(request, service, error)
            with by_function() if world.caller else nullcontext():
                answer = carry_out_in_moto(stubber, event_name, request)
            world.note_made(action)
            return answer

        def refuse(kind: str) -> Any:
            match kind:
                case "cut":
                    raise ConnectionClosedError(endpoint_url=request.url)
                case "hang":
                    raise ReadTimeoutError(endpoint_url=request.url)
                case "garble":
                    world.garbled += 1
                    body = UNREADABLE[world.garbled % len(UNREADABLE)]
                    return AWSResponse(request.url, 200, {}, MockRawResponse(body))  # type: ignore[arg-type]
            status, code = _ERRORS[service, kind]
            return _answer(request, service, ServiceError(status, code, "No."))

        if service == "dynamodb" and json.loads(request.body).get("TableName") == TEXTS:
            return world.call(f"texts:{action}", carry_out, refuse)
        return world.call(TASK_EVENTS_PUT if is_of_tasks else name, carry_out, refuse)

    return send


def _is_of_tasks(body: bytes) -> bool:
    details = [json.loads(entry["Detail"]) for entry in json.loads(body)["Entries"]]
    return {detail["State"] for detail in details} <= {"started", "progress"}


def _answer(request: Any, service: str, error: ServiceError) -> AWSResponse:
    code = error.code
    headers = {"x-amzn-query-error": f"{code};Sender"} if service in ("dynamodb", "sqs") else {}
    error_xml = f"<Code>{code}</Code><Message>{escape(error.message)}</Message>"
    body = {
        "cloudformation": f"<ErrorResponse><Error>{error_xml}</Error></ErrorResponse>",
        "ec2": f"<Response><Errors><Error>{error_xml}</Error></Errors></Response>",
        "s3": f"<Error>{error_xml}</Error>" if request.method != "HEAD" else "",
    }.get(service, json.dumps({"__type": code, "message": error.message}))
    return AWSResponse(request.url, error.status, headers, MockRawResponse(body))  # type: ignore[arg-type]


def _put(world: World) -> Callable[..., urllib3.HTTPResponse]:
    statuses = {"fail": 500, "throttle": 503, "deny": 403, "refuse": 400}

    def make_request(
        pool: HTTPConnectionPool, connection: Any, method: str, url: str, *args: Any, **kwargs: Any
    ) -> urllib3.HTTPResponse:
        def refuse(kind: str) -> urllib3.HTTPResponse:
            if kind in ("cut", "garble"):
                raise urllib3.exceptions.ProtocolError("Connection aborted.")
            if kind == "hang":
                raise urllib3.exceptions.ReadTimeoutError(pool, url, "Read timed out.")
            return urllib3.HTTPResponse(status=statuses[kind])

        return world.call(  # type: ignore[no-any-return]
            SIGNAL_PUT if url.startswith(handles.PATH) else RESPONSE_PUT,
            lambda: urllib3.HTTPResponse(status=world.on_answer(url, kwargs["body"])),
            refuse,
        )

    return make_request


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


@functools.cache
def _other_environment() -> ModuleType:
    """A second copy of the handler's module: another execution environment of the function."""
    specification = importlib.util.find_spec("instance_bundle.app")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _clear_caches() -> None:
    for cached in (
        settings,
        app.ledger,
        app.methods,
        app.lifecycle,
        last_resort.ledger,
        _other_environment,
    ):
        cached.cache_clear()
    _sqs.cache_clear()


@functools.cache
def _sqs() -> SQSBackend:
    return sqs_backends[ACCOUNT][REGION]


def _queue(name: str) -> Queue:
    return _sqs().queues[name]


def _queue_url(name: str) -> str:
    return aws.sqs().get_queue_url(QueueName=name)["QueueUrl"]


def _all(name: str) -> list[Message]:
    return list(_queue(name)._messages)


def _receive(name: str, count: int) -> list[Message]:
    """The messages that are visible now, as Lambda polls them; moto's own code is far slower."""
    now = time.time()
    visible = [message for message in _all(name) if _visible_from(message) <= now][:count]
    for message in visible if name == "polls" else []:
        if message.approximate_receive_count >= RECEIVES:
            _queue(name)._messages.remove(message)
            _queue("dead-letters")._messages.append(message)
    received = [message for message in visible if message in _queue(name)._messages]
    for message in received:
        message.mark_received(visibility_timeout=VISIBILITY_SECONDS)
    return received


def _receiving(world: World) -> Callable[..., list[Message]]:
    """Replaces moto's ReceiveMessage, which waits in real time."""

    def receive(_: SQSBackend, name: str, count: int, seconds: int, *__: Any) -> list[Message]:
        assert count == BATCH
        received = _receive(name, count)
        if received or not seconds:
            return received
        world.sleep(seconds)
        return _receive(name, count)

    return receive


def _failed(answer: Mapping[str, Any]) -> set[str]:
    """The messages of a batch that come again."""
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


def _visible_from(message: Message) -> float:
    # In milliseconds; moto makes a message visible just after that moment.
    return (max(message.delayed_until, message.visible_at) + 2) / 1000


def _record(message: Message) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": str(message.sent_timestamp),
        },
        "eventSource": "aws:sqs",
    }


def new_id() -> str:
    """An ID such as CloudFormation's."""
    return str(uuid.uuid4())
