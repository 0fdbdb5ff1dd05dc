"""CloudFormation's API calls that concern stacks, templates and change sets."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import cast

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloudformation import template_limits
from sandbox.cloudformation.change_set_models import Backend
from sandbox.cloudformation.change_sets import ChangeSet, ChangeSetNotFound
from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.operation_calls import OperationCalls, begun
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.template_source import from_s3
from sandbox.cloudformation.templates import check, parse, summary, transforms
from sandbox.cloudformation.views import Settings
from sandbox.upstream import request_models

_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


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
        return ActionResult(summary(template))

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
                **summary(template),
                "ResourceTypes": kinds,
                "Version": text(template.get("AWSTemplateFormatVersion", "2010-09-09")),
                "Metadata": json.dumps(metadata) if metadata else None,
            }
        )


def _check_stack_name(name: str) -> None:
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
