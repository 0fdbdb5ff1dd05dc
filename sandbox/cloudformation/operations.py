"""Creates, updates and deletes stacks, as CloudFormation does it.

An operation runs in a thread of its own. It starts every resource whose needs are met, waits until
work under way has an outcome, and goes on from there. Updates know replacement, clean-up and
rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from threading import Condition

from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation import clean_ups
from sandbox.cloudformation.custom_resources import is_custom
from sandbox.cloudformation.nested_stacks import NestedStacks
from sandbox.cloudformation.operation_threads import Closed, OperationThreads
from sandbox.cloudformation.outputs import output
from sandbox.cloudformation.placeholders import Placeholders
from sandbox.cloudformation.property_checks import Checked
from sandbox.cloudformation.providers import Provider
from sandbox.cloudformation.reasons import failures
from sandbox.cloudformation.resources import ModelledResources, model_of
from sandbox.cloudformation.restoration import Restoration
from sandbox.cloudformation.retention import (
    existing,
    replaced,
    retained,
    retained_on_creation,
    retained_on_replacement,
)
from sandbox.cloudformation.secret_references import Revealing
from sandbox.cloudformation.stacks import STACK_TYPE, Stack
from sandbox.cloudformation.steps import Convergence, Removal
from sandbox.cloudformation.templates import Template
from sandbox.cloudformation.timeouts import Deadline
from sandbox.cloudformation.views import Operation, Resource
from sandbox.cloudformation.walks import Visit, Walk, dependents
from sandbox.cloudformation.watch import Watch
from sandbox.upstream.permissions import Permissions


class Operations:
    """Runs operations on stacks, each in a thread, one at a time on each stack."""

    def __init__(
        self,
        custom_resources: Provider,
        own: Mapping[str, Provider],
        nested: NestedStacks,
        changed: Condition,
        permissions: Permissions | None,
    ) -> None:
        """own: CloudFormation's own types, each with its provider. permissions: None where nobody
        judges what roles may do, so that nothing waits for it."""
        self._custom = custom_resources
        self._permissions = permissions
        self._own = {**own, STACK_TYPE: nested}
        self._nested = nested
        self._modelled = Checked(Revealing(ModelledResources()))
        self._placeholders = Checked(Placeholders())
        self._changed = changed
        self._watch = Watch(changed)
        self._threads = OperationThreads(changed, self._check_open)

    def start(self, stack: Stack, operation: Operation, run: Callable[[], None]) -> None:
        """Run `operation`, which has begun on the stack, once the one before it has ended."""
        self._threads.start(stack, operation, run)

    def close(self) -> None:
        """Stop running operations."""
        self._watch.close()
        self._threads.join()

    def _check_open(self, stack: Stack) -> None:
        if self._watch.closed or stack.abandoned:
            raise Closed

    def _provider(self, resource_type: str) -> Provider:
        if is_custom(resource_type):
            return self._custom
        if resource_type in self._own:
            return self._own[resource_type]
        return self._modelled if model_of(resource_type) else self._placeholders

    def _convergence(
        self,
        stack: Stack,
        template: Template,
        *,
        back: bool = False,
        skipped: Set[str] = frozenset(),
    ) -> Convergence:
        return Convergence(
            stack, template, self._provider, self._permissions, back=back, skipped=skipped
        )

    def create(self, stack: Stack, operation: Operation, template: Template) -> None:
        """Create the stack's resources, and on failure do what the stack's settings say."""
        settings = stack.settings
        convergence = self._convergence(stack, template)
        deadline = Deadline(stack)
        failed = self._walk(
            stack,
            operation,
            template.graph,
            convergence,
            persevere=settings.preserves,
            ends=deadline.ends,
        )
        problem = (
            deadline.problem or failures(stack, failed) or self._publish(stack, operation, template)
        )
        if stack.operation is not operation:
            return
        if not problem:
            stack.mark_stable()
            stack.become("CREATE_COMPLETE", operation=operation)
        elif settings.preserves:
            stack.become("CREATE_FAILED", problem, operation=operation)
        elif settings.on_failure == "DELETE":
            reason = f"{problem}Delete requested by user."
            stack.become(
                "DELETE_IN_PROGRESS", reason, operation=operation, begun=Operation("DELETE_STACK")
            )
            self._remove_all(stack, operation, kept=retained_on_creation)
        else:
            reason = f"{problem}Rollback requested by user."
            stack.become(
                "ROLLBACK_IN_PROGRESS", reason, operation=operation, begun=Operation("ROLLBACK")
            )
            self._roll_back_creation(stack, operation)

    def _roll_back_creation(self, stack: Stack, operation: Operation) -> None:
        failed = self._remove(stack, operation, existing(stack), kept=retained_on_creation)
        if failed:
            stack.become("ROLLBACK_FAILED", failures(stack, failed), operation=operation)
        else:
            stack.become("ROLLBACK_COMPLETE", operation=operation)

    def delete(
        self, stack: Stack, operation: Operation, retain: Iterable[str] = (), *, force: bool = False
    ) -> None:
        """Delete the stack's resources but those to `retain` and those whose policy says so.

        force: whether the stack is deleted even if some of them can't be.
        """
        retain = set(retain)
        self._remove_all(
            stack,
            operation,
            kept=lambda resource: resource.declaration.logical_id in retain or retained(resource),
            force=force,
        )

    def undo_creation(self, stack: Stack, operation: Operation) -> None:
        """Delete a stack that was never complete, as its rollback does."""
        self._remove_all(stack, operation, kept=retained_on_creation)

    def _remove_all(
        self,
        stack: Stack,
        operation: Operation,
        *,
        kept: Callable[[Resource], bool],
        force: bool = False,
    ) -> None:
        failed = self._remove(stack, operation, existing(stack), kept=kept)
        left = [
            name
            for to_delete, recreated in clean_ups.layers({}, replaced(stack))
            for name in self._remove(stack, operation, to_delete, kept=kept, replaced=recreated)
        ]
        stack.former = [was for was in stack.former if was.declaration.logical_id in left]
        failed += left
        if failed and not force:
            stack.become("DELETE_FAILED", failures(stack, failed), operation=operation)
            return
        stack.retract()
        stack.deletion_time = stack.now()
        stack.become("DELETE_COMPLETE", operation=operation)

    def update(self, stack: Stack, operation: Operation, template: Template) -> None:
        """Bring the stack to `template` and clean up; on failure, bring it back to what it was, or
        leave it, as the stack's settings say."""
        if stack.template is None:
            raise LookupError(f"stack {stack.name} has no template to update")
        stack.template, stack.imports = template, set()
        if unmade := self._remove_unmade(stack, operation):
            stack.become("UPDATE_FAILED", failures(stack, unmade), operation=operation)
            return
        preserves = stack.settings.preserves
        forth = self._convergence(stack, template)
        failed = self._walk(stack, operation, template.graph, forth, persevere=preserves)
        stack.created |= forth.created
        stack.former += forth.replaced.values()
        problem = failures(stack, failed) or self._publish(stack, operation, template)
        if stack.operation is not operation:
            return  # the update was cancelled: its rollback follows
        if problem and preserves:
            self._restore(stack, operation, forth)
            self._keep_nested(stack)
            stack.become("UPDATE_FAILED", problem, operation=operation)
        elif problem:
            status = "UPDATE_ROLLBACK_IN_PROGRESS"
            stack.become(status, problem, operation=operation, begun=Operation("ROLLBACK"))
            self.roll_back_update(stack, operation)
        else:
            self._finish_update(stack, operation, template)

    def _finish_update(self, stack: Stack, operation: Operation, template: Template) -> None:
        stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", operation=operation)
        self._wait(stack, lambda: stack.verdict is not None)
        if stack.verdict == "undone":
            status = "UPDATE_ROLLBACK_IN_PROGRESS"
            stack.become(status, operation=operation, begun=Operation("ROLLBACK"))
            self.roll_back_update(stack, operation)
            return
        nested = self._keep_nested(stack)
        removed = {
            name: resource
            for name, resource in existing(stack).items()
            if name not in template.resources
        }
        problem = self._clean_up(stack, operation, removed, replaced(stack), kept=retained)
        self._wait_for_rest(stack, nested)
        stack.mark_stable()
        reason = problem and f"Update successful. {problem}"
        stack.become("UPDATE_COMPLETE", reason, operation=operation)

    def _keep_nested(self, stack: Stack) -> list[Stack]:
        """The stack's nested stacks, whose last updates are final now."""
        return [
            self._nested.keep(stack, resource.physical_id)
            for resource in existing(stack).values()
            if resource.declaration.type == STACK_TYPE and resource.made and resource.physical_id
        ]

    def _wait_for_rest(self, stack: Stack, nested: list[Stack]) -> None:
        self._wait(stack, lambda: not any(c.status.endswith("_IN_PROGRESS") for c in nested))

    def _remove_unmade(self, stack: Stack, operation: Operation) -> list[str]:
        """Delete what an operation before left that failed to be created. Returns what failed."""
        if stack.stable and not stack.created:
            return []
        unmade = {
            name: resource
            for name, resource in existing(stack).items()
            if resource.made is None and (stack.stable is None or name in stack.created)
        }
        return self._remove(stack, operation, unmade, kept=retained_on_creation)

    def _restore(self, stack: Stack, operation: Operation, forth: Convergence) -> None:
        before = {name: forth.before[name] for name in forth.failed if name in forth.before}
        restoration = Restoration(stack, before, self._provider)
        graph: dict[str, set[str]] = {name: set() for name in before}
        self._walk(stack, operation, graph, restoration, persevere=True)

    def roll_back_update(
        self, stack: Stack, operation: Operation, *, skipped: Set[str] = frozenset()
    ) -> None:
        """Bring the stack back to what it was when it was last stable, but leave `skipped`."""
        if stack.stable is None:
            raise LookupError(f"stack {stack.name} was never stable")
        template = stack.stable.template
        stack.template, stack.imports = template, set(stack.stable.imports)
        back = self._convergence(stack, template, back=True, skipped=skipped)
        failed = self._walk(stack, operation, template.graph, back, persevere=False)
        stack.former += back.replaced.values()
        if failed:
            stack.unrestored = frozenset(back.failed)
            problem = failures(stack, failed)
            stack.become("UPDATE_ROLLBACK_FAILED", problem, operation=operation)
            return
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", operation=operation)
        self._wait(stack, lambda: stack.verdict == "kept")
        nested = self._keep_nested(stack)
        created = {
            name: resource for name, resource in existing(stack).items() if name in stack.created
        }
        stable = stack.stable.physical_ids
        others = [
            resource
            for resource in replaced(stack)
            if resource.physical_id != stable.get(resource.declaration.logical_id)
        ]
        problem = self._clean_up(stack, operation, created, others, kept=retained_on_creation)
        self._wait_for_rest(stack, nested)
        stack.mark_stable()
        stack.become("UPDATE_ROLLBACK_COMPLETE", problem, operation=operation)

    def _clean_up(
        self,
        stack: Stack,
        operation: Operation,
        removed: Mapping[str, Resource],
        replaced: Iterable[Resource],
        *,
        kept: Callable[[Resource], bool],
    ) -> str | None:
        """Delete what an update, or its rollback, left, but what is `kept` of the removed
        resources. What can't be deleted fails nothing. Returns what is said of it."""
        skipped: list[str] = []
        for to_delete, recreated in clean_ups.layers(removed, replaced):
            remove = partial(self._removal, stack, operation, kept=kept, replaced=recreated)
            given_up = clean_ups.repeated(to_delete, remove)
            for name in set(given_up) - recreated:
                stack.forget(name)
            skipped += given_up
        return clean_ups.INCOMPLETE if skipped else None

    def _remove(
        self,
        stack: Stack,
        operation: Operation,
        to_delete: Mapping[str, Resource],
        *,
        kept: Callable[[Resource], bool],
        replaced: Set[str] = frozenset(),
    ) -> list[str]:
        """Delete resources. Returns those that can't be deleted."""
        return self._removal(stack, operation, to_delete, kept=kept, replaced=replaced).failed

    def _removal(
        self,
        stack: Stack,
        operation: Operation,
        to_delete: Mapping[str, Resource],
        *,
        kept: Callable[[Resource], bool],
        replaced: Set[str],
    ) -> Removal:
        """Delete resources, but those that are `kept`, and those of the `replaced` that their
        policy keeps."""
        removal = Removal(
            stack,
            to_delete,
            self._provider,
            kept=lambda resource: (
                retained_on_replacement(resource)
                if resource.declaration.logical_id in replaced
                else kept(resource)
            ),
            replaced=replaced,
        )
        self._walk(stack, operation, dependents(to_delete), removal, persevere=True)
        return removal

    def _publish(self, stack: Stack, operation: Operation, template: Template) -> str | None:
        """Make the outputs, unless the operation is superseded. Returns what went wrong."""
        if stack.operation is not operation:
            return None
        try:
            stack.publish([output(stack, template, name) for name in template.outputs])
        except CloudFormationError as problem:
            return f"{problem.message.rstrip('. ')}. "
        return None

    def _walk(
        self,
        stack: Stack,
        operation: Operation,
        graph: Mapping[str, Set[str]],
        visit: Visit,
        *,
        persevere: bool,
        ends: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """ends: whether it is to end before it is complete."""
        walk = Walk(
            graph,
            visit,
            persevere=persevere,
            interrupted=lambda: (
                ends() or (visit.interruptible and stack.operation is not operation)
            ),
        )
        return walk.run(lambda: self._wait(stack, walk.has_news))

    def _wait(self, stack: Stack, has_news: Callable[[], bool]) -> None:
        self._watch.wait(lambda: stack.abandoned or has_news())
        self._check_open(stack)
