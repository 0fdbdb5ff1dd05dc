"""What is done to each of a stack's resources: it is brought to its declaration, or deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation import dynamic_references, inconvenience
from sandbox.cloudformation.custom_resources import is_custom
from sandbox.cloudformation.inconvenience import Spreading
from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.providers import Failed, Finished, Made, Order, Outcome, Provider, Work
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.templates import Declaration, Template
from sandbox.cloudformation.views import MASK, Resource
from sandbox.cloudformation.walks import Start
from sandbox.upstream.permissions import Permissions


class StackNames:
    """What a template's names mean in a stack.

    hide_parameters: NoEcho parameters masked. hide_attributes: NoEcho attributes masked.
    """

    def __init__(
        self,
        stack: Stack,
        template: Template,
        *,
        hide_parameters: bool = False,
        hide_attributes: bool = False,
    ) -> None:
        self._stack = stack
        self._template = template
        self._hide_parameters = hide_parameters
        self._hide_attributes = hide_attributes

    def ref(self, name: str) -> Any:
        if self._hide_parameters and name in self._template.hidden:
            return MASK
        if name in self._template.values:
            return self._template.values[name]
        return self._made(name).physical_id

    def attribute(self, logical_id: str, name: str) -> Any:
        attributes = self._made(logical_id).attributes
        value = attributes.attribute(name)
        return MASK if self._hide_attributes and attributes.hidden else value

    def imported(self, name: str) -> Any:
        with self._stack.changed:
            export = self._stack.exports.get(name)
            if export is None:
                raise invalid(f"No export named {name} found.")
            self._stack.imports.add(name)
            return export.value

    def _made(self, logical_id: str) -> Made:
        resource = self._stack.resources.get(logical_id)
        if resource is None or resource.made is None:
            raise invalid(f"Unresolved resource dependencies [{logical_id}]")
        return resource.made


class Convergence:
    """Brings resources to what a template declares.

    replaced: what the resources that were created again were before. created: those that are new.
    before: what the resources whose update was started were before. failed: the resources whose
    work failed, those that were cancelled left out.
    """

    interruptible = True

    def __init__(
        self,
        stack: Stack,
        template: Template,
        provider: Callable[[str], Provider],
        permissions: Permissions | None,
        *,
        back: bool = False,
        skipped: Set[str] = frozenset(),
    ) -> None:
        """back: whether it is a rollback. skipped: the resources that it leaves as they are."""
        self._stack = stack
        self._template = template
        self._provider = provider
        self._permissions = permissions
        self._needed = frozenset(chain.from_iterable(template.graph.values()))
        self._back = back
        self._skipped = skipped
        self.failed: set[str] = set()
        self.before: dict[str, Resource] = {}
        self.replaced: dict[str, Resource] = {}
        self.created: set[str] = set()

    def first(self, ready: Sequence[str]) -> list[str]:
        """Which of the resources that could begin now are to begin."""
        return inconvenience.first_made(ready, lambda name: self._template.resources[name].type)

    def begin(self, logical_id: str) -> Start | None:
        """Announce the resource's turn. Returns what starts the work; None where there is none."""
        declaration = self._template.resources[logical_id]
        before = self._stack.resources.get(logical_id)
        if before and logical_id in self._skipped:
            self._stack.move(replace(before, declaration=declaration), "UPDATE_COMPLETE")
            return None
        return (
            self._begin_update(declaration, before)
            if before and before.made is not None and before.exists
            else self._begin_creation(declaration, before)
        )

    def _spreading(self, declaration: Declaration, work: Work) -> Work:
        """The work, done only once it counts where other resources need it."""
        needed = declaration.logical_id in self._needed
        if self._permissions and needed and inconvenience.spreads(declaration.type):
            return Spreading.of(work, self._permissions)
        return work

    def _begin_creation(self, declaration: Declaration, before: Resource | None) -> Start:
        if before and before.exists:
            self.replaced[declaration.logical_id] = before
        else:
            self.created.add(declaration.logical_id)
        now = self._stack.now()
        resource = Resource(declaration, "CREATE_IN_PROGRESS", now)
        try:
            order, shown = self._order(declaration, now)
        except CloudFormationError as problem:
            self._stack.note(resource)
            return _failing(problem)
        self._stack.note(replace(resource, order=order, shown=shown))
        provider = self._provider(declaration.type)
        return lambda: self._spreading(declaration, provider.create(order))

    def _begin_update(self, declaration: Declaration, before: Resource) -> Start | None:
        self.before[declaration.logical_id] = before
        resource = replace(before, declaration=declaration)
        made = before.made
        try:
            order, shown = self._order(declaration, self._stack.now())
        except CloudFormationError as problem:
            self._stack.move(resource, "UPDATE_IN_PROGRESS")
            return _failing(problem)
        if made is None or order.properties == made.order.properties:
            if before.status.endswith("_FAILED"):
                self._stack.move(resource, "UPDATE_COMPLETE")
            else:
                self._stack.keep(resource)
            return None
        self._stack.move(replace(resource, order=order, shown=shown), "UPDATE_IN_PROGRESS")
        former = self._former(order) if self._back else None
        if former:
            self.replaced[declaration.logical_id] = before
            back = replace(resource, order=order, shown=shown, made=former)
            self._stack.move(replace(back, physical_id=former.physical_id), "UPDATE_COMPLETE")
            return None
        provider = self._provider(declaration.type)
        return lambda: self._spreading(declaration, provider.update(order, made))

    def _former(self, order: Order) -> Made | None:
        """What the update to roll back replaced, which is there still. Custom resources are asked
        for it instead."""
        stable = self._stack.stable
        if stable is None or is_custom(order.type):
            return None
        for each in self._stack.former:
            if (
                each.made
                and each.declaration.logical_id == order.logical_id
                and each.physical_id == stable.physical_ids.get(order.logical_id)
                and each.made.order.properties == order.properties
            ):
                return each.made
        return None

    def _order(self, declaration: Declaration, now: datetime) -> tuple[Order, Mapping[str, Any]]:
        stack, template = self._stack, self._template
        shown = StackNames(stack, template, hide_parameters=True, hide_attributes=True)
        order = Order(
            stack_id=stack.stack_id,
            stack_name=stack.name,
            account=stack.account_id,
            region=stack.region_name,
            logical_id=declaration.logical_id,
            type=declaration.type,
            properties=resolved(template, StackNames(stack, template), declaration.properties),
            tags=stack.tags,
            since=now.timestamp(),
            role_arn=stack.settings.role_arn,
        )
        return order, resolved(template, shown, declaration.properties)

    def finish(self, logical_id: str, outcome: Outcome) -> bool:
        """Record the outcome. Returns whether it is a good one."""
        resource = self._stack.resources[logical_id]
        creating = resource.status.startswith("CREATE")
        if isinstance(outcome, Failed):
            self.failed.add(logical_id)
        if isinstance(outcome, Failed) and outcome.untouched and not creating:
            before = replace(self.before[logical_id], declaration=resource.declaration)
            self._stack.move(before, "UPDATE_FAILED", outcome.reason)
        elif isinstance(outcome, Failed):
            self._fail(resource, outcome.reason, outcome.physical_id)
        elif creating:
            made = replace(resource, made=outcome, physical_id=outcome.physical_id)
            self._stack.move(made, "CREATE_IN_PROGRESS", "Resource creation Initiated")
            self._stack.move(made, "CREATE_COMPLETE")
        else:
            self._finish_update(resource, outcome)
        return isinstance(outcome, Made)

    def _finish_update(self, resource: Resource, outcome: Made) -> None:
        made = replace(resource, made=outcome, physical_id=outcome.physical_id)
        if outcome.physical_id != resource.physical_id:
            logical_id = resource.declaration.logical_id
            self.replaced[logical_id] = self.before[logical_id]
            self._stack.move(
                made,
                "UPDATE_IN_PROGRESS",
                "Requested update required the provider to create a new physical resource",
            )
        self._stack.move(made, "UPDATE_COMPLETE")

    def cancel(self, logical_id: str, work: Work | None) -> None:
        """Give up the work; None where it was announced, but not started."""
        resource = self._stack.resources[logical_id]
        what = "creation" if resource.status.startswith("CREATE") else "update"
        physical_id = work.abandon() if work else None
        self._fail(resource, f"Resource {what} cancelled", physical_id)

    def _fail(self, resource: Resource, reason: str, physical_id: str | None) -> None:
        if resource.status.startswith("CREATE"):
            failed = replace(resource, physical_id=physical_id)
            self._stack.move(failed, "CREATE_FAILED", reason)
            return
        # What the failed update asked for counts as what there is, under the ID that it answered:
        # the rollback swaps the two, and where it answers another ID, deletes this one. A rollback
        # that failed is asked for again by the next one.
        if resource.made and resource.order:
            physical_id = physical_id or resource.made.physical_id
            order = resource.made.order if self._back else resource.order
            made = replace(resource.made, order=order, physical_id=physical_id)
            resource = replace(resource, made=made, physical_id=physical_id)
        self._stack.move(resource, "UPDATE_FAILED", reason)


