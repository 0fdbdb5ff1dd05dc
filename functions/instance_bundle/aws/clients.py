"""The AWS clients, each created when it is first needed, and what their errors mean.

A call is not attempted if the invocation has no time for it (`budget`), and an unreadable answer is
an error (`readable`).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore import exceptions as botocore_errors
from botocore.client import BaseClient
from botocore.config import Config
from botocore.parsers import ResponseParserError

from instance_bundle import __version__, budget
from instance_bundle.aws.calls import require_unpaused
from instance_bundle.aws.readable import require_readable
from instance_bundle.aws.refusals import is_throttling, meaning
from instance_bundle.errors import PassingFault
from instance_bundle.telemetry import count, request_id

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_REPEATED = Config(
    # At the end of the user agent (botocore's Config). The application ID is left to operators, who
    # set AWS_SDK_UA_APP_ID (AWS SDKs and Tools Reference Guide, Application ID).
    user_agent_extra=f"cfn-instance-bundle/{__version__}",
    connect_timeout=budget.CONNECT,
    read_timeout=budget.READ,
    retries={"mode": "standard", "total_max_attempts": 3},
)
_ONCE = _REPEATED.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

Client = TypeVar("Client", bound=BaseClient)

_UNANSWERED = (
    botocore_errors.ChecksumError,
    botocore_errors.ConnectionError,
    botocore_errors.FlexibleChecksumError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    ResponseParserError,
)
"""What botocore raises if there is no answer, a part of one, or an unreadable one."""

FILTER_VALUES = 200
"""Values that one filter of an EC2 Describe call takes (EC2 API Reference, Filter)."""

_NOT_IN_USER_AGENT = re.compile(r"[^A-Za-z0-9!$%&'*+.^_`|~,-]")
"""As botocore's `useragent.sanitize_user_agent_string_component`, which is private."""


# Calls to these save the progress of a request, or publish its end.
_SAVES_PROGRESS = {"dynamodb", "events", "sqs"}


@cache
def ec2() -> "EC2Client":
    """For calls that may be repeated."""
    return _within_limits(boto3.client("ec2", config=_REPEATED))


@cache
def ec2_once() -> "EC2Client":
    """For calls that start work: the SDK repeats none of them."""
    return _within_limits(boto3.client("ec2", config=_ONCE))


@cache
def s3() -> "S3Client":
    """For a bundle's objects."""
    return _within_limits(boto3.client("s3", config=_REPEATED))


@cache
def dynamodb() -> "DynamoDBClient":
    """For the ledger."""
    return _within_limits(boto3.client("dynamodb", config=_REPEATED))


@cache
def secretsmanager() -> "SecretsManagerClient":
    """For the access key that signs upload policies."""
    return _within_limits(boto3.client("secretsmanager", config=_REPEATED))


@cache
def events() -> "EventBridgeClient":
    """For the bus that receives the events about bundles."""
    return _within_limits(boto3.client("events", config=_REPEATED))


@cache
def sqs() -> "SQSClient":
    """For the poll queue."""
    return _within_limits(boto3.client("sqs", config=_REPEATED))


@cache
def cloudformation() -> "CloudFormationClient":
    """For what CloudFormation is doing with a stack."""
    return _within_limits(boto3.client("cloudformation", config=_REPEATED))


def _within_limits(client: Client) -> Client:
    service = client.meta.service_model.service_name
    need = budget.SAVE if service in _SAVES_PROGRESS else budget.WORK

    def stay_in_time(request: "AWSRequest", operation_name: str, **_: Any) -> None:
        budget.require_attempt(request.context, need, f"{service}:{operation_name}")

    def count_throttled(parsed_response: Mapping[str, Any] | None, **_: Any) -> None:
        if is_throttling((parsed_response or {}).get("Error", {}).get("Code", "")):
            count(f"Throttled{service.title()}")

    client.meta.events.register("request-created", stay_in_time)
    client.meta.events.register("request-created", _name_request)
    client.meta.events.register("response-received", count_throttled)
    client.meta.events.register("before-parse", require_readable)
    return client


def _name_request(request: "AWSRequest", **_: Any) -> None:
    """Put the ID of the request that is being handled into the user agent, which is not signed:
    CloudTrail shows it (AWS CloudTrail User Guide, CloudTrail record contents)."""
    if request_id():
        named = f"md/instance-bundle#{_NOT_IN_USER_AGENT.sub('-', request_id())}"
        agent = request.headers.get_all("User-Agent", [""])[-1]  # Powertools adds a second header
        del request.headers["User-Agent"]
        request.headers["User-Agent"] = f"{agent} {named}"


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Translate the errors of the AWS call made inside.

    Args:
        call: the call, one of `calls.CALLS`.

    Raises:
        PassingFault: no answer, an unreadable one, or a server error; the call may have had its
            effect.
        InstanceBundleError: what another error of AWS's means, by `refusals.TABLE`.
        Refused: the application is paused, and does not make this call.
    """
    require_unpaused(call)
    try:
        yield
    except botocore_errors.ClientError as error:
        code = error.response["Error"]["Code"]
        message = error.response["Error"].get("Message") or ""
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise meaning(call, code, message, status) from error
    except _UNANSWERED as error:
        raise PassingFault(f"{call}: {type(error).__name__}") from error
