"""CloudFormation's API calls that read stacks: what they are, their resources and their events."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol, cast

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult

from sandbox.calls.api_calls import error_answer
from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.reads import THROTTLING, Throttled
from sandbox.cloudformation.views import View

_REMEMBERED = timedelta(days=90)
"""For how long the resources of a deleted stack are known
(https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html)."""


class Shelf(Protocol):
    """The stacks of an account and region, as a caller is to see them."""

    def views(self, named: str | None = None) -> list[View]:
        """Those that the caller sees, newest first, or those of a name or an ID.

        Raises Throttled.
        """

    def age(self, view: View) -> timedelta:
        """The time since a stack was deleted; none where it was not."""


class DescribeCalls(CloudFormationResponse):
    """CloudFormation's API calls that read stacks."""

    def call_action(self) -> TYPE_RESPONSE:
        try:
            return super().call_action()
        except Throttled:  # moto's own errors are those that a service's model names
            answer = error_answer({"REQUEST_METHOD": self.method}, "cloudformation:", THROTTLING)
            return THROTTLING.status, dict(answer.headers), answer.get_data(as_text=True)

    @property
    def _shelf(self) -> Shelf:
        return cast(Shelf, self.cloudformation_backend)

    def _view(self, *, of_resources: bool = False) -> View:
        """The stack that the request names: by its ID, or by its name while it is not deleted.

        of_resources: whether it is about the stack's resources. Raises ValidationError.
        """
        found = self._find(of_resources=of_resources)
        if found is None:
            raise ValidationError(self._get_param("StackName"))
        return found

    def _find(self, *, of_resources: bool) -> View | None:
        wanted = self._get_param("StackName")
        for view in self._shelf.views(wanted):
            if view.stack_id == wanted or (view.name == wanted and not view.deleted):
                is_forgotten = of_resources and self._shelf.age(view) >= _REMEMBERED
                return None if is_forgotten else view
        return None

    def describe_stacks(self) -> ActionResult:
        if self._get_param("StackName"):
            views = [self._view()]
        else:
            views = [view for view in self._shelf.views() if not view.deleted]
        return ActionResult({"Stacks": [view.described() for view in views]})

    def list_stacks(self) -> ActionResult:
        wanted = self._get_param("StackStatusFilter", [])
        summaries = [view.summary() for view in self._shelf.views()]
        return ActionResult(
            {
                "StackSummaries": [
                    summary
                    for summary in summaries
                    if not wanted or summary["StackStatus"] in wanted
                ]
            }
        )

    def describe_stack_events(self) -> ActionResult:
        view, token = self._view(), self._get_param("NextToken")
        if token is not None and not token.isdecimal():
            raise invalid("Invalid NextToken")
        events, left = view.newest_events(None if token is None else int(token))
        return ActionResult({"StackEvents": events, "NextToken": str(left) if left else None})

    def describe_stack_resource(self) -> ActionResult:
        """Of a stack that is there, a resource that is gone is not known
        (https://github.com/localstack/localstack/pull/13269). The words are those of a recording
        (https://github.com/localstack/localstack/blob/4f1b3ee2d66ee6b8ab777e95711f81f1510cb2a2/tests/aws/services/cloudformation/api/test_resources.snapshot.json):
        the stack is called what the request calls it."""
        stack, name = self._get_param("StackName"), self._get_param("LogicalResourceId")
        view = self._find(of_resources=True)
        if view is None:
            raise invalid(f"Stack '{stack}' does not exist")
        resource = view.resources.get(name)
        if resource is None or not (resource.exists or view.deleted):
            raise invalid(f"Resource {name} does not exist for stack {stack}")
        [described] = [r for r in view.described_resources() if r["LogicalResourceId"] == name]
        return ActionResult({"StackResourceDetail": described})

    def describe_stack_resources(self) -> ActionResult:
        physical_id = self._get_param("PhysicalResourceId")
        logical_id = self._get_param("LogicalResourceId")
        if physical_id:
            views = [view for view in self._shelf.views() if not view.deleted]
        else:
            views = [self._view(of_resources=True)]
        owners = [
            resources
            for resources in (view.described_resources() for view in views)
            if not physical_id or any(r["PhysicalResourceId"] == physical_id for r in resources)
        ]
        if not owners:
            raise invalid(f"Stack for {physical_id} does not exist")
        return ActionResult(
            {
                "StackResources": [
                    resource
                    for resource in owners[0]
                    if logical_id in (None, resource["LogicalResourceId"])
                ]
            }
        )

    def list_stack_resources(self) -> ActionResult:
        resources = self._view(of_resources=True).described_resources()
        return ActionResult({"StackResourceSummaries": resources})
