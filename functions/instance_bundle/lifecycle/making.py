"""Steps that make a bundle, from the claim of its location to the answer."""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import (
    DeadlineExceeded,
    Denied,
    Doubtful,
    LocationTaken,
    NothingDone,
    PassingFault,
    Refusal,
    Refused,
    RefusedToTheEnd,
    TaskFailed,
)
from instance_bundle.lifecycle import effects, finding, history, interval
from instance_bundle.lifecycle.driving import Driving, StepRun
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.next_step import (
    answered,
    failed,
    may_show_yet,
    timeout_of,
)
from instance_bundle.methods import Bundle, Task, Work, Written, utc
from instance_bundle.request import Location, Properties, Target, on_delete
from instance_bundle.state import Done, Failed, Pending
from instance_bundle.telemetry import logger


def release(d: Driving) -> StepRun:
    """Release what CloudFormation retained: it no longer manages it, and asks for it again."""
    resource, asked = d.known(), history.identity(d.me)
    for bundle in resource.bundles:
        if d.me.request_type == "Create" or bundle.identity == asked:
            yield from perform(effects.ReleaseBundle(d.me.key, bundle))
    yield from finding.load(d)
    return None


def start(d: Driving) -> StepRun:
    properties = yield from perform(effects.Admit(d.me))
    work = d.work(properties)
    try:
        if properties.dry_run:
            return (yield from _dry_run(d, work))
        identity, said = properties.identity, on_delete(d.request().properties)
        targeted = replace(d.me, target=work.target, identity=identity, on_delete=said)
        if not (yield from d.save(targeted)):
            return None
        refusal = yield from _occupy(d, work.target)
        if refusal is not None:
            return failed(d.me, refusal)
        return (yield from _attempt(d, work))
    except Doubtful as doubt:
        refusal = d.believed(doubt)
        yield from perform(effects.ReleaseLocation(work.target.location, d.me.key))
        return failed(d.me, refusal)


def _dry_run(d: Driving, work: Work) -> StepRun:
    if (yield from perform(effects.IsTaken(work.target))):
        return failed(d.me, _taken(work.target.location))
    try:
        yield from perform(effects.DryRun(work))
    except Refusal as refusal:
        return failed(d.me, refusal)
    now, id_ = utc(d.now), f"dryrun-{d.me.key.request_id}"
    return (yield from _finish(d, work, Task(id_, "complete", "complete", "100%", now, now)))


def _occupy(d: Driving, target: Target) -> Generator[Effect[Any], Any, Refusal | None]:
    """Claim the location. Another claim counts while its bundle exists, or is being made."""
    location, key = target.location, d.me.key
    holder = yield from perform(effects.Claim(location, key))
    taken: bool | None = None
    if holder is not None:
        other = yield from perform(effects.Read(holder))
        if other is None or not other.may_write:
            taken = yield from perform(effects.IsTaken(target))
            if not taken:
                holder = yield from perform(effects.Claim(location, key, instead_of=holder))
    if holder is not None:
        whose = f"{holder.logical_id} of the stack {holder.stack_name}"
        return LocationTaken(location.s3_uri, f"the resource {whose} has a bundle")
    if taken is None and (yield from perform(effects.IsTaken(target))):
        yield from perform(effects.ReleaseLocation(location, key))
        return _taken(location)
    return None


def _taken(location: Location) -> Refusal:
    return LocationTaken(
        location.s3_uri, "there is a bundle, or a key of one of its parts, already"
    )


def _attempt(d: Driving, work: Work) -> StepRun:
    now = yield from perform(effects.Now())
    if not (yield from d.save(replace(d.me, attempted_at=now))):
        return None
    try:
        task = yield from perform(effects.Start(work))
    except Refusal as refusal:
        yield from perform(effects.ReleaseLocation(work.target.location, d.me.key))
        yield from _take_back(d)
        return (yield from _failed(d, refusal))
    except NothingDone:
        yield from _take_back(d)
        raise
    try:
        d.me = yield from perform(effects.MergeTask(d.me, task))
    except Doubtful as doubt:  # the task runs
        raise Refused(doubt.refusal) from doubt
    logger.info("Started", task_id=task.id, s3_uri=work.target.location.s3_uri)
    return _under_way(d, work, task, budget.NEXT_POLL)


def _take_back(d: Driving) -> Generator[Effect[Any], Any, None]:
    """Store that an attempt started nothing for sure, whatever other processes wrote meanwhile."""
    while not (yield from d.save(replace(d.me, attempted_at=None, attempts=d.me.attempts + 1))):
        pass


