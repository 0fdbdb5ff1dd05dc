"""What the errors of botocore are translated to."""

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
from instance_bundle.errors import Doubtful, PassingFault

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
    with pytest.raises(Doubtful), aws.calling("s3:GetObject"):
        raise ClientError(
            {"Error": {"Code": "NoSuchBucket", "Message": "No."}, "ResponseMetadata": {}},  # type: ignore[typeddict-item]
            "GetObject",
        )
