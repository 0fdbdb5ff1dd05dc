"""The AWS clients, each made when it is first needed, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions as botocore_errors
from botocore.config import Config

from instance_bundle.errors import Denied, InstanceBundleError, PassingFault, Throttled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_PATIENT = Config(
    connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
_ONCE = _PATIENT.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

# The codes that the SDKs' standard retry mode takes for throttling (AWS SDKs and Tools Reference
# Guide, Retry behavior), and EC2's.
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "SnapshotCreationPerVolumeRateExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_PASSING = frozenset(
    {
        "InternalError",
        "InternalException",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)

FILTER_VALUES = 200
"""Values that one filter of an EC2 Describe call takes (EC2 API Reference, Filter)."""


@cache
def ec2() -> "EC2Client":
    """For calls that may be repeated."""
    return boto3.client("ec2", config=_PATIENT)


@cache
def ec2_once() -> "EC2Client":
    """For calls that start work: the SDK repeats none of them."""
    return boto3.client("ec2", config=_ONCE)


@cache
def s3() -> "S3Client":
    """For a bundle's objects."""
    return boto3.client("s3", config=_PATIENT)


@cache
def dynamodb() -> "DynamoDBClient":
    """For the ledger."""
    return boto3.client("dynamodb", config=_PATIENT)


@cache
def secretsmanager() -> "SecretsManagerClient":
    """For the access key that signs upload policies."""
    return boto3.client("secretsmanager", config=_PATIENT)


@cache
def events() -> "EventBridgeClient":
    """For the bus that hears of work that has ended."""
    return boto3.client("events", config=_PATIENT)


@cache
def sqs() -> "SQSClient":
    """For the poll queue."""
    return boto3.client("sqs", config=_PATIENT)


def chunks(values: list[str], size: int) -> Iterator[list[str]]:
    """Values, as many at a time as a call takes."""
    return (values[start : start + size] for start in range(0, len(values), size))


@contextmanager
def calling(action: str) -> Iterator[None]:
    """Translate the errors of the AWS call made inside.

    Args:
        action: the IAM action of the call, such as `ec2:BundleInstance`.

    Raises:
        Throttled: AWS asks to come later, and did nothing.
        PassingFault: no answer, or a server's fault; the call may have had its effect.
        Denied: AWS refused, for good.
    """
    try:
        yield
    except botocore_errors.ClientError as error:
        code = error.response["Error"]["Code"]
        message = error.response["Error"]["Message"]
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise meaning(action, code, message, status) from error
    except (botocore_errors.ConnectionError, botocore_errors.HTTPClientError) as error:
        raise PassingFault(f"{action}: {type(error).__name__}") from error


def meaning(action: str, code: str, message: str, status: int = 0) -> InstanceBundleError:
    """What an error that AWS answered means: `Throttled`, `PassingFault` or `Denied`.

    Args:
        action: the IAM action of the call.
        code: AWS's error code.
        message: AWS's words.
        status: of HTTP; 0 where the error is part of an answer that succeeded.
    """
    if code in _THROTTLED:
        return Throttled(f"{action}: {code}")
    if status >= 500 or code in _PASSING:
        return PassingFault(f"{action}: {code}")
    return Denied(action, code, message)