def go_on(d: Driving, seen: Task) -> StepRun:
    """Start the next stage, if the last one has ended.

    The attempt is stored before the call: if the answer is lost, what the call made is not listed
    at first.
    """
    me, last = d.me, d.me.task
    assert last is not None  # noqa: S101  next_step has seen it
    assert me.request is not None  # noqa: S101  it has not been answered yet
    work = d.work(Properties.parse(me.request.properties))  # it was admitted
    goes_on = d.methods.of(last.id).has_next(work, seen)
    was_young = may_show_yet(me, d.now)
    if goes_on and not (yield from d.save(replace(me, attempted_at=d.now))):
        return None
    try:
        task = yield from perform(effects.Advance(work, last, seen))
    except Refusal as refusal:
        if goes_on and not was_young:
            yield from d.save(replace(d.me, attempted_at=me.attempted_at))
        return (yield from _failed(d, refusal))
    if task.phase == "complete":
        return (yield from _finish(d, work, task))
    # If the next stage has started, that is what the event was about.
    since_hint = math.inf if goes_on else d.now - me.hinted_at
    expected = task.is_announced or me.event_expected
    seconds = interval.next_poll(task, d.now, since_hint, expected=expected)
    return _under_way(d, work, task, seconds)


def _under_way(d: Driving, work: Work, task: Task, seconds: int) -> Pending:
    """The work continues; if a handle waits for its end, the acceptance is the answer for now."""
    pending = d.pending(seconds, task)
    if d.me.acceptance_sent or d.request().handle is None:
        return pending
    accepted = d.me.acceptance or Done(task.id, d.attributes(work, task))
    return replace(pending, acceptance=accepted)


def fail(d: Driving, task: Task) -> StepRun:
    if d.me.target is not None:
        at = d.me.target.location
        yield from perform(effects.ReleaseLocation(at, d.me.key))
    return (yield from _failed(d, TaskFailed(task.id, task.error_code, task.error_message)))


def _failed(d: Driving, refusal: Refusal) -> Generator[Effect[Any], Any, Failed]:
    """The answer FAILED, with what could not be checked before the work was started."""
    hint = ""
    if d.me.target is not None:
        try:
            hint = yield from perform(effects.Hint(d.me.target))
        except PassingFault as fault:
            logger.warning("The Reason has no hint", fault=str(fault))
    return failed(d.me, Refusal(f"{refusal} Not checked before: {hint}") if hint else refusal)


def believe_lost(d: Driving) -> StepRun:
    assert d.seen.lost is not None  # noqa: S101  next_step has seen it
    return failed(d.me, d.believed(Doubtful(d.seen.lost)))
    yield  # a generator, as all steps are, without an effect


def time_out(d: Driving, task: Task) -> StepRun:
    end = yield from _cancelled(d, task)
    timeout, last_seen, doubt = timeout_of(d.me), f"{task}; {end}", d.me.doubt
    # What is repeated is stored again once it is forgotten: if that was just now, by the next poll.
    if doubt is not None and doubt.is_recent(d.now - 2 * budget.AFTER_FAULT):
        return failed(d.me, RefusedToTheEnd(timeout, doubt.reason, last_seen))
    return failed(d.me, DeadlineExceeded(timeout, last_seen))


def _cancelled(d: Driving, task: Task) -> Generator[Effect[Any], Any, str]:
    """Cancel a task; what became of it, for a Reason. The answer can't wait: if the task can't be
    cancelled now, CloudFormation's next request does that."""
    if task.state == "available" and may_show_yet(d.me, d.now):
        return "it may be stored already"  # EC2 does not show it yet, and can't cancel it
    try:
        yield from perform(effects.Cancel(task.id))
    except (PassingFault, Denied) as error:
        logger.error("The task could not be cancelled", task_id=task.id, error=str(error))
        return "it was not cancelled"
    return d.methods.of(task.id).after_cancel(task)


def _finish(d: Driving, work: Work, task: Task) -> StepRun:
    properties, location = work.properties, work.target.location
    written = Written("") if properties.dry_run else (yield from _written(d, location, task))
    bundle = Bundle(
        physical_id=task.id,
        made_by=d.me.key.request_id,
        location=location,
        etag=written.etag,
        version=written.version,
        identity=properties.identity,
        attributes=d.attributes(work, task),
        on_delete=on_delete(d.request().properties),
        replaces=d.me.physical_id,
    )
    yield from perform(effects.PutBundle(d.me.key, bundle))
    return answered(bundle)


def _written(d: Driving, location: Location, task: Task) -> Generator[Effect[Any], Any, Written]:
    """The finished bundle's object; empty if it can't be read, which must not fail the bundle."""
    try:
        return (yield from perform(effects.Finished(location, task))) or Written("")
    except PassingFault as fault:
        if d.now < d.me.deadline:
            if not isinstance(fault, Doubtful):
                raise
            d.believed(fault)
        logger.warning("OnDelete can't remove this bundle", why=str(fault))
        return Written("")
