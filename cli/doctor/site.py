"""The installation that is checked, and the calls that read it."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from cli.doctor.findings import Finding, problem
from cli.doctor.template import Place, Template
from cli.errors import calling
from cli.installation import Installation

_CALLS: Mapping[str, str] = {
    "s3:GetBucketNotification": "GetBucketNotificationConfiguration",
    "s3:ListBucket": "HeadBucket",
}
"""The calls that have another name than the action that allows them (Service Authorization
Reference, Amazon S3)."""

_RESTORE = (
    "CloudFormation can create it again by a drift-aware change set (CloudFormation User Guide,"
    " Using drift-aware change sets)."
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes calls, and names those that are refused. client: makes the client of a service."""

    client: Callable[[str], Any]
    _clients: dict[str, Any] = field(default_factory=dict)

    def read(self, action: str, *, absent: Collection[str] = (), **parameters: Any) -> Any:
        """What a call answers.

        Args:
            action: the action of IAM that allows the call, such as `kms:DescribeKey`.
            absent: the error codes that say that there is no such thing.
            **parameters: the call's.

        Returns:
            The answer; None if there is no such thing.

        Raises:
            Refused: AWS refuses the call, or does not answer.
        """
        service, _, name = action.partition(":")
        if service not in self._clients:
            self._clients[service] = self.client(service)
        call = getattr(self._clients[service], xform_name(_CALLS.get(action, name)))
        with calling(action):
            try:
                return call(**parameters)
            except ClientError as error:
                if error.response["Error"]["Code"] in absent:
                    return None
                raise


@dataclass(frozen=True, slots=True)
class Site:
    """The installation that is checked.

    Attributes:
        reader: makes calls.
        stack: as DescribeStacks has it.
        template: what its resources should be.
        table: the name of its ledger.
        buckets: those that are checked, too.
    """

    reader: Reader
    stack: Mapping[str, Any]
    template: Template
    table: str
    buckets: Collection[str] = ()

    def missing(self, logical_id: str, why: str) -> Finding:
        """The finding that a resource does not exist."""
        resource_type = self.template.body["Resources"][logical_id]["Type"]
        name = self.template.ids.get(logical_id, "")
        return problem(
            f"{logical_id} ({resource_type} {name}) does not exist.", f"{why} {_RESTORE}"
        )


def visit(installation: Installation, buckets: Collection[str]) -> Site:
    """Read what there should be.

    Raises:
        Refused: AWS refuses a call about the stack.
    """
    reader = Reader(installation.account.client)
    name = installation.stack
    [stack] = reader.read("cloudformation:DescribeStacks", StackName=name)["Stacks"]
    resources = reader.read("cloudformation:DescribeStackResources", StackName=name)
    body = reader.read("cloudformation:GetTemplate", StackName=name, TemplateStage="Processed")
    _, partition, _, region, account, _ = stack["StackId"].split(":", 5)
    template = Template(
        _parsed(body["TemplateBody"]),
        stack["StackName"],
        Place(partition, region, account),
        {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])},
        {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in resources["StackResources"]
            if each.get("PhysicalResourceId")
        },
    )
    return Site(reader, stack, template, installation.table, buckets)


def _parsed(body: Any) -> Mapping[str, Any]:
    """The template; SDKs give it parsed, if it is JSON, as it is after a transform."""
    parsed: Mapping[str, Any] = json.loads(body) if isinstance(body, str) else body
    return parsed
