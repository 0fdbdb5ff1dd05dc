"""CloudFormation in moto's server: its API on stacks that run as AWS runs them.

`install` puts the backend below in the place of moto's; `Stacks.close` takes it out again. Parsing
and serialising of requests, stack sets, stack policies and the list of exports stay moto's.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Condition
from types import SimpleNamespace
from typing import Any, cast

from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, cloudformation_backends
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.urls import url_bases
from moto.cloudformation.utils import (
    generate_changeset_id,
    generate_stack_id,
    validate_create_change_set,
)
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloudformation import changes, continuations, template_limits, wait_conditions
from sandbox.cloudformation.change_sets import ChangeSet, ChangeSetNotFound, InvalidChangeSetStatus
from sandbox.cloudformation.custom_resources import CustomResources
from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.nested_stacks import NestedStacks
from sandbox.cloudformation.operation_calls import OperationCalls, begun
from sandbox.cloudformation.operations import Operations
from sandbox.cloudformation.reads import READ_DELAY, Reads
from sandbox.cloudformation.refusals import (
    check_cancelable,
    check_change_set,
    check_deletable,
    check_protectable,
    check_rollback,
    check_updatable,
)
from sandbox.cloudformation.request_forms import USUAL_FORMS, RequestForms
from sandbox.cloudformation.resources import Order, Provider, generated_id
from sandbox.cloudformation.signals import Signals
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.template_source import from_s3
from sandbox.cloudformation.templates import (
    Template,
    capabilities,
    check,
    parse,
    pseudo_parameters,
    read,
    transforms,
)
from sandbox.cloudformation.views import Operation, Settings, View
from sandbox.upstream import request_models
from sandbox.upstream.permissions import Permissions

_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_NO_UPDATES = "No updates are to be performed."


@dataclass(frozen=True, slots=True)
class _Engine:
    """What the backends of all accounts and regions share."""

    clock: Callable[[], float]
    changed: Condition
    custom_resources: CustomResources
    signals: Signals
    operations: Operations
    reads: Reads


KEPT_DELETED = 300
"""How many deleted stacks of a Region are known, so that memory is bounded: the newest. AWS knows
those of the last 90 days."""


class Backend(CloudFormationBackend):
    """The stacks of one account and region."""

    def __init__(self, engine: _Engine, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._engine = engine
        self._changed = engine.changed
        self._stacks: dict[str, Stack] = {}
        self._change_sets: dict[str, ChangeSet] = {}

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": Response.dispatch})

    def reset(self) -> None:
        """Forget all stacks; moto makes a new backend afterwards."""
        with self._changed:
            for stack in self._stacks.values():
                stack.abandoned = True
            self._changed.notify_all()
            self._stacks.clear()
            self._change_sets.clear()
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


class Response(OperationCalls):
    """CloudFormation's API calls that concern stacks and change sets."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER = {  # noqa: RUF012 (moto's attribute)
        path: transformer
        for path, transformer in CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
        if path.startswith("DescribeStackSet")
    }

    @property
    def _backend(self) -> Backend:
        return cast(Backend, self.cloudformation_backend)

    def _body(self, previous: Stack | None = None) -> str | None:
        as_before = self._get_bool_param("UsePreviousTemplate")
        if previous and as_before:
            return previous.template.body if previous.template else None
        url: str | None = self._get_param("TemplateURL")
        body: str | None = self._get_param("TemplateBody")
        if url:
            return from_s3(url, self.current_account, self.region)
        template_limits.check_body(body or "")
        return body

    def _given(self, previous: Stack | None = None) -> dict[str, str]:
        before = previous.template.parameters if previous and previous.template else {}
        given: dict[str, str] = {}
        for parameter in self._get_param("Parameters", []):
            name = parameter["ParameterKey"]
            if not parameter.get("UsePreviousValue"):
                given[name] = parameter.get("ParameterValue", "")
            elif name in before:
                given[name] = before[name]
        return given

    def _settings(self, previous: Stack | None = None) -> Settings:
        before = previous.settings if previous else Settings()
        limited = {name: self._get_param(name, []) for name in ("NotificationARNs", "Tags")}
        problem = request_models.problem("cloudformation", "CreateStack", limited)
        if problem:
            raise invalid(problem)
        tags = {tag["Key"]: tag["Value"] for tag in limited["Tags"]}
        protected = self._get_bool_param("EnableTerminationProtection")
        return Settings(
            tags=tags or before.tags,
            topics=self._get_param("NotificationARNs", before.topics),
            capabilities=self._get_param("Capabilities", []),
            role_arn=self._get_param("RoleARN", before.role_arn),
            timeout_in_minutes=self._get_param("TimeoutInMinutes", before.timeout_in_minutes),
            protected=before.protected if protected is None else protected,
            on_failure=self._on_failure() or "ROLLBACK",
        )

    def _on_failure(self) -> str | None:
        on_failure: str | None = self._get_param("OnFailure") or self._get_param("OnStackFailure")
        if self._get_bool_param("DisableRollback"):
            if on_failure:
                raise invalid("You can't specify both DisableRollback and OnFailure")
            return "DO_NOTHING"
        return on_failure

    def create_stack(self) -> ActionResult:
        name = self._get_param("StackName")
        _check_stack_name(name)
        stack = self._backend.create_stack(
            name,
            self._body() or "",
            self._given(),
            self._settings(),
            self._get_param("StackPolicyBody"),
        )
        return begun(stack)

    def update_stack(self) -> ActionResult:
        stack = self._stack()
        self._backend.change_stack(
            stack, self._body(stack), self._given(stack), self._settings(stack)
        )
        return begun(stack)

    def list_imports(self) -> ActionResult:
        export = self._get_param("ExportName")
        names = self._backend.importers(export)
        if not names:
            raise invalid(f"Export '{export}' is not imported by any stack.")
        return ActionResult({"Imports": names})

    def create_change_set(self) -> ActionResult:
        stack_name, kind = self._get_param("StackName"), self._get_param("ChangeSetType", "UPDATE")
        previous = self._backend.get_stack(stack_name) if kind == "UPDATE" else None
        if kind == "CREATE" and not stack_name.startswith("arn:"):
            _check_stack_name(stack_name)
        change_set = self._backend.make_change_set(
            self._get_param("ChangeSetName"),
            stack_name,
            kind,
            self._get_param("Description"),
            self._body(previous),
            self._given(previous),
            self._settings(previous),
        )
        return ActionResult({"Id": change_set.change_set_id, "StackId": change_set.stack.stack_id})

    def _change_set(self) -> ChangeSet:
        return self._backend.find_change_set(
            self._get_param("ChangeSetName"), self._get_param("StackName")
        )

    def describe_change_set(self) -> ActionResult:
        with_values = bool(self._get_bool_param("IncludePropertyValues"))
        return ActionResult(self._change_set().described(with_values=with_values))

    def execute_change_set(self) -> ActionResult:
        self._backend.carry_out(self._change_set(), on_failure=self._on_failure())
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        with suppress(ChangeSetNotFound):  # which is no error of DeleteChangeSet
            self._backend.forget_change_set(self._change_set())
        return EmptyResult()

    def list_change_sets(self) -> ActionResult:
        change_sets = self._backend.change_sets_of(self._stack())
        return ActionResult({"Summaries": [change_set.summary() for change_set in change_sets]})

    def get_template(self) -> ActionResult:
        template = (
            self._change_set().template
            if self._get_param("ChangeSetName")
            else self._stack().template
        )
        if template is None:
            return ActionResult({"StagesAvailable": []})
        stage = self._get_param("TemplateStage", "Processed")
        as_submitted = stage == "Original" or not transforms(parse(template.body))
        body = template.body if as_submitted else json.dumps(template.processed)
        return ActionResult({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]})

    def validate_template(self) -> ActionResult:
        template = parse(self._body())
        check(template)
        return ActionResult(_summary(template))

    def get_template_summary(self) -> ActionResult:
        body = self._body()
        if self._get_param("StackName"):
            stack = self._stack()
            if stack.template is None:
                raise invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
            body = stack.template.body
        template = parse(body)
        kinds = [resource.get("Type") for resource in template.get("Resources", {}).values()]
        metadata = template.get("Metadata")
        return ActionResult(
            {
                **_summary(template),
                "ResourceTypes": kinds,
                "Version": text(template.get("AWSTemplateFormatVersion", "2010-09-09")),
                "Metadata": json.dumps(metadata) if metadata else None,
            }
        )