def _failing(problem: CloudFormationError) -> Start:
    return lambda: Finished(Failed(problem.message))


def resolved(template: Template, names: StackNames, value: Any) -> Any:
    """`value` of the template in the stack. Raises ValidationError."""
    try:
        found = template.resolver(names).resolve(value)
    except (KeyError, TypeError, ValueError) as problem:
        raise invalid(f"Template error: {problem}") from problem
    return dynamic_references.replaced(found, template.references)


class Removal:
    """Deletes resources, and skips those that are to be kept.

    replaced: those whose logical IDs now stand for other resources. failed: those that could not
    be deleted.
    """

    interruptible = False

    def __init__(
        self,
        stack: Stack,
        to_delete: Mapping[str, Resource],
        provider: Callable[[str], Provider],
        *,
        kept: Callable[[Resource], bool],
        replaced: Set[str] = frozenset(),
    ) -> None:
        self._stack = stack
        self._to_delete = dict(to_delete)
        self._provider = provider
        self._kept = kept
        self._replaced = replaced
        self.failed: list[str] = []

    @property
    def left(self) -> dict[str, Resource]:
        """The resources that are still to be deleted: they failed, or others held them up."""
        return {name: each for name, each in self._to_delete.items() if each.exists}

    def first(self, ready: Sequence[str]) -> list[str]:
        """Which of the resources that could begin now are to begin."""
        return inconvenience.first_deleted(
            ready, lambda name: self._to_delete[name].declaration.type
        )

    def begin(self, logical_id: str) -> Start | None:
        """Announce the resource's turn. Returns what starts the work; None where there is none."""
        resource = self._to_delete[logical_id]
        order, physical_id, made = resource.order, resource.physical_id, resource.made
        if self._kept(resource):
            self._move(resource, "DELETE_SKIPPED")
            return None
        if order is None or physical_id is None:
            self._move(resource, "DELETE_COMPLETE")
            return None
        self._move(resource, "DELETE_IN_PROGRESS")
        order = replace(order, role_arn=self._stack.settings.role_arn)
        return lambda: self._provider(order.type).delete(order, physical_id, made)

    def finish(self, logical_id: str, outcome: Outcome) -> bool:
        """Record the outcome. Returns whether it is a good one."""
        resource = self._to_delete[logical_id]
        if isinstance(outcome, Failed):
            self._move(resource, "DELETE_FAILED", outcome.reason)
            self.failed.append(logical_id)
            return False
        self._move(resource, "DELETE_COMPLETE")
        return True

    def cancel(self, logical_id: str, work: Work | None) -> None:
        """Give up the work; None where it was announced, but not started."""
        if work:
            work.abandon()
        self._move(self._to_delete[logical_id], "DELETE_FAILED", "Resource deletion cancelled")

    def _move(self, resource: Resource, status: str, reason: str | None = None) -> None:
        logical_id = resource.declaration.logical_id
        self._to_delete[logical_id] = self._stack.move(
            resource, status, reason, kept=logical_id not in self._replaced
        )
