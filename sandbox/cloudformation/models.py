"""The stacks of an account and Region: what can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Condition

from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.utils import generate_stack_id

from sandbox.cloudformation import changes, continuations
from sandbox.cloudformation.custom_resources import CustomResources
from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.operations import Operations
from sandbox.cloudformation.providers import Order, generated_id
from sandbox.cloudformation.reads import Reads
from sandbox.cloudformation.refusals import (
    check_cancelable,
    check_deletable,
    check_protectable,
    check_rollback,
    check_updatable,
)
from sandbox.cloudformation.signals import Signals
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.template_source import from_s3
from sandbox.cloudformation.templates import Template, pseudo_parameters, read
from sandbox.cloudformation.views import Settings, View

_NO_UPDATES = "No updates are to be performed."

KEPT_DELETED = 300
"""How many deleted stacks of a Region are known, so that memory is bounded: the newest. AWS knows
those of the last 90 days."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the backends of all accounts and regions share."""

    clock: Callable[[], float]
    changed: Condition
    custom_resources: CustomResources
    signals: Signals
    operations: Operations
    reads: Reads


class StackBackend(CloudFormationBackend):
    """The stacks of one account and region."""

    def __init__(self, engine: Engine, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._engine = engine
        self._changed = engine.changed
        self._stacks: dict[str, Stack] = {}

    def reset(self) -> None:
        """Forget all stacks; moto makes a new backend afterwards."""
        with self._changed:
            for stack in self._stacks.values():
                stack.abandoned = True
            self._changed.notify_all()
            self._stacks.clear()
            self.exports.clear()
            self.stacksets.clear()
        self._engine.custom_resources.reset()
        self._engine.signals.reset()

    def live_stacks(self) -> list[Stack]:
        """The stacks that are not deleted, newest first."""
        return [stack for stack in self.all_stacks() if not stack.deleted]

    def all_stacks(self) -> list[Stack]:
        """The stacks, newest first, with those that are deleted."""
        with self._changed:
            return list(self._stacks.values())[::-1]

    def views(self, named: str | None = None) -> list[View]:
        """The stacks as the caller is to see them, newest first, or those of a name or an ID.

        Raises Throttled.
        """
        moment = self._engine.reads.moment(self.account_id, self.region_name)
        views = (
            stack.view() if moment is None else stack.view_at(moment)
            for stack in self.all_stacks()
            if named in (None, stack.name, stack.stack_id)
        )
        return [view for view in views if view]

    def age(self, view: View) -> timedelta:
        """The time since a stack was deleted; none where it was not."""
        now = datetime.fromtimestamp(self._engine.clock(), UTC)
        return now - view.deletion_time if view.deletion_time else timedelta()

    def get_stack(self, name_or_stack_id: str) -> Stack:  # type: ignore[override]
        """The stack of that ID, or the one of that name that is not deleted.

        Raises ValidationError.
        """
        found = self._find(name_or_stack_id)
        if found is None:
            raise ValidationError(name_or_stack_id)
        return found

    def _find(self, name_or_stack_id: str) -> Stack | None:
        with self._changed:
            if name_or_stack_id in self._stacks:
                return self._stacks[name_or_stack_id]
        for stack in self.live_stacks():
            if stack.name == name_or_stack_id:
                return stack
        return None

    def _new_stack(
        self, stack_id: str, name: str, settings: Settings, parent: Stack | None = None
    ) -> Stack:
        stack = Stack(
            stack_id=stack_id,
            name=name,
            account=self.account_id,
            region=self.region_name,
            settings=settings,
            clock=self._engine.clock,
            changed=self._changed,
            exports=self.exports,
            importer=self._importer,
            past=self._engine.reads.delay,
            parent=parent,
        )
        with self._changed:
            if self._find(name):
                raise AlreadyExistsException(f"Stack [{name}] already exists")
            self._stacks[stack_id] = stack
            deleted = [stack_id for stack_id, each in self._stacks.items() if each.deleted]
            for forgotten in deleted[:-KEPT_DELETED]:
                del self._stacks[forgotten]
        return stack

    def importers(self, export: str) -> list[str]:
        """The names of the stacks that use the export."""
        return [stack.name for stack in self.live_stacks() if export in stack.imports]

    def _importer(self, export: str) -> str | None:
        return " and ".join(self.importers(export)) or None

    def _read(
        self,
        body: str | None,
        given: dict[str, str],
        settings: Settings,
        *,
        stack_id: str,
        name: str,
        expand: bool = False,
        checked: bool = True,
    ) -> Template:
        pseudo = pseudo_parameters(
            stack_id, name, self.region_name, self.account_id, settings.topics
        )
        acknowledged = settings.capabilities if checked else None
        return read(body, given, pseudo, acknowledged=acknowledged, expand=expand)

    def create_stack(  # type: ignore[override]
        self,
        name: str,
        template: str,
        parameters: dict[str, str],
        settings: Settings | None = None,
        stack_policy_body: str | None = None,
    ) -> Stack:
        """Begin to create a stack. Without `settings` (moto's stack sets) no capabilities are asked
        for. Raises ValidationError, InsufficientCapabilities and AlreadyExistsException."""
        stack_id = generate_stack_id(name, self.region_name, self.account_id)
        wanted = self._read(
            template,
            parameters,
            settings or Settings(),
            stack_id=stack_id,
            name=name,
            checked=settings is not None,
        )
        stack = self._new_stack(stack_id, name, settings or Settings())
        stack.policy = stack_policy_body or ""
        self._begin_creation(stack, wanted)
        return stack

    def _begin_creation(self, stack: Stack, wanted: Template) -> None:
        stack.template = wanted
        operation = stack.begin("CREATE_IN_PROGRESS", "CREATE_STACK")
        operations = self._engine.operations
        operations.start(stack, operation, partial(operations.create, stack, operation, wanted))

    def change_stack(
        self, stack: Stack, body: str | None, given: dict[str, str], settings: Settings
    ) -> None:
        """Begin to update the stack. Raises ValidationError and InsufficientCapabilities."""
        check_updatable(stack, preserves=settings.preserves)
        wanted = self._read(body, given, settings, stack_id=stack.stack_id, name=stack.name)
        retyped = changes.retyped(stack, wanted)
        if retyped:
            raise invalid(retyped)
        if changes.unchanged(stack, wanted, settings):
            raise invalid(_NO_UPDATES)
        self._begin_update(stack, wanted, settings)

    def nest(self, order: Order, url: str, given: Mapping[str, str]) -> Stack:
        """Begin to create a stack as a resource. Raises CloudFormationError."""
        parent, name = self.get_stack(order.stack_id), generated_id(order)
        stack_id = generate_stack_id(name, self.region_name, self.account_id)
        minutes = order.properties.get("TimeoutInMinutes")
        settings = replace(parent.settings, timeout_in_minutes=minutes and int(text(minutes)))
        wanted = self._nested(url, given, settings, stack_id, name)
        stack = self._new_stack(stack_id, name, settings, parent)
        self._begin_creation(stack, wanted)
        return stack

    def change_nested(self, stack: Stack, order: Order, url: str, given: Mapping[str, str]) -> bool:
        """Begin to update a stack that is a resource; whether there is something to update.

        Raises CloudFormationError.
        """
        settings = self.get_stack(order.stack_id).settings
        check_updatable(stack, preserves=settings.preserves)
        wanted = self._nested(url, given, settings, stack.stack_id, stack.name)
        if changes.unchanged(stack, wanted, settings):
            return False
        stack.verdict = None
        self._begin_update(stack, wanted, settings)
        return True

    def _nested(
        self, url: str, given: Mapping[str, str], settings: Settings, stack_id: str, name: str
    ) -> Template:
        body = from_s3(url, self.account_id, self.region_name)
        return self._read(body, dict(given), settings, stack_id=stack_id, name=name, checked=False)

    def _begin_update(self, stack: Stack, wanted: Template, settings: Settings) -> None:
        stack.settings = settings
        stack.updated_time = stack.now()
        operation = stack.begin("UPDATE_IN_PROGRESS", "UPDATE_STACK")
        operations = self._engine.operations
        operations.start(stack, operation, partial(operations.update, stack, operation, wanted))

    def delete_stack(
        self,
        name_or_stack_id: str,
        retain: Iterable[str] = (),
        *,
        force: bool = False,
        role_arn: str | None = None,
        by_parent: bool = False,
    ) -> None:
        """Begin to delete a stack; a stack that is not there, or going, is left alone.

        force: whether what could not be deleted is left. role_arn: of the role to delete it by, if
        not by that of the operation before. by_parent: whether it is an operation of the parent's.
        Raises ValidationError where the stack is protected, being updated, or used by another.
        """
        stack = self._find(name_or_stack_id)
        if stack is None or stack.status in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"):
            return
        retain = set(retain)
        check_deletable(stack, retain, force=force, by_parent=by_parent)
        for export in stack.own_exports():
            stack.check_unused(export, "deleted")
        if force:
            retain |= {
                name
                for name, resource in stack.resources.items()
                if resource.status == "DELETE_FAILED"
            }
        stack.use_role(role_arn)
        operation = stack.begin("DELETE_IN_PROGRESS", "DELETE_STACK")
        delete = partial(self._engine.operations.delete, stack, operation, retain, force=force)
        self._engine.operations.start(stack, operation, delete)

    def roll_back(self, stack: Stack, role_arn: str | None = None) -> None:
        """Begin to roll a stack back whose failure was left: delete it, if it was never complete.

        Raises ValidationError.
        """
        check_rollback(stack)
        stack.use_role(role_arn)
        operations = self._engine.operations
        if stack.stable is None:
            operation = stack.begin("DELETE_IN_PROGRESS", "ROLLBACK")
            run = partial(operations.undo_creation, stack, operation)
        else:
            operation = stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK")
            run = partial(operations.roll_back_update, stack, operation)
        operations.start(stack, operation, run)

    def continue_rollback(
        self, stack: Stack, skipped: Iterable[str], role_arn: str | None = None
    ) -> None:
        """Begin to roll a stack back whose rollback failed, but leave the `skipped` resources, of
        nested stacks, too. Raises ValidationError."""
        continuations.check(stack)
        nested = [each for each in self.live_stacks() if each.root_id == stack.stack_id]
        to_skip = continuations.skipped(stack, nested, skipped)
        for each in nested:
            if each.status == "UPDATE_ROLLBACK_FAILED":
                each.to_skip = to_skip.get(each.stack_id, frozenset())
        stack.use_role(role_arn)
        self._continue(stack, to_skip.get(stack.stack_id, frozenset()))

    def continue_nested(self, stack: Stack, role_arn: str | None) -> bool:
        """Begin to roll a nested stack back whose rollback failed, if that of its root is
        continued; whether it is."""
        to_skip, stack.to_skip = stack.to_skip, None
        if to_skip is None:
            return False
        stack.use_role(role_arn)
        self._continue(stack, to_skip)
        return True

    def _continue(self, stack: Stack, skipped: frozenset[str]) -> None:
        operation = stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", "CONTINUE_ROLLBACK")
        operations = self._engine.operations
        run = partial(operations.roll_back_update, stack, operation, skipped=skipped)
        operations.start(stack, operation, run)

    def cancel_update(self, stack: Stack) -> None:
        """Begin to roll a stack back that is being updated: no resource is waited for any longer.

        Raises ValidationError.
        """
        check_cancelable(stack)
        operation = stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK")
        operations = self._engine.operations
        run = partial(operations.roll_back_update, stack, operation)
        operations.start(stack, operation, run)

    def protect(self, stack: Stack, *, on: bool) -> None:
        """Set whether the stack, and those nested in it, can be deleted. Raises ValidationError."""
        check_protectable(stack)
        for each in self.live_stacks():
            if stack.stack_id in (each.stack_id, each.root_id):
                each.protect(on=on)
