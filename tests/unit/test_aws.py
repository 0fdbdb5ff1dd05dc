"""What AWS's errors mean."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from instance_bundle import aws
from instance_bundle.errors import Denied, NothingDone, PassingFault, Throttled


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestLimitExceeded", 503),
        ("SlowDown", 503),
        ("ThrottlingException", 400),
        ("RequestThrottled", 400),
        ("KMS.ThrottlingException", 400),
        ("KmsThrottled", 400),
    ],
)
def test_throttling_did_nothing(code: str, status: int) -> None:
    assert type(aws.meaning("s3:GetObject", code, "Later.", status)) is Throttled


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestTimeout", 400),
        ("400", 400),  # the answer to a HEAD request, which has no body
        ("OperationAborted", 409),
        ("ConditionalRequestConflict", 409),
        ("OverLimit", 400),
        ("InternalError", 500),
        ("Unavailable", 503),
        ("503", 503),
    ],
)
def test_what_passes_may_have_had_its_effect(code: str, status: int) -> None:
    found = aws.meaning("s3:GetObject", code, "Again.", status)

    assert isinstance(found, PassingFault)
    assert not isinstance(found, NothingDone)


@pytest.mark.parametrize(
    ("code", "status", "by_permissions"),
    [
        ("UnauthorizedOperation", 403, True),
        ("AccessDeniedException", 400, True),
        ("403", 403, True),
        ("InvalidInstanceID.NotFound", 400, False),
        ("ValidationException", 400, False),
    ],
)
def test_all_else_is_refused(code: str, status: int, *, by_permissions: bool) -> None:
    found = aws.meaning("ec2:DescribeInstances", code, "No.", status)

    assert isinstance(found, Denied)
    assert found.is_by_permissions is by_permissions


URL = {"endpoint_url": "https://ec2.us-east-1.amazonaws.com"}


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(**URL),
        ReadTimeoutError(**URL),
        ResponseStreamingError(error="cut off"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        FlexibleChecksumError(error_msg="Expected checksum AAAAAA== did not match"),
        ResponseParserError("Unable to parse response"),
    ],
)
def test_no_answer_and_one_that_can_not_be_read_are_passing_faults(error: Exception) -> None:
    with pytest.raises(PassingFault, match="s3:GetObject"), aws.calling("s3:GetObject"):
        raise error


def test_an_error_of_our_own_is_no_fault_of_aws() -> None:
    with pytest.raises(TypeError), aws.calling("s3:GetObject"):
        raise TypeError
    with pytest.raises(Denied), aws.calling("s3:GetObject"):
        raise ClientError(
            {"Error": {"Code": "NoSuchBucket", "Message": "No."}, "ResponseMetadata": {}},  # type: ignore[typeddict-item]
            "GetObject",
        )
