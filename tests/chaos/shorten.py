"""The kinds of violations, and the shortest sequence that shows one."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.sequence import Step, carry_out
from tests.chaos.steps import BUNDLE
from tests.chaos.world import FAULTS, KILLS, Violation, World

_LOGGED = ("crashed: ", "not allowed: ", "make chaos ")
_NO_PROMISES = (
    *(f"{fault} " for fault in (*FAULTS, *KILLS, "meanwhile", "hint", "twice")),
    *_LOGGED,
)
_REPLAY = re.compile(r"make chaos REPLAY='(.*)'")
_VARYING = re.compile(
    r"\[.*|\{.*|(\b(bun|ami|i|snap)-|stack|images-)?[0-9a-f]*[0-9][0-9a-f-]*[a-h]?\b|b'.*"
)


def kinds(violation: str) -> list[str]:
    """Which promises it says were broken, without the text that varies; each once."""
    lines = violation.removeprefix("seed ").lstrip("0123456789: ").splitlines()
    broken = (line for line in lines if not line.startswith(_NO_PROMISES))
    return list(dict.fromkeys(" ".join(_VARYING.sub("", line).split()) for line in broken))


def steps_of(violation: str) -> list[Step]:
    """The steps of its command."""
    found = _REPLAY.search(violation)
    steps: list[Step] = json.loads(found[1]) if found else []
    return steps


def of_each_kind(violations: Iterable[str]) -> list[tuple[str, int]]:
    """The violation with the fewest steps of each kind, and the number of violations of that kind,
    highest number first. A violation of several kinds is counted for each, but returned once."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for violation in violations:
        for each in kinds(violation):
            by_kind[each].append(violation)
    counts: dict[str, int] = {}
    for found in sorted(by_kind.values(), key=len, reverse=True):
        counts.setdefault(min(found, key=lambda one: len(steps_of(one))), len(found))
    return list(counts.items())


Broken = Callable[[Sequence[Step]], str | None]
"""Carries out a sequence, and returns the violation that it ends with, if any."""


def in_world(world: World) -> Broken:
    """Carries sequences out in a world."""

    def broken(steps: Sequence[Step]) -> str | None:
        try:
            carry_out(world, steps)
        except Violation as violation:
            return str(violation)
        return None

    return broken


def shortest(broken: Broken, steps: Sequence[Step]) -> str | None:
    """The violation of the shortest sequence that breaks the first promise that these steps break.

    It is found by leaving out and simplifying steps. None if the steps break no promise.
    """
    found = broken(steps)
    if found is None:
        return None
    search = _Shortening(broken, kinds(found)[0], list(steps), found)
    search.leave_out()
    search.simplify()
    search.leave_out()
    return search.found


@dataclass(slots=True)
class _Shortening:
    """The shortest sequence so far that breaks a promise, and the violation that it ends with."""

    broken: Broken
    wanted: str
    steps: list[Step]
    found: str

    def leave_out(self) -> None:
        """Leave out steps: first many in a row, then single ones."""
        size = max(1, len(self.steps) // 2)
        while size:
            start = 0
            while start < len(self.steps):
                if not self._try(self.steps[:start] + self.steps[start + size :]):
                    start += size
            size //= 2

    def simplify(self) -> None:
        """Simplify each step."""
        for number in range(len(self.steps)):
            while any(
                self._try([*self.steps[:number], simpler, *self.steps[number + 1 :]])
                for simpler in _simpler(self.steps[number])
            ):
                pass

    def _try(self, steps: list[Step]) -> bool:
        """Whether these steps break the promise too; then they are the shortest so far."""
        found = self.broken(steps)
        if found is None or self.wanted not in kinds(found):
            return False
        self.steps, self.found = steps, found
        return True


def _simpler(step: Step) -> Iterable[Step]:
    """The step with the simplest values for all members, or for one, or without an optional one."""
    simplest = {name: BUNDLE.get(name, value) for name, value in step.items()}
    if simplest != step:
        yield simplest
    for name in (name for name in step if name in BUNDLE and step[name] != BUNDLE[name]):
        yield {**step, name: BUNDLE[name]}
    for name in (name for name in step if name not in {*BUNDLE, *_NEEDED}):
        yield {other: step[other] for other in step if other != name}
    for name in step.get("changes", {}):
        changes = {other: step["changes"][other] for other in step["changes"] if other != name}
        yield {**step, "changes": changes}


_NEEDED = (
    *(
        "do",
        "stack",
        "delete_first",
        "changes",
        "request",
        "knows_id",
        "seconds",
        "number",
        "delay",
        "count",
        "by_hand",
    ),
    *("call", "kind", "nth", "times"),
)
