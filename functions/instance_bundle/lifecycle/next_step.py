"""The next step for a request: the first row of a table that matches.

No function here makes a call, reads a clock or writes anything. The input is what is known, the
output one step. `flow` performs the steps.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from instance_bundle import budget
from instance_bundle.errors import (
    CannotTell,
    DeadlineExceeded,
    NotConfirmed,
    NotEnded,
    Refusal,
    Superseded,
    Timeout,
)
from instance_bundle.lifecycle import history
from instance_bundle.lifecycle.meaning import Meaning, is_meant
from instance_bundle.methods import Bundle, Task
from instance_bundle.state import (
    Answer,
    Cleanup,
    Done,
    Failed,
    Progress,
    Record,
    Resource,
    Response,
)

SHOWS_AFTER = 30
"""Seconds after which a Describe lists what a call started, if it started anything."""

BUSY = "another process is at work on the resource"


class Wait(NamedTuple):
    """Poll again after so many seconds."""

    seconds: int
    why: str


class Reply(NamedTuple):
    """The request is answered with this."""

    answer: Answer


class Do(NamedTuple):
    """Perform this, and decide again with what is known then."""

    what: Literal[
        "describe",
        "go on",
        "fail",
        "time out",
        "believe that it is lost",
        "find",
        "load",
        "confirm",
        "end earlier",
        "release",
        "start",
        "update in place",
        "delete",
        "supersede",
        "cancel",
        "clean up",
    ]
    task: Task | None = None


Step = Wait | Reply | Do


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen since the record was read.

    Attributes:
        described: the request's task was described.
        task: as EC2 lists it; None if it does not.
        lost: the answer if EC2 keeps not listing the task; None if that means nothing.
        searched: a task that may have been started was searched for.
        ended: the work of earlier requests was cancelled and cleaned up, as far as it has ended.
        still_running: work of earlier requests that has not ended yet; None if all has.
    """

    described: bool = False
    task: Task | None = None
    lost: Refusal | None = None
    searched: bool = False
    ended: bool = False
    still_running: Wait | None = None


def next_step(  # noqa: C901  a table, with a row for each branch
    me: Record, resource: Resource | None, seen: Seen, now: float
) -> Step:
    """The next step for a request.

    Args:
        me: its record.
        resource: all that is known about its resource; None if the ledger was not read yet.
        seen: what was seen since the record was read.
        now: epoch seconds.
    """
    overdue = now >= me.deadline
    match me:
        case Record(answer=Done() | Failed() as answer):
            return Reply(answer)
        case Record(request_type="Create" | "Update", superseded=True):
            return Reply(failed(me, Superseded()))
        case Record(request_type="Create" | "Update", task=Task() as last):
            return _step_of_work(last, seen, overdue=overdue)
        case Record(work=Progress.ATTEMPTED) if not seen.searched:
            return Do("find")
        case Record(work=Progress.ATTEMPTED) if may_show_yet(me, now) and not overdue:
            return Wait(budget.AFTER_FAULT, "what was started may not be shown yet")
    if resource is None:
        return Do("load")
    if me.request_type != "Delete" and history.is_late(resource, me):
        return Reply(_late(me, resource))
    if (accepted := accepted_before(me, resource)) is not None:
        return Reply(accepted)
    if not me.confirmed and history.touches_others(resource, me):
        return Do("confirm")
    if is_meant(me, Meaning.NOT_SENT):
        return Reply(unconfirmed(me))
    if is_meant(me, Meaning.GONE):
        return Reply(Done(me.physical_id))
    if history.unfinished_before(resource, me) and not seen.ended:
        return Do("end earlier")
    match me.request_type:
        case "Create":
            return _step_of_create(me, resource, seen, overdue=overdue)
        case "Update":
            return _step_of_update(me, resource, seen, overdue=overdue)
        case "Delete":
            return _step_of_delete(me, seen, overdue=overdue)


def _step_of_work(last: Task, seen: Seen, *, overdue: bool) -> Step:
    match seen:
        case Seen(described=False):
            return Do("describe")
        case Seen(task=None) if overdue:
            return Do("time out", last)
        case Seen(task=None, lost=None):
            return Wait(budget.AFTER_FAULT, "EC2 does not list the task")
        case Seen(task=None):
            return Do("believe that it is lost")
        case Seen(task=Task(phase="failed") as task):
            return Do("fail", task)
        case Seen(task=Task(phase="running") as task) if overdue:
            return Do("time out", task)
        case _:
            return Do("go on", seen.task)


def _step_of_create(me: Record, resource: Resource, seen: Seen, *, overdue: bool) -> Step:
    if overdue:
        return Reply(failed(me, _not_started(me, seen)))
    if seen.still_running is not None:
        return seen.still_running
    return Do("release") if resource.bundles else Do("start")