def _summary(template: dict[str, Any]) -> dict[str, Any]:
    """What ValidateTemplate and GetTemplateSummary both say of a template."""
    macros = transforms(template)
    needed = [*capabilities(template), *(["CAPABILITY_AUTO_EXPAND"] if macros else [])]
    return {
        "Description": template.get("Description"),
        "Parameters": [
            _declared_parameter(name, declaration)
            for name, declaration in (template.get("Parameters") or {}).items()
        ],
        "Capabilities": needed,
        "CapabilitiesReason": (
            f"The template requires capabilities: [{', '.join(needed)}]" if needed else None
        ),
        "DeclaredTransforms": macros,
    }


def _declared_parameter(name: str, declaration: dict[str, Any]) -> dict[str, Any]:
    default = declaration.get("Default")
    allowed = [text(value) for value in declaration.get("AllowedValues", [])]
    return {
        "ParameterKey": name,
        "DefaultValue": None if default is None else text(default),
        "ParameterType": declaration.get("Type", "String"),
        "NoEcho": text(declaration.get("NoEcho", False)) == "true",
        "Description": declaration.get("Description"),
        "ParameterConstraints": {"AllowedValues": allowed} if allowed else {},
    }


def _check_stack_name(name: str) -> None:
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


@dataclass(frozen=True, slots=True)
class Stacks:
    """CloudFormation, installed.

    custom_resources: to hand responses to, and to list them. signals: the same, of signals.
    """

    custom_resources: CustomResources
    signals: Signals
    operations: Operations
    replaced: type[CloudFormationBackend]

    def close(self) -> None:
        """Stop running operations, and restore moto's own backend."""
        self.operations.close()
        cloudformation_backends.backend = self.replaced
        cloudformation_backends.clear()


