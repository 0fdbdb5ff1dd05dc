"""`why`: what a stack waits for, and the commands that free it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr, ConditionBase

from cli import polls, stacks, waits, ways
from cli.errors import NotFound
from cli.installation import Installation
from cli.output import duration, moment
from cli.stacks import Member, Stack
from cli.typed import Typed, Way
from cli.waits import Request
from instance_bundle.state import inspection

_STUCK = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE")
"""Where a stack stays until somebody does something; so it does at any ROLLBACK_FAILED."""


@dataclass(frozen=True, slots=True)
class Why:
    """What a stack waits for.

    Attributes:
        stack: as CloudFormation describes it.
        requests: those in flight.
        others: the resources that CloudFormation waits for, and of which no request is in flight.
        ways: the commands that free it, the best ones first.
        now: epoch seconds.
    """

    stack: Stack
    requests: Sequence[Request]
    others: Sequence[Member]
    ways: Sequence[Way]
    now: float

    @property
    def is_stuck(self) -> bool:
        """Whether it does not go on by itself."""
        status = self.stack.status
        return (
            status in _STUCK
            or status.endswith("ROLLBACK_FAILED")
            or any(request.is_stuck(self.now) for request in self.requests)
        )

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        failure = self.stack.failure
        return {
            "stack": self.stack.name,
            "stackId": self.stack.stack_id,
            "status": self.stack.status,
            "isStuck": self.is_stuck,
            "lastFailure": failure
            and {
                "logicalId": failure.logical_id,
                "status": failure.status,
                "reason": failure.reason,
                "at": moment(failure.at),
            },
            "requests": [self._request_as_json(request) for request in self.requests],
            "others": [
                {"logicalId": each.logical_id, "type": each.type, "status": each.status}
                for each in self.others
            ],
            "ways": [
                {"command": way.command, "does": way.does, "left": way.left} for way in self.ways
            ],
        }

    def _request_as_json(self, request: Request) -> Mapping[str, object]:
        record = request.record
        return {
            "logicalId": record.key.logical_id,
            "requestId": record.key.request_id,
            "requestType": record.request_type,
            "taskId": record.task.id if record.task else None,
            "waitsFor": request.kind,
            "words": request.words,
            "since": moment(request.since),
            "givesUpAt": moment(record.deadline),
            "nextPollAt": moment(request.poll_due),
            "isLate": request.is_late(self.now),
            "begun": record.begun,
        }

    def lines(self) -> Iterator[str]:
        """What people read."""
        yield f"Stack {self.stack.name} is {self.stack.status}."
        for request in self.requests:
            yield from self._lines_of(request)
        for each in self.others:
            yield f"{each.logical_id} is {each.status}: {_not_ours(each)}"
        failure = self.stack.failure
        if not self.requests and not self.others:
            yield "It does not wait for the application."
        if failure is not None:
            ago = duration(self.now - failure.at)
            yield f"{failure.logical_id} was {failure.status} {ago} ago: {failure.reason}"
        if self.ways:
            yield "To free it:" if self.is_stuck else "To end it sooner:"
        for way in self.ways:
            yield f"  {way.command}"
            yield f"    {way.does}"
            yield f"    Left: {way.left}"

    def _lines_of(self, request: Request) -> Iterator[str]:
        record, now = request.record, self.now
        ends = (
            f"gives up in {duration(record.deadline - now)}"
            if record.deadline > now
            else f"should have given up {duration(now - record.deadline)} ago"
        )
        sent = f"sent {duration(now - record.sent_at)} ago"
        yield f"{record.key.logical_id}: {record.request_type}, {sent}, {ends}."
        since = f" Since {duration(now - request.since)}." if request.since > record.sent_at else ""
        yield f"  {request.words.rstrip('.')}.{since}"
        if request.is_late(now):
            late = duration(now - request.poll_due)
            yield f"  No poll has come: the next one was due {late} ago."
        elif request.poll_due > now:
            yield f"  The next poll is in {duration(request.poll_due - now)}."
        if record.begun > 1:
            yield f"  The last {record.begun} invocations with it did not end: see the log."


def read(installation: Installation, stack: str, logical_id: str | None, now: float) -> Why:
    """What a stack waits for.

    Args:
        installation: whose ledger has the requests.
        stack: the stack's name, or its ID.
        logical_id: of the one resource to show; None for all.
        now: epoch seconds.

    Raises:
        NotFound: there is no such stack, or no such resource.
        Refused: AWS refuses a call.
    """
    found = stacks.read(installation.account, stack)
    items = installation.items(_about(found.stack_id))
    records = inspection.requests(items)
    if logical_id and logical_id not in {
        *(member.logical_id for member in found.members),
        *(record.key.logical_id for record in records),
    }:
        raise NotFound(f"Stack {found.name} has no resource {logical_id}.")
    requests = [
        request
        for request in waits.find(records, inspection.images_made(items), now)
        if logical_id in (None, request.record.key.logical_id)
    ]
    ours = {request.record.key.logical_id for request in requests}
    others = [
        member
        for member in found.members
        if member.in_progress
        and member.logical_id not in ours
        and logical_id in (None, member.logical_id)
    ]
    typed = Typed(installation)
    return Why(found, requests, others, _ways(installation, found, requests, typed, now), now)


def _ways(
    installation: Installation, stack: Stack, requests: Sequence[Request], typed: Typed, now: float
) -> Sequence[Way]:
    found: list[Way] = []
    if any(request.kind == "pause" for request in requests):
        found.append(ways.unpause(installation, typed))
    late = [request.record for request in requests if request.is_late(now)]
    if late:
        found += polls.ways(installation, typed, *late)
    for request in requests:
        found += ways.of_request(request, typed)
    return [*found, *ways.of_stack(stack, requests, typed)]


def _about(stack_id: str) -> ConditionBase:
    return Attr("resource").begins_with(f"{stack_id}|") | Attr("owner").begins_with(f"{stack_id}|")


def _not_ours(member: Member) -> str:
    if member.type == stacks.BUNDLE:
        return (
            "the application has no request about it in flight. Either CloudFormation has its"
            " answer already, or the function has not received the request."
        )
    nested = f" See `instance-bundle why {member.nested}`." if member.nested else ""
    return f"CloudFormation waits for the {member.type}.{nested}"
