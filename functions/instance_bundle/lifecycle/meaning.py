"""What a request means, by the stack's and the resource's status in CloudFormation.

The status is read before a request cancels, deletes, releases or overrides what another request
made or is making. A status of a stack at rest decides nothing at first, since what CloudFormation
returns may be some seconds old.
"""

from dataclasses import dataclass
from enum import StrEnum

from instance_bundle.aws import stacks
from instance_bundle.state import Evidence, Record


class Meaning(StrEnum):
    """What a request means."""

    GENUINE = "genuine"
    UNDOES = "genuine; it undoes the operation that made what it deletes"
    FORWARD = "an update that goes on"
    ROLLBACK = "an update that goes back"
    NOT_SENT = "not sent now"
    REPLACED = "genuine; the resource has another ID by now"
    NOTHING_MADE = "genuine, about a Create that made nothing"
    GONE = "about a stack that is gone"


UNKNOWN = stacks.Resource(status="")
"""A resource that CloudFormation was not asked about, or does not know."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What CloudFormation says about a request's stack and resource.

    Attributes:
        stack: the stack.
        resource: the resource.
        root: the stack at the top, if that was asked about.
        received: CloudFormation has received the answer to the Create that was asked about.
    """

    stack: stacks.Stack
    resource: stacks.Resource = UNKNOWN
    root: stacks.Stack | None = None
    received: bool = False

    def __str__(self) -> str:
        at = f", resource {self.resource.status}" if self.resource.status else ""
        top = f", root stack {self.root.status or 'unknown'}" if self.root else ""
        return f"stack {self.stack.status or 'unknown'}{at}{top}"


AT_REST = 120
"""Seconds for which a stack must be at rest, or unknown, before that is final; at most half of the
time that a request has left."""
TWICE = 10
"""Seconds for which a stack must be in a creation or update before that is final, and no rollback:
CloudFormation's answer may be some seconds old. At most half of the time that is left."""
ASK_AGAIN = 5
"""Seconds until CloudFormation's status is read again."""

