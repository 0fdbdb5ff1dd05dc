"""What refusals mean: each row of the table, by a call of its purpose."""

import pytest

from instance_bundle.aws import refusals
from instance_bundle.aws.calls import CALLS, Purpose, action_of
from instance_bundle.aws.refusals import meaning
from instance_bundle.errors import (
    Denied,
    Doubtful,
    Gone,
    InstanceBundleError,
    NothingDone,
    PassingFault,
    Refused,
    Throttled,
)
from sandbox.authorization.needs import NEEDS

NOT_ALLOWED, INVALID = "UnauthorizedOperation", "InvalidParameterValue"
ANY = "ec2:BundleInstance", "s3:HeadObject", "dynamodb:PutItem", "events:PutEvents"

CASES: tuple[tuple[tuple[str, ...], tuple[str, ...], type[InstanceBundleError]], ...] = (
    # Any call
    (ANY, ("RequestLimitExceeded", "SlowDown", "ThrottlingException", "Throttling"), Throttled),
    (ANY, ("KMS.ThrottlingException", "KmsThrottled", "RequestThrottled"), Throttled),
    (ANY, ("RequestTimeout", "400", "409", "OperationAborted"), PassingFault),
    (ANY, ("ConditionalRequestConflict", "ConcurrentModificationException"), PassingFault),
    (ANY, ("ExpiredToken", "ExpiredTokenException", "RequestExpired"), PassingFault),
    # Starts work
    (
        ("ec2:CreateImage", "ec2:BundleInstance"),
        (
            "ConcurrentSnapshotLimitExceeded",
            "PendingSnapshotLimitExceeded",
            "ConcurrentCreateImageNoRebootLimitExceeded",
            "ConcurrentTagAccess",
        ),
        Refused,
    ),
    (("ec2:CreateImage", "ec2:BundleInstance"), ("InvalidInstanceID.NotFound",), Doubtful),
    (
        ("ec2:CreateImage", "ec2:BundleInstance"),
        (NOT_ALLOWED, INVALID, "BundlingInProgress", "DryRunOperation"),
        Denied,
    ),
    # Goes on
    (
        ("ec2:CreateStoreImageTask", "ec2:RegisterImage"),
        (INVALID, "InvalidAMIName.Duplicate", "InvalidManifest", "UnsupportedOperation"),
        Denied,
    ),
    (
        ("ec2:CreateStoreImageTask", "ec2:RegisterImage"),
        (NOT_ALLOWED, "InvalidAMIID.Unavailable", "InvalidAMIID.NotFound", "InvalidRequest"),
        Refused,
    ),
    # Reads
    (
        ("ec2:DescribeImages", "ec2:DescribeInstances", "s3:HeadObject", "s3:ListObjectsV2"),
        (NOT_ALLOWED, "403", INVALID, "InvalidAMIID.NotFound", "InvalidInstanceID.NotFound"),
        Doubtful,
    ),
    (("secretsmanager:GetSecretValue",), ("ResourceNotFoundException",), Doubtful),
    (
        (
            *("cloudformation:DescribeStacks", "cloudformation:DescribeStackResource"),
            "cloudformation:DescribeStackEvents",
        ),
        ("AccessDenied", "ValidationError"),
        Doubtful,
    ),
    (("cloudformation:DescribeStacks",), ("Throttling",), Throttled),
    # Repairs
    (
        ("ec2:CreateTags", "ec2:DeleteTags", "ec2:ModifyImageAttribute"),
        ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"),
        Gone,
    ),
    (("ec2:CreateTags", "ec2:ModifyImageAttribute"), (NOT_ALLOWED, INVALID), Refused),
    # Removes
    (("ec2:DeregisterImage",), ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"), Gone),
    (("s3:DeleteObjects",), ("NoSuchBucket", "NoSuchKey"), Gone),
    (("ec2:DeleteSnapshot",), ("InvalidSnapshot.InUse",), Refused),
    (("ec2:DeleteSnapshot", "s3:DeleteObjects"), (NOT_ALLOWED, "AccessDenied", INVALID), Denied),
    # Saves progress
    (("dynamodb:UpdateItem",), ("AccessDeniedException",), Doubtful),
    (("sqs:SendMessage", "sqs:SendMessageBatch"), ("AccessDenied",), Doubtful),
    (
        ("dynamodb:UpdateItem",),
        ("ConditionalCheckFailedException", "ValidationException", "ResourceNotFoundException"),
        Denied,
    ),
    # Publishes an event
    (("events:PutEvents",), ("AccessDeniedException", "ResourceNotFoundException"), Denied),
)


@pytest.mark.parametrize(
    ("call", "code", "means"),
    [(call, code, means) for calls, codes, means in CASES for call in calls for code in codes],
)
def test_what_a_refusal_means(call: str, code: str, means: type[InstanceBundleError]) -> None:
    assert type(meaning(call, code, "No.", 400)) is means


def test_each_row_is_shown_by_a_case() -> None:
    shown = {
        next(
            number
            for number, row in enumerate(refusals.TABLE)
            if row.fits(CALLS[call].purpose, code)
        )
        for calls, codes, _ in CASES
        for call in calls
        for code in codes
    }

    assert shown == set(range(len(refusals.TABLE)))


@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_the_servers_passes_whatever_the_call_is_for(call: str) -> None:
    for code in ("InternalError", "Unavailable", "NeverHeardOf"):
        found = meaning(call, code, "Again.", 503)
        assert isinstance(found, PassingFault)
        assert not isinstance(found, NothingDone)  # it may have had its effect


@pytest.mark.parametrize("call", CALLS)
def test_a_code_that_nobody_knows_ends_work_only_where_none_runs(call: str) -> None:
    found = meaning(call, "NeverHeardOf", "No.", 400)

    goes_on = {Purpose.GO_ON, Purpose.READ, Purpose.REPAIR}
    assert isinstance(found, Refused if CALLS[call].purpose in goes_on else Denied)


@pytest.mark.parametrize("call", CALLS)
def test_the_action_that_a_reason_names_is_one_that_the_call_needs(call: str) -> None:
    assert action_of(call) in {need.action for need in NEEDS[call]}


def test_what_is_waited_out_says_what_it_comes_to() -> None:
    found = meaning("s3:HeadObject", "403", "Forbidden", 403)

    assert isinstance(found, Doubtful)
    assert str(found) == str(found.refusal)
    assert "s3:HeadObject was refused. 403: Forbidden. Allow s3:GetObject in" in str(found)