def install(
    endpoint: Callable[[], str],
    clock: Callable[[], float] = time.time,
    permissions: Permissions | None = None,
    forms: RequestForms = USUAL_FORMS,
    read_delay: float = READ_DELAY,
    refusal: Callable[[str, str], str | None] = lambda *_: None,
) -> Stacks:
    """Put this CloudFormation in the place of moto's, in this process.

    `endpoint` gives the server's own URL, as functions are to reach it; it is called when the first
    custom resource is. `clock` gives epoch seconds, to all time stamps and timeouts. `permissions`
    says when roles and policies count; where nobody judges them, nothing waits for that. `forms`
    are those of requests to custom resources. `read_delay` is by how many seconds what functions
    read of stacks is out of date. `refusal` says why a stack's role may not invoke a function.
    """
    changed = Condition()
    custom_resources = CustomResources(endpoint, clock, changed, forms, refusal)
    signals = Signals(endpoint, clock, changed, forms.signature_version)
    own: dict[str, Provider] = {
        wait_conditions.HANDLE: wait_conditions.Handles(signals),
        wait_conditions.CONDITION: wait_conditions.WaitConditions(signals, clock, changed),
    }
    nested = NestedStacks(
        lambda account, region: cast(Any, cloudformation_backends[account][region])
    )
    operations = Operations(custom_resources, own, nested, changed, permissions)
    reads = Reads(clock, read_delay)
    engine = _Engine(clock, changed, custom_resources, signals, operations, reads)
    replaced = cloudformation_backends.backend
    cloudformation_backends.backend = cast(Any, partial(Backend, engine))
    cloudformation_backends.clear()
    return Stacks(custom_resources, signals, operations, replaced)
