"""The faults that a step can have, and how steps are performed with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from instance_bundle import budget
from instance_bundle.errors import (
    Denied,
    Doubtful,
    InstanceBundleError,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refused,
    Throttled,
)
from instance_bundle.lifecycle import effects
from tests.model.methods import Cut
from tests.model.process import Process
from tests.model.steps import ASK, GO_ON, LOAD, PUT, READ, REMOVE, REPAIR, SAVE, START, Step

if TYPE_CHECKING:
    from tests.model.world import World

FAULTS: Mapping[str, tuple[str, ...]] = {
    SAVE: ("lost", "twice", "throttle", "deny", "kill", "kill after"),
    LOAD: ("fail", "throttle", "deny", "kill"),
    READ: ("fail", "throttle", "deny", "deny for good", "late", "kill"),
    ASK: ("stale", "fail", "throttle", "deny", "deny for good", "kill"),
    START: ("lost", "fail", "throttle", "refuse", "later", "kill", "kill after"),
    GO_ON: ("lost", "fail", "throttle", "deny", "later", "kill", "kill after"),
    REMOVE: ("lost", "half", "throttle", "refuse", "later", "late", "kill", "kill after"),
    REPAIR: ("lost", "throttle", "deny", "kill"),
    PUT: ("lost", "fail", "kill", "kill after"),
}
"""The faults of a step, by its kind.

lost: it takes effect, and there is no answer. fail: no effect, and no answer. twice: it is
repeated, since the first answer was lost. throttle: AWS throttles it. refuse: a refusal that is
final. deny: a refusal that is retried, or is final only if it is repeated. deny for good: as deny,
and all later steps with this name are refused too, until a request is answered. later: a code that
asks to retry later. late: what was just written is not shown. half: it fails between two removals.
stale: the statuses before the current ones. kill: the process is killed before the step.
kill after: it is killed after the step.
"""

PASSING = frozenset(
    {
        *("lost", "fail", "twice", "throttle", "late", "half", "stale", "later"),
        *("kill", "kill after", "deny"),
    }
)
"""Faults after which a rollback and a Delete still succeed."""

_DENIED_SECONDS = 1000.0
"""How long `deny for good` lasts at most."""

_ERRORS = {"fail": PassingFault, "throttle": Throttled}


class Calls:
    """Performs the steps of processes, with or without a fault.

    Attributes:
        asked: requests for which CloudFormation's status was read.
        without_etag: tasks whose ETag could not be read.
    """

    def __init__(self, world: World, cut: Cut) -> None:
        self._world = world
        self._cut = cut
        self._denied_until: dict[str, float] = {}
        self.asked: set[str] = set()
        self.without_etag: set[str] = set()

    def perform(self, process: Process, step: Step) -> Any:
        """Perform a step without a fault; its result."""
        self._require_time(process, step)
        if self._denied_until.get(step.name, 0) > self._world.now:
            raise self._refusal(step)
        self._world.promises.about_to(step, process)
        result = step.do()
        if step.kind == ASK:
            self.asked.add(process.request_id)
        return result

    def perform_without_answer(self, process: Process, step: Step) -> None:
        """Perform a step without a fault; its result, or its error, is lost."""
        with suppress(InstanceBundleError):
            self.perform(process, step)

    def perform_with(self, fault: str, process: Process, step: Step) -> Any:
        """Perform a step with a fault; its result, if there is one."""
        if fault in _ERRORS:
            raise _ERRORS[fault](f"{step.name}: {fault}")
        match fault:
            case "deny" | "refuse":
                raise self._refusal(step)
            case "deny for good":
                self._denied_until[step.name] = self._world.now + _DENIED_SECONDS
                raise self._refusal(step)
            case "lost":
                self.perform(process, step)
                raise PassingFault(f"{step.name}: no answer")
            case "half":
                with self._cut.armed():
                    self.perform(process, step)
                raise PassingFault(f"{step.name}: no answer")
            case "twice":
                self.perform_without_answer(process, step)
                return self.perform(process, step)
            case "later":
                raise Refused(_denied(step))
            case "late":
                with self._world.cloud.late():
                    return self.perform(process, step)
            case "stale":
                self.asked.add(process.request_id)
                effect = step.effect
                return self._world.ask(effect.record.key, effect.answered, stale=True)
        raise ValueError(fault)

    def allow(self) -> None:
        """End all refusals."""
        self._denied_until.clear()

    def _refusal(self, step: Step) -> InstanceBundleError:
        if isinstance(step.effect, effects.Finished):
            self.without_etag.add(step.effect.task.id)
        return _refused(step)

    def _require_time(self, process: Process, step: Step) -> None:
        needed = budget.SAVE if step.kind in (SAVE, LOAD, PUT) else budget.WORK
        if process.ends_at - self._world.now < needed:
            raise NothingDone(f"{step.name}: too little time is left in this invocation")


def _denied(step: Step) -> Denied:
    return Denied(step.name, "UnauthorizedOperation", "You are not authorized")


def _refused(step: Step) -> InstanceBundleError:
    """The error of a step that IAM refuses, by its kind: as in `aws.refusals.TABLE`."""
    denied = _denied(step)
    if step.kind in (START, REMOVE):
        return denied
    if step.kind == GO_ON:
        return Refused(NotRegistered("the work", "s3://images", str(denied)))
    if step.kind == REPAIR:
        return Refused(denied)
    return Doubtful(denied)
