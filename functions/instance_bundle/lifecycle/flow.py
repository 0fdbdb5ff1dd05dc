"""The flow: it performs the steps that `next_step` returns, until a request waits or is answered.

It makes no call. It yields effects, and is sent their results.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any

from instance_bundle.errors import Doubtful, ImagePending, Refused
from instance_bundle.lifecycle import effects, finding, interval, keeping, making
from instance_bundle.lifecycle.driving import Driving, StepRun
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.next_step import Do, Reply, Wait, failed, next_step
from instance_bundle.methods import Methods, Task
from instance_bundle.state import Outcome, Progress, Record

_STEPS: Mapping[str, Callable[[Driving], StepRun]] = {
    "describe": finding.describe,
    "find": finding.find,
    "load": finding.load,
    "confirm": finding.confirm,
    "end earlier": finding.end_all_earlier,
    "believe that it is lost": making.believe_lost,
    "release": making.release,
    "start": making.start,
    "update in place": keeping.update_in_place,
    "delete": keeping.delete,
}
_STEPS_OF_TASKS: Mapping[str, Callable[[Driving, Task], StepRun]] = {
    "go on": making.go_on,
    "fail": making.fail,
    "time out": making.time_out,
}


def drive(me: Record, methods: Methods) -> Generator[Effect[Any], Any, Outcome]:
    """Decide on a step, perform it, and repeat.

    Args:
        me: the request's record; this process has its lease.
        methods: the methods, for what they know without a call.

    Raises:
        PassingFault: an effect failed; the next poll retries it.
        Refusal: the request is answered FAILED.
    """
    d = Driving(me, methods)
    while True:
        d.now = yield from perform(effects.Now())
        match next_step(d.me, d.resource, d.seen, d.now):
            case Wait(seconds):
                return d.pending(seconds)
            case Reply(answer):
                return answer
            case Do(what, task):
                outcome = yield from _carry_out(d, what, task)
        if outcome is not None:
            return outcome


def _carry_out(d: Driving, what: str, task: Task | None) -> StepRun:
    """Perform a step. While no work runs, a repeated refusal is final. An AMI that EC2 has
    announced is described again soon."""
    try:
        return (yield from _STEPS_OF_TASKS[what](d, task) if task else _STEPS[what](d))
    except ImagePending as pending:
        yield from perform(effects.ExpectImage(d.me, pending.image_id))
        soon = interval.after_event(d.now - d.me.hinted_at)
        if soon is None or d.now >= d.me.deadline:
            raise
        return d.pending(soon)
    except Doubtful as doubt:
        if d.me.work > Progress.TARGET or d.me.request_type == "Update":
            raise Refused(doubt.refusal) from doubt
        return failed(d.me, d.believed(doubt))
