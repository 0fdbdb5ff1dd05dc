"""Steps that read the task, the resource, and what CloudFormation says."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from instance_bundle.errors import Doubtful, Paused, Refused
from instance_bundle.lifecycle import effects, history
from instance_bundle.lifecycle.driving import Driving, StepRun
from instance_bundle.lifecycle.earlier import end_earlier
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.meaning import ASK_AGAIN, Answers, Meaning, meaning
from instance_bundle.lifecycle.next_step import Wait, unconfirmed
from instance_bundle.state import Evidence
from instance_bundle.telemetry import logger


def describe(d: Driving) -> StepRun:
    last, target = d.me.task, d.me.target
    assert last is not None  # noqa: S101  next_step has seen it
    assert target is not None  # noqa: S101  there is no task without one
    found = yield from perform(effects.Describe(last.id))
    if found is None and (yield from perform(effects.HasFinished(last.id, target.location))):
        found = last.completed(d.now)
    if found is not None and not found.snapshot_ids:
        found = replace(found, snapshot_ids=last.snapshot_ids)
    lost = None if found else d.methods.of(last.id).lost(last, d.now)
    d.seen = replace(d.seen, described=True, task=found, lost=lost)
    return None


def find(d: Driving) -> StepRun:
    """Find the task after a crash, or a lost answer, before the task was stored."""
    assert d.me.target is not None  # noqa: S101  there is no attempt without one
    found = yield from perform(effects.Find(d.me.target, d.me.first_receipt))
    if found is not None:
        d.me = yield from perform(effects.MergeTask(d.me, found))
    d.seen = replace(d.seen, searched=True, described=found is not None, task=found)
    return None


def load(d: Driving) -> StepRun:
    d.resource = yield from perform(effects.Load(d.me.key))
    return None


def confirm(d: Driving) -> StepRun:
    """Confirm with CloudFormation what the request means; a single answer may be out of date."""
    me, resource = d.me, d.known()
    goes_back = history.goes_back(resource, me)
    answers = yield from _ask(d)
    if answers is None:
        assumed = Meaning.ROLLBACK if goes_back else Meaning.GENUINE
        yield from d.save(replace(me, confirmed=assumed.value))
        return None
    mirrors = history.undoes_last(resource, me)
    said = meaning(me, answers, d.now, goes_back=goes_back, mirrors=mirrors)
    if isinstance(said, Meaning):
        logger.info("CloudFormation was asked", meaning=said.value, said=str(answers))
        confirmed = Evidence(said.value, d.now, str(answers))
        yield from d.save(replace(me, confirmed=said.value, evidence=confirmed))
        return None
    if me.evidence is None or me.evidence.said != said.said:
        yield from d.save(replace(me, evidence=said))
    if d.now >= me.deadline:
        return unconfirmed(d.me)
    return d.pending(ASK_AGAIN)


def _ask(d: Driving) -> Generator[Effect[Any], Any, Answers | None]:
    try:
        unseen = history.answered_unseen(d.known(), d.me)
        return (yield from perform(effects.Ask(d.me, unseen)))
    except Doubtful as doubt:  # retried until the deadline; nothing is changed before
        raise Refused(doubt.refusal) from doubt


def end_all_earlier(d: Driving) -> StepRun:
    """End the work of earlier requests. While the application is paused, only a Delete waits for
    the removal of what they made; for a rollback, a later Delete removes it."""
    waits: Wait | None = None
    for other in history.unfinished_before(d.known(), d.me):
        try:
            wait = yield from end_earlier(d, other)
        except Refused as refused:
            if d.me.request_type == "Delete" or not isinstance(refused.refusal, Paused):
                raise
            logger.warning("Earlier work is left", request_id=other.key.request_id)
            continue
        waits = waits or wait
    d.seen = replace(d.seen, ended=True, still_running=waits)
    yield from load(d)
    return None