_GOING_BACK = {"ROLLBACK", "CONTINUE_ROLLBACK"}
_GOES_BACK_ALONE = {"UPDATE_IN_PROGRESS", "UPDATE_FAILED"}
"""Of a stack of which single resources are rolled back, since rollback is disabled."""
_CREATES = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"}
_CREATES_NOTHING = {"ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"}
_CLEANS_UP_AFTER = {
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
}
_UPDATED = {"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"}
_UNDOES = {
    *("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
}
_DELETES = {"UPDATE_IN_PROGRESS", *_CLEANS_UP_AFTER, *_UNDOES}
_GONE = {"", "DELETE_COMPLETE"}


def needs_resource(me: Record, stack: stacks.Stack) -> bool:
    """Whether what a stack is doing does not say what a request means without its resource."""
    return me.request_type == "Delete" and stack.status not in (*_GONE, "DELETE_IN_PROGRESS")


def needs_root(me: Record, stack: stacks.Stack) -> bool:
    """Whether a stack waits for the one at the top before it cleans up.

    CloudFormation does not start to clean up nested stacks until all of them have been updated
    (CloudFormation User Guide, Troubleshooting, Nested stacks are stuck); until then all may be
    rolled back.
    """
    is_updated = stack.status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    return me.request_type == "Delete" and bool(stack.root_id) and is_updated


def meaning(
    me: Record, answers: Answers, now: float, *, goes_back: bool, mirrors: bool
) -> Meaning | Evidence:
    """What a request means; or, if that is not sure yet, the evidence so far.

    Args:
        me: the request's record, with the evidence so far.
        answers: what CloudFormation says now.
        now: epoch seconds.
        goes_back: it is an Update to an identity that the resource had before.
        mirrors: its properties are those from before the last Update, as a rollback's are.
    """
    if me.request_type == "Create":
        return _of_create(me, answers, now)
    if me.request_type == "Delete":
        said = _of_delete(me, answers, now)
        is_confirmed = said in (Meaning.GENUINE, Meaning.UNDOES)
        return Meaning.NOTHING_MADE if answers.received and is_confirmed else said
    if goes_back:
        return _of_update_back(me, answers, now, mirrors=mirrors)
    return _of_update(me, answers, now)


def _of_create(me: Record, answers: Answers, now: float) -> Meaning | Evidence:
    if answers.stack.status in _CREATES:
        said = _evidence(me, answers, now, "creates")
        return Meaning.GENUINE if _has_lasted(me, said, now, TWICE) else said
    if answers.stack.status in _CREATES_NOTHING:
        return Meaning.NOT_SENT
    return _idle(me, answers, now)


def _of_update(me: Record, answers: Answers, now: float) -> Meaning | Evidence:
    if answers.stack.status == "UPDATE_ROLLBACK_IN_PROGRESS":
        return Meaning.GENUINE
    if answers.stack.status == "UPDATE_IN_PROGRESS":
        said = _evidence(me, answers, now, "updates")
        return Meaning.GENUINE if _has_lasted(me, said, now, TWICE) else said
    return _idle(me, answers, now)


def _of_update_back(
    me: Record, answers: Answers, now: float, *, mirrors: bool
) -> Meaning | Evidence:
    stack = answers.stack
    is_alone = stack.status in _GOES_BACK_ALONE and stack.operation in _GOING_BACK
    if stack.status == "UPDATE_ROLLBACK_IN_PROGRESS" or is_alone:
        return Meaning.ROLLBACK
    if stack.status == "UPDATE_IN_PROGRESS":
        if stack.rollback_disabled and mirrors:
            # Single resources may be rolled back, which no status shows.
            return _evidence(me, answers, now, "ambiguous")
        said = _evidence(me, answers, now, "updates")
        return Meaning.FORWARD if _has_lasted(me, said, now, TWICE) else said
    return _idle(me, answers, now)


def _of_delete(me: Record, answers: Answers, now: float) -> Meaning | Evidence:
    stack, resource = answers.stack, answers.resource
    if answers.root is not None and answers.root.status not in _UPDATED:
        return _idle(me, answers, now)
    if stack.status in _GONE:
        said = _evidence(me, answers, now, "gone")
        return Meaning.GONE if _has_lasted(me, said, now, AT_REST) else said
    if stack.status == "DELETE_IN_PROGRESS":
        return Meaning.GENUINE
    # Until the clean-up, a rollback may still go back to what was replaced.
    is_replaced = stack.status in _CLEANS_UP_AFTER and resource.physical_id not in (
        "",
        me.physical_id,
    )
    is_deleted = stack.status in _DELETES and resource.status in ("DELETE_IN_PROGRESS", "")
    if (is_replaced or is_deleted) and stack.status in _UNDOES:
        return Meaning.UNDOES
    if is_replaced:
        return Meaning.REPLACED
    return Meaning.GENUINE if is_deleted else _idle(me, answers, now)


def _idle(me: Record, answers: Answers, now: float) -> Meaning | Evidence:
    """No operation runs that would send such a request; but the status may be out of date."""
    said = _evidence(me, answers, now, "idle")
    return Meaning.NOT_SENT if _has_lasted(me, said, now, AT_REST) else said


def _evidence(me: Record, answers: Answers, now: float, said: str) -> Evidence:
    before = me.evidence
    since = before.since if before is not None and before.said == said else now
    return Evidence(said, since, str(answers))


def _has_lasted(me: Record, said: Evidence, now: float, seconds: float) -> bool:
    """Whether this was said for so many seconds, or for half of the time that was left; never on
    the first answer."""
    return said.since < now and now >= said.since + min(seconds, (me.deadline - said.since) / 2)


def is_meant(record: Record, *meanings: Meaning) -> bool:
    """Whether CloudFormation has confirmed that a request means one of these."""
    return record.confirmed in {meaning.value for meaning in meanings}
