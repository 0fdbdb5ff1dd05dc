"""Creating, updating and deleting stacks, as CloudFormation goes about it.

An operation runs in a thread of its own. It starts every resource whose needs are met, waits until
work under way has an outcome, and goes on from there. Updates know replacement, clean-up and
rollback; what they lack is said at `Operations.update`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from threading import Condition, Event, Thread
from typing import Any

from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation import exports
from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.resources import (
    ModelledResources,
    Placeholders,
    Provider,
    Work,
    model_of,
)
from sandbox.cloudformation.stacks import Output, Resource, Stack
from sandbox.cloudformation.steps import Convergence, Removal, StackNames, resolved
from sandbox.cloudformation.templates import Template
from sandbox.permissions import Permissions

log = logging.getLogger("sandbox")

_LOOK = 0.2  # seconds between looks at the clock, which may be a simulated one and jump
_REST = 20  # times as long as a look took is waited until the next
_JOIN = 2.0  # seconds that a thread is given to end


class _Closed(Exception):
    """The sandbox closes, and operations end where they stand."""


class _Walk:
    """Visits a stack's resources, each once those that it needs are done.

    With `persevere` a failure holds up only what needs the failed resource, and the walk goes on to
    its end. Without, it ends the walk, as does `interrupted`, and work under way is cancelled.
    """

    def __init__(
        self,
        graph: Mapping[str, Set[str]],
        visit: Convergence | Removal,
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
        return not self._persevere and (bool(self._failed) or self._interrupted())

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
        """Settle the work that has an outcome. Returns whether there was any."""
        outcomes = [(name, work.outcome()) for name, work in self._under_way.items()]
        settled = [(name, outcome) for name, outcome in outcomes if outcome]
        for name, outcome in settled:
            del self._under_way[name]
            if self._visit.settle(name, outcome):
                self._order.done(name)
            else:
                self._failed.append(name)
        return bool(settled)


def _dependents(resources: Mapping[str, Resource]) -> dict[str, set[str]]:
    """The resources, last first, each with those that need it and so are deleted before it."""
    needs = {name: resource.declaration.depends_on for name, resource in resources.items()}
    return {
        name: {other for other in resources if name in needs[other]}
        for name in reversed(list(resources))
    }


def _retained(resource: Resource) -> bool:
    return resource.declaration.deletion_policy in ("Retain", "RetainExceptOnCreate")


def _retained_on_creation(resource: Resource) -> bool:
    return resource.declaration.deletion_policy == "Retain"


def _retained_on_replacement(resource: Resource) -> bool:
    return resource.declaration.update_replace_policy == "Retain"


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """An operation that waits until it has something to do."""

    has_news: Callable[[], bool]
    woken: Event = field(default_factory=Event)


class Operations:
    """Runs operations on stacks, each in a thread, one at a time on each stack.

    One thread looks for all that wait, so that an answer to one of many stacks wakes that one.
    """

    def __init__(
        self,
        custom_resources: Provider,
        own: Mapping[str, Provider],
        changed: Condition,
        permissions: Permissions | None,
    ) -> None:
        """own: CloudFormation's own types, each with its provider. permissions: None where nobody
        judges what roles may do, so that nothing waits for it."""
        self._custom = custom_resources
        self._permissions = permissions
        self._own = own
        self._modelled = ModelledResources()
        self._placeholders = Placeholders()
        self._changed = changed
        self._threads: dict[str, Thread] = {}
        self._waiting: set[_Waiting] = set()
        self._closed = False
        Thread(target=self._look_on, name="operations", daemon=True).start()

    def start(self, stack: Stack, operation: object, run: Callable[[], None]) -> None:
        """Run `operation`, which has begun on the stack, once the one before it has ended."""
        with self._changed:
            before = self._threads.get(stack.stack_id)
            thread = Thread(
                target=self._run,
                args=(stack, operation, run, before),
                name=f"stack-{stack.name}",
                daemon=True,
            )
            self._threads[stack.stack_id] = thread
            thread.start()

    def _run(
        self, stack: Stack, operation: object, run: Callable[[], None], before: Thread | None
    ) -> None:
        if before:
            before.join()
        try:
            self._check_open(stack)
            run()
        except _Closed:
            log.info("stack %s is left as it stands", stack.name)
        except Exception:
            log.exception("stack %s: the operation broke down", stack.name)
            status = f"{stack.status.split('_')[0]}_FAILED"
            stack.become(status, "Internal Failure", operation=operation)

    def close(self) -> None:
        """End running operations where they stand."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(_JOIN)
            if thread.is_alive():
                log.warning("%s did not end", thread.name)

    def _check_open(self, stack: Stack) -> None:
        if self._closed or stack.abandoned:
            raise _Closed

    def _provider(self, resource_type: str) -> Provider:
        if resource_type.startswith("Custom::"):
            return self._custom
        if resource_type == "AWS::CloudFormation::CustomResource":
            return self._custom
        if resource_type in self._own:
            return self._own[resource_type]
        return self._modelled if model_of(resource_type) else self._placeholders

    def _convergence(self, stack: Stack, template: Template) -> Convergence:
        return Convergence(stack, template, self._provider, self._permissions)

    def create(self, stack: Stack, operation: object, template: Template) -> None:
        """Create the stack's resources, and on failure do what the stack's settings say."""
        convergence = self._convergence(stack, template)
        failed = self._walk(stack, operation, template.graph, convergence, persevere=False)
        problem = self._failures(stack, failed) or self._publish(stack, operation, template)
        if stack.operation is not operation:
            return
        if not problem:
            stack.become("CREATE_COMPLETE", operation=operation)
        elif stack.settings.on_failure == "DO_NOTHING":
            stack.become("CREATE_FAILED", problem, operation=operation)
        elif stack.settings.on_failure == "DELETE":
            reason = f"{problem}Delete requested by user."
            stack.become("DELETE_IN_PROGRESS", reason, operation=operation)
            self._remove_all(stack, operation, kept=_retained_on_creation)
        else:
            reason = f"{problem}Rollback requested by user."
            stack.become("ROLLBACK_IN_PROGRESS", reason, operation=operation)
            self._roll_back_creation(stack, operation)

    def _roll_back_creation(self, stack: Stack, operation: object) -> None:
        failed = self._remove(stack, operation, _existing(stack), kept=_retained_on_creation)
        if failed:
            stack.become("ROLLBACK_FAILED", self._failures(stack, failed), operation=operation)
        else:
            stack.become("ROLLBACK_COMPLETE", operation=operation)

    def delete(self, stack: Stack, operation: object, retain: Iterable[str] = ()) -> None:
        """Delete the stack's resources but those to `retain` and those whose policy says so."""
        retain = set(retain)
        self._remove_all(
            stack,
            operation,
            kept=lambda resource: resource.declaration.logical_id in retain or _retained(resource),
        )

    def _remove_all(
        self, stack: Stack, operation: object, *, kept: Callable[[Resource], bool]
    ) -> None:
        failed = self._remove(stack, operation, _existing(stack), kept=kept)
        if failed:
            stack.become("DELETE_FAILED", self._failures(stack, failed), operation=operation)
            return
        stack.retract()
        stack.deletion_time = stack.now()
        stack.become("DELETE_COMPLETE", operation=operation)

    def update(self, stack: Stack, operation: object, template: Template) -> None:
        """Bring the stack to `template` and clean up; on failure, bring it back to what it was.

        Not done as AWS does: modelled resources that need replacement are replaced by their model,
        in place, before the clean-up, or not at all where the model knows no update; a stack whose
        rollback failed can't be continued; DisableRollback is for creation only.
        """
        before = stack.template
        if before is None:
            raise LookupError(f"stack {stack.name} has no template to update")
        imports, stack.imports = stack.imports, set()
        stack.template = template
        forth = self._convergence(stack, template)
        failed = self._walk(stack, operation, template.graph, forth, persevere=False)
        problem = self._failures(stack, failed) or self._publish(stack, operation, template)
        if problem:
            stack.become("UPDATE_ROLLBACK_IN_PROGRESS", problem, operation=operation)
            stack.template, stack.imports = before, imports
            self._roll_back_update(stack, operation, before, forth)
            return
        stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", operation=operation)
        removed = {
            name: resource
            for name, resource in _existing(stack).items()
            if name not in template.resources
        }
        self._clean_up(stack, operation, removed, forth.replaced, kept=_retained)
        stack.become("UPDATE_COMPLETE", operation=operation)

    def _roll_back_update(
        self, stack: Stack, operation: object, before: Template, forth: Convergence
    ) -> None:
        back = self._convergence(stack, before)
        failed = self._walk(stack, operation, before.graph, back, persevere=False)
        if failed:
            problem = self._failures(stack, failed)
            stack.become("UPDATE_ROLLBACK_FAILED", problem, operation=operation)
            return
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", operation=operation)
        created = {
            name: resource for name, resource in _existing(stack).items() if name in forth.created
        }
        self._clean_up(stack, operation, created, back.replaced, kept=_retained_on_creation)
        stack.become("UPDATE_ROLLBACK_COMPLETE", operation=operation)

    def _clean_up(
        self,
        stack: Stack,
        operation: object,
        removed: Mapping[str, Resource],
        replaced: Mapping[str, Resource],
        *,
        kept: Callable[[Resource], bool],
    ) -> None:
        """Delete what an update left, but what is `kept` of the removed resources. As on AWS, what
        can't be deleted fails no update."""
        removal = Removal(
            stack,
            {**removed, **replaced},
            self._provider,
            kept=lambda resource: (
                _retained_on_replacement(resource)
                if resource.declaration.logical_id in replaced
                else kept(resource)
            ),
            replaced=set(replaced),
        )
        graph = _dependents({**removed, **replaced})
        self._walk(stack, operation, graph, removal, persevere=True)

    def _remove(
        self,
        stack: Stack,
        operation: object,
        doomed: Mapping[str, Resource],
        *,
        kept: Callable[[Resource], bool],
    ) -> list[str]:
        removal = Removal(stack, doomed, self._provider, kept=kept)
        return self._walk(stack, operation, _dependents(doomed), removal, persevere=True)

    def _publish(self, stack: Stack, operation: object, template: Template) -> str | None:
        """Make the outputs, unless the operation is superseded. Returns what went wrong."""
        if stack.operation is not operation:
            return None
        try:
            stack.publish([_output(stack, template, name) for name in template.outputs])
        except CloudFormationError as problem:
            return f"{problem.message.rstrip('. ')}. "
        return None

    @staticmethod
    def _failures(stack: Stack, failed: list[str]) -> str | None:
        """The reason of a stack whose resources failed, by what they failed to do."""
        reasons = []
        for verb in ("create", "update", "delete"):
            names = [
                name for name in failed if stack.resources[name].status.startswith(verb.upper())
            ]
            if names:
                listed = ", ".join(names)
                reasons.append(f"The following resource(s) failed to {verb}: [{listed}]. ")
        return "".join(reasons) or None

    def _walk(
        self,
        stack: Stack,
        operation: object,
        graph: Mapping[str, Set[str]],
        visit: Convergence | Removal,
        *,
        persevere: bool,
    ) -> list[str]:
        walk = _Walk(
            graph,
            visit,
            persevere=persevere,
            interrupted=lambda: stack.operation is not operation,
        )
        return walk.run(lambda: self._wait(stack, walk))

    def _wait(self, stack: Stack, walk: _Walk) -> None:
        waiting = _Waiting(lambda: stack.abandoned or walk.has_news())
        with self._changed:
            self._check_open(stack)
            if waiting.has_news():
                return
            self._waiting.add(waiting)
        waiting.woken.wait()
        self._check_open(stack)

    def _look_on(self) -> None:
        while not self._closed:
            with self._changed:
                self._changed.wait(_LOOK)
                began = time.monotonic()
                self._wake()
            # Where thousands wait, looking takes its time, but little of everybody's.
            time.sleep(_REST * (time.monotonic() - began))
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        woken = {waiting for waiting in self._waiting if self._closed or waiting.has_news()}
        self._waiting -= woken
        for waiting in woken:
            waiting.woken.set()


def _existing(stack: Stack) -> dict[str, Resource]:
    return {name: resource for name, resource in stack.resources.items() if resource.exists}


def _output(stack: Stack, template: Template, key: str) -> Output:
    declared = template.outputs[key]
    names = StackNames(stack, template)
    export = declared.get("Export")
    value = _output_value(key, resolved(template, names, declared["Value"]))
    if export:
        exports.check_value(key, value)
    return Output(
        key=key,
        value=value,
        shown=_output_value(
            key,
            resolved(
                template, StackNames(stack, template, hide_attributes=True), declared["Value"]
            ),
        ),
        description=declared.get("Description"),
        export_name=text(resolved(template, names, export["Name"])) if export else None,
    )


def _output_value(key: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise invalid(
            f"Template format error: The Value field of every Outputs member must evaluate to a "
            f"String. ({key})"
        )
    return text(value)