def _step_of_update(me: Record, resource: Resource, seen: Seen, *, overdue: bool) -> Step:
    current = history.held(resource, me.physical_id)
    identity = history.identity(me)
    waits = None if overdue else seen.still_running
    if is_meant(me, Meaning.ROLLBACK):
        goal = history.before(resource, me, identity)
        refused = failed(me, CannotTell("the ledger does not have the earlier one"))
        return waits or Reply(answered(goal) if goal else refused)
    if current is not None and current.identity == identity:
        return waits or Do("update in place")
    if overdue:
        return Reply(failed(me, _not_started(me, seen)))
    if waits is not None:
        return waits
    return Do("release") if history.owned(resource, identity) else Do("start")


def _step_of_delete(me: Record, seen: Seen, *, overdue: bool) -> Step:
    if seen.still_running is None:
        return Do("delete")
    if overdue:
        return Reply(failed(me, NotEnded(timeout_of(me).seconds, seen.still_running.why)))
    return seen.still_running


def next_step_for_earlier(other: Record, seen: Seen, now: float) -> Step | None:
    """The next step for the work of an earlier request, which a later one cancels.

    Args:
        other: the earlier request's record.
        seen: `searched` if its task was read from EC2, and the task.
        now: epoch seconds.

    Returns:
        The step; None if nothing is to be done, since the earlier request has succeeded.
    """
    at_work = other.answer is None and now < other.lease_until
    young = may_show_yet(other, now)
    if at_work and other.response == Response.ACCEPTANCE_STORED:
        return Wait(budget.NEXT_POLL, BUSY)  # CloudFormation may have the acceptance already
    if other.answer is None and not other.superseded:
        return Do("supersede")
    if other.succeeded:
        return None
    if not seen.searched:
        return Do("find")
    match seen.task:
        case None if at_work:
            return Wait(budget.NEXT_POLL, BUSY)
        case None if young and other.cleanup == Cleanup.NONE:
            return Wait(budget.NEXT_POLL, "a task may have been started")
        case Task(phase="complete") | Task(state="available") as task if young:
            return Wait(budget.NEXT_POLL, f"{task}, and may have gone on")
        case Task(phase="running") as task:
            return Do("cancel", task)
        case Task(phase="complete") if at_work:
            return Wait(budget.NEXT_POLL, BUSY)
        case task:
            return Do("clean up", task)


def may_show_yet(record: Record, now: float) -> bool:
    """Whether a task that was started may not be listed yet at `now` (epoch seconds)."""
    return record.attempted_at is not None and now < record.attempted_at + SHOWS_AFTER


def accepted_before(me: Record, resource: Resource) -> Done | None:
    """The answer to an Update that leaves accepted work as it is: a handle waits for that work."""
    request = me.request
    if request is None or not request.repeats_handle or request.changes_image:
        return None
    return history.under_way(resource, me, history.identity(me))


def answered(bundle: Bundle) -> Done:
    """The answer with a bundle's ID and attributes."""
    return Done(bundle.physical_id, bundle.attributes)


def failed(me: Record, refusal: Refusal) -> Failed:
    """The answer FAILED.

    An Update's has the physical ID that CloudFormation has already. A Create's has the ID of its
    task, by which a Delete finds what is left.
    """
    return Failed(id_of_failure(me), str(refusal))


def id_of_failure(me: Record) -> str:
    """The physical ID in the answer to a request that failed."""
    if me.request_type == "Create" and me.task is not None:
        return me.task.id
    return me.physical_id or f"{me.key.logical_id}-{me.key.request_id}"


def timeout_of(me: Record) -> Timeout:
    """How long the work may take, and which property sets that."""
    assert me.request is not None  # noqa: S101  it has not been answered yet
    return me.request.timeout(accepted=me.acceptance is not None)


def _late(me: Record, resource: Resource) -> Answer:
    """The answer to a request that was received after a later one: it starts nothing."""
    bundle = history.owned(resource, history.identity(me)) if me.request_type == "Update" else None
    return answered(bundle) if bundle is not None else failed(me, Superseded())


def unconfirmed(me: Record) -> Failed:
    """The answer to a request that CloudFormation does not confirm."""
    said = me.evidence.words if me.evidence is not None else "it was not asked in time"
    if me.evidence is not None and me.evidence.said in ("updates", "ambiguous"):
        return failed(me, CannotTell(said))
    return failed(me, NotConfirmed(me.request_type, said))


def _not_started(me: Record, seen: Seen) -> Refusal:
    running = seen.still_running
    why = running.why if running is not None else "the task could not be started"
    return DeadlineExceeded(timeout_of(me), why)
