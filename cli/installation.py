"""The application that a command is about, and the clients that read it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import Misused, NotFound, calling
from instance_bundle.state import inspection

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import DeleteItemInputTypeDef, ScanInputPaginateTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

# A person waits, who can repeat the command.
_FEW_RETRIES = Config(connect_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
# All callers of an account share a few of CloudFormation's Describe calls a second
# (https://github.com/aws/aws-sam-cli/issues/2671).
_THROTTLED = _FEW_RETRIES.merge(Config(retries={"mode": "standard", "total_max_attempts": 8}))

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True)
class Account:
    """Where a command reads: the options that all commands have.

    Attributes:
        profile: of the AWS configuration files; None for the default.
        region: None for the profile's.
        endpoint_url: of all services, such as the sandbox's; None for AWS.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    @property
    def region_name(self) -> str:
        """The Region, also if it is the profile's."""
        return self._session.region_name or ""

    def cloudformation(self) -> "CloudFormationClient":
        """For stacks."""
        client: CloudFormationClient = self.client("cloudformation", _THROTTLED)
        return client

    def dynamodb(self) -> "DynamoDBClient":
        """For the ledger."""
        client: DynamoDBClient = self.client("dynamodb")
        return client

    def ec2(self) -> "EC2Client":
        """For AMIs and snapshots."""
        client: EC2Client = self.client("ec2")
        return client

    def s3(self) -> "S3Client":
        """For objects."""
        client: S3Client = self.client("s3")
        return client

    def functions(self) -> "LambdaClient":
        """For the application's function."""
        client: LambdaClient = self.client("lambda")
        return client

    def stack(self, name: str) -> "StackTypeDef | None":
        """A stack, by its name or ID; None if there is none.

        Raises:
            Refused: AWS refuses to describe it.
        """
        cloudformation = self.cloudformation()
        with calling("cloudformation:DescribeStacks"):
            try:
                return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                # A stack that does not exist is a ValidationError (AWS CloudFormation API
                # Reference, DescribeStacks).
                if error.response["Error"]["Code"] != "ValidationError":
                    raise
        return None

    def options(self) -> tuple[str, ...]:
        """The options by which AWS CLI calls the same place."""
        given = {
            "--profile": self.profile,
            "--region": self.region,
            "--endpoint-url": self.endpoint_url,
        }
        return tuple(part for name, value in given.items() if value for part in (name, value))

    def client(self, service: Any, config: Config = _FEW_RETRIES) -> Any:
        """A client of a service.

        Raises:
            Misused: the profile, the Region or the URL is wrong.
        """
        with _misused():
            return self._session.client(service, endpoint_url=self.endpoint_url, config=config)

    @cached_property
    def _session(self) -> boto3.Session:
        """A session reads each service's model once, which takes longer than most calls."""
        return boto3.Session(profile_name=self.profile, region_name=self.region)


@dataclass(frozen=True, slots=True)
class Installation:
    """The application, as a stack has installed it.

    Attributes:
        stack: the application's stack.
        account: where it is.
        table: the name of its ledger.
        stack_id: the ID of the stack.
        outputs: of the stack.
        parameters: of the stack.
    """

    stack: str
    account: Account
    table: str
    stack_id: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def may_have(self, stack_id: str) -> bool:
        """Whether a stack is one of this account and Region."""
        return stack_id.partition(":stack/")[0] == self.stack_id.partition(":stack/")[0]

    def items(self, condition: ConditionBase) -> Sequence[Mapping[str, Any]]:
        """The ledger's items that meet a condition, without what is secret.

        A scan reads the whole table: it has an item for each bundle, claim and request of the last
        days. `Select` is what a policy with `dynamodb:Select` requires, and the condition is about
        attributes that a policy with `dynamodb:Attributes` allows, too (Amazon DynamoDB Developer
        Guide, Using IAM policy conditions for fine-grained access control).
        """
        built = ConditionExpressionBuilder().build_expression(condition)
        names = {f"#{name}": name for name in inspection.ATTRIBUTES}
        request: ScanInputPaginateTypeDef = {
            "TableName": self.table,
            "ConsistentRead": True,
            "Select": "SPECIFIC_ATTRIBUTES",
            "ProjectionExpression": ", ".join(names),
            "FilterExpression": built.condition_expression,
            "ExpressionAttributeNames": names | built.attribute_name_placeholders,
        }
        if built.attribute_value_placeholders:
            request["ExpressionAttributeValues"] = _wire(built.attribute_value_placeholders)
        dynamodb = self.account.dynamodb()
        with calling("dynamodb:Scan"):
            pages = dynamodb.get_paginator("scan").paginate(**request)
            return [_plain(item) for page in pages for item in page["Items"]]

    def delete(self, request: "DeleteItemInputTypeDef") -> bool:
        """Delete an item of the ledger, as `instance_bundle.state.release` requests it.

        Returns:
            Whether it was deleted: False if the request's condition does not hold.
        """
        with calling("dynamodb:DeleteItem"):
            try:
                self.account.dynamodb().delete_item(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                return False
        return True


def find(account: Account, stack: str) -> Installation:
    """The application that a stack has installed.

    Its ledger is an output, since it may be one that an earlier stack left.

    Args:
        account: where it is.
        stack: the stack's name or ID.

    Raises:
        NotFound: there is no such stack, or it has no ledger.
        Refused: AWS refuses to describe it.
    """
    found = account.stack(stack)
    if found is None:
        raise NotFound(
            f"There is no stack {stack} in this account and Region. Name the application's"
            " stack with --application."
        )
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    table = outputs.get("LedgerTable")
    if table is None:
        raise NotFound(
            f"Stack {stack} has no output LedgerTable, so it is not an installation of"
            " cfn-instance-bundle. Name the application's stack with --application."
        )
    parameters = {
        each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])
    }
    return Installation(stack, account, table, found["StackId"], outputs, parameters)


@contextmanager
def _misused() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise Misused(str(error)) from error


def _wire(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def _plain(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}
