"""The order in which a stack's resources are visited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from graphlib import TopologicalSorter
from typing import Protocol

from sandbox.cloudformation.providers import Outcome, Work
from sandbox.cloudformation.views import Resource

Start = Callable[[], Work]
"""What starts the work on a resource."""


class Visit(Protocol):
    """What is done to each resource."""

    @property
    def interruptible(self) -> bool:
        """Whether it ends where another operation begins."""

    def first(self, ready: Sequence[str]) -> list[str]:
        """Which of the resources that could begin now are to begin."""

    def begin(self, logical_id: str) -> Start | None:
        """Announce the resource's turn. Returns what starts the work; None where there is none."""

    def finish(self, logical_id: str, outcome: Outcome) -> bool:
        """Record the outcome. Returns whether it is a good one."""

    def cancel(self, logical_id: str, work: Work | None) -> None:
        """Give up the work; None where it was announced, but not started."""


class Walk:
    """Visits a stack's resources, each once those that it needs are done.

    With `persevere` a failure holds up only what needs the failed resource, and the walk goes on to
    its end. Without, it ends the walk. So does `interrupted`. Work under way is cancelled then.
    """

    def __init__(
        self,
        graph: Mapping[str, Set[str]],
        visit: Visit,
        *,
        persevere: bool,
        interrupted: Callable[[], bool],
    ) -> None:
        self._order = TopologicalSorter(graph)
        self._visit = visit
        self._persevere = persevere
        self._interrupted = interrupted
        self._ready: list[str] = []
        self._under_way: dict[str, Work] = {}
        self._failed: list[str] = []

    def has_news(self) -> bool:
        """Whether there is something to do for a walk that waits."""
        return self._stopping() or any(work.outcome() for work in self._under_way.values())

    def run(self, wait: Callable[[], None]) -> list[str]:
        """Returns the resources that failed."""
        self._order.prepare()
        while self._order.is_active() and not self._stopping():
            self._ready += self._order.get_ready()
            if self._ready:
                first = self._visit.first(self._ready)
                self._ready = [name for name in self._ready if name not in first]
                self._start(first)
            elif not self._under_way:
                break  # what is left needs what failed
            elif not self._harvest():
                wait()
        for name, work in self._under_way.items():
            self._visit.cancel(name, work)
            self._failed.append(name)
        return self._failed

    def _stopping(self) -> bool:
        return self._interrupted() or (bool(self._failed) and not self._persevere)

    def _start(self, names: Iterable[str]) -> None:
        starts = {name: self._visit.begin(name) for name in names}
        for name, start in starts.items():
            if start is None:
                self._order.done(name)
            elif self._stopping():
                self._visit.cancel(name, None)
                self._failed.append(name)
            else:
                self._under_way[name] = start()
                self._harvest()

    def _harvest(self) -> bool:
        """Finish the work that has an outcome. Returns whether there was any."""
        outcomes = [(name, work.outcome()) for name, work in self._under_way.items()]
        finished = [(name, outcome) for name, outcome in outcomes if outcome]
        for name, outcome in finished:
            del self._under_way[name]
            if self._visit.finish(name, outcome):
                self._order.done(name)
            else:
                self._failed.append(name)
        return bool(finished)


def dependents(resources: Mapping[str, Resource]) -> dict[str, set[str]]:
    """The resources, last first, each with those that need it and so are deleted before it."""
    needs = {name: resource.declaration.depends_on for name, resource in resources.items()}
    return {
        name: {other for other in resources if name in needs[other]}
        for name in reversed(list(resources))
    }
