"""The change sets of an account and Region."""

from __future__ import annotations

from dataclasses import replace

from moto.cloudformation.exceptions import AlreadyExistsException
from moto.cloudformation.utils import (
    generate_changeset_id,
    generate_stack_id,
    validate_create_change_set,
)

from sandbox.cloudformation import changes
from sandbox.cloudformation.change_sets import ChangeSet, ChangeSetNotFound, InvalidChangeSetStatus
from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.models import Engine, StackBackend
from sandbox.cloudformation.refusals import check_change_set, check_updatable
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.views import Operation, Settings


class Backend(StackBackend):
    """The stacks and change sets of one account and region."""

    def __init__(self, engine: Engine, region_name: str, account_id: str) -> None:
        super().__init__(engine, region_name, account_id)
        self._change_sets: dict[str, ChangeSet] = {}

    def reset(self) -> None:
        """Forget all stacks and change sets; moto makes a new backend afterwards."""
        super().reset()
        with self._changed:
            self._change_sets.clear()

    def make_change_set(
        self,
        change_set_name: str,
        stack_name: str,
        kind: str,
        description: str | None,
        body: str | None,
        given: dict[str, str],
        settings: Settings,
    ) -> ChangeSet:
        """A new change set, on a new stack or an existing one. Raises ValidationError,
        InsufficientCapabilities and AlreadyExistsException."""
        validate_create_change_set(change_set_name)
        stack = self._find(stack_name)
        if kind == "UPDATE":
            stack = self.get_stack(stack_name)
            check_change_set(stack)
        elif stack and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(
                f"Stack [{stack_name}] already exists and cannot be created again with the "
                f"changeSet [{change_set_name}]"
            )
        self._check_change_set_name(stack, change_set_name)
        new_id = generate_stack_id(stack_name, self.region_name, self.account_id)
        wanted = self._read(
            body,
            given,
            settings,
            stack_id=stack.stack_id if stack else new_id,
            name=stack.name if stack else stack_name,
            expand=True,
        )
        if stack is None:
            stack = self._new_stack(new_id, stack_name, settings)
            stack.begin("REVIEW_IN_PROGRESS", "CREATE_CHANGESET")
        else:
            stack.add(Operation("CREATE_CHANGESET"))
        change_set = ChangeSet(
            change_set_id=generate_changeset_id(change_set_name, self.region_name, self.account_id),
            name=change_set_name,
            kind=kind,
            description=description,
            stack=stack,
            template=wanted,
            settings=settings,
            changes=changes.described(stack, wanted),
            problem=changes.problem(stack, wanted, settings) if kind == "UPDATE" else None,
            created=stack.now(),
        )
        with self._changed:
            self._change_sets[change_set.change_set_id] = change_set
        return change_set

    def _check_change_set_name(self, stack: Stack | None, name: str) -> None:
        if stack and any(existing.name == name for existing in self.change_sets_of(stack)):
            raise AlreadyExistsException(f"ChangeSet {name} already exists")

    def change_sets_of(self, stack: Stack) -> list[ChangeSet]:
        """The stack's change sets, oldest first."""
        with self._changed:
            return [item for item in self._change_sets.values() if item.stack is stack]

    def find_change_set(self, name_or_id: str, stack_name: str | None) -> ChangeSet:
        """The change set of that ID, or the stack's one of that name. Raises ChangeSetNotFound."""
        with self._changed:
            if name_or_id in self._change_sets:
                return self._change_sets[name_or_id]
        stack = self.get_stack(stack_name or "")
        for change_set in self.change_sets_of(stack):
            if change_set.name == name_or_id:
                return change_set
        raise ChangeSetNotFound(f"ChangeSet [{name_or_id}] does not exist")

    def forget_change_set(self, change_set: ChangeSet) -> None:
        """Delete the change set."""
        with self._changed:
            self._change_sets.pop(change_set.change_set_id, None)

    def carry_out(self, change_set: ChangeSet, *, on_failure: str | None) -> None:
        """Begin what the change set says. Raises InvalidChangeSetStatus and ValidationError.

        on_failure: what to do where it fails, if not what the change set says.
        """
        if change_set.executed or change_set.problem:
            raise InvalidChangeSetStatus(
                f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status "
                f"of [{change_set.summary()['ExecutionStatus']}]"
            )
        stack = change_set.stack
        settings = replace(
            change_set.settings, on_failure=on_failure or change_set.settings.on_failure
        )
        if change_set.kind == "UPDATE":
            check_updatable(stack, preserves=settings.preserves)
        with self._changed:
            executed = replace(change_set, executed=True)
            self._change_sets[change_set.change_set_id] = executed
        stack.change_set_id = change_set.change_set_id
        if change_set.kind == "UPDATE":
            self._begin_update(stack, change_set.template, settings)
        else:
            stack.settings = settings
            self._begin_creation(stack, change_set.template)
