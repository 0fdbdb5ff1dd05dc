"""Cancels and cleans up unfinished work of earlier requests about the same resource."""

from collections.abc import Generator
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import Doubtful, Refused
from instance_bundle.lifecycle import effects
from instance_bundle.lifecycle.driving import Driving
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.next_step import Do, Seen, Wait, next_step_for_earlier
from instance_bundle.lifecycle.removal import removes
from instance_bundle.methods import Bundle, Task, Written
from instance_bundle.request import Location, Target
from instance_bundle.state import Cleanup, Record, Tombstone
from instance_bundle.telemetry import logger


def end_earlier(d: Driving, other: Record) -> Generator[Effect[Any], Any, Wait | None]:
    """Cancel and clean up the work of an earlier request, which CloudFormation no longer waits for.

    Args:
        d: the later request.
        other: the earlier request's record.

    Returns:
        What has not ended yet; None if nothing is left.
    """
    seen = Seen()
    while True:
        match next_step_for_earlier(other, seen, d.now):
            case Wait() as wait:
                return wait
            case Do("supersede"):
                other = yield from perform(effects.Mark(other, "superseded"))
            case Do("find"):
                seen = Seen(searched=True, task=(yield from _find(other)))
            case Do("cancel", Task() as task):
                if (yield from perform(effects.Cancel(task.id))):
                    yield from perform(effects.Mark(other, "cancel_requested"))
                why = f"{task}; {d.methods.of(task.id).after_cancel(task)}"
                return Wait(budget.NEXT_POLL, why)
            case Do("clean up", task):
                yield from _clean_up(d, other, task)
                return None
            case _:
                return None


def _find(other: Record) -> Generator[Effect[Any], Any, Task | None]:
    """The task. It may run, so a refused read is retried until the deadline."""
    try:
        if other.task is not None:
            return (yield from perform(effects.Describe(other.task.id)))
        if other.attempted_at is None or other.target is None:
            return None
        found = yield from perform(effects.Find(other.target, other.first_receipt))
    except Doubtful as doubt:
        raise Refused(doubt.refusal) from doubt
    if found is not None:
        yield from perform(effects.MergeTask(other, found))
    return found


def _clean_up(d: Driving, other: Record, seen: Task | None) -> Generator[Effect[Any], Any, None]:
    me = d.me
    if other.target is not None:
        yield from _clear(d, other, other.target, seen)
    for bundle in d.known().bundles:
        if bundle.made_by == other.key.request_id:
            stone = Tombstone(bundle.physical_id, me.sent, unseen=False)
            yield from perform(effects.LeaveTombstone(me.key, stone))
    yield from perform(effects.Mark(other, "cleaned_up"))


def _unlisted(last: Task, location: Location) -> Generator[Effect[Any], Any, Task | None]:
    """A task that EC2 no longer lists, if it has finished; otherwise None."""
    if (yield from perform(effects.HasFinished(last.id, location))):
        now = yield from perform(effects.Now())
        return last.completed(now)
    return None


def _clear(
    d: Driving, other: Record, target: Target, seen: Task | None
) -> Generator[Effect[Any], Any, None]:
    """Remove what work left that has ended, if its location is still its own.

    A bundle that was finished, but not answered, is treated as its Delete would treat it: if it is
    retained, so is its claim. One that was finished although its cancel was requested is removed.
    """
    location = target.location
    if (yield from perform(effects.Claim(location, other.key))) is not None:
        logger.info("Another resource has the location now", s3_uri=location.s3_uri)
        return
    last = other.task
    if seen is None and last is not None:
        seen = yield from _unlisted(last, location)
    task = seen or last
    if seen is not None and seen.phase == "complete" and other.cleanup == Cleanup.NONE:
        if not removes(d.me, other):
            s3_uri = d.methods.of(seen.id).outputs(location, seen).s3_uri
            yield from perform(effects.KeepLocation(location, other.key, s3_uri))
            return
        # An interrupted removal may have left some objects, but not the one that is read here.
        written = (yield from perform(effects.Finished(location, seen))) or Written("")
        snapshots = seen.snapshot_ids or (last.snapshot_ids if last is not None else "")
        unanswered = Bundle(
            *(seen.id, other.key.request_id, location, written.etag),
            attributes={"SnapshotIds": snapshots, "StartTime": seen.started},
            version=written.version,
        )
        checked = yield from perform(effects.CheckRemoval(unanswered))
        yield from perform(effects.Remove(checked))
    elif task is not None:
        yield from perform(effects.RemoveLeftovers(target, task))
    yield from perform(effects.ReleaseLocation(location, other.key))
