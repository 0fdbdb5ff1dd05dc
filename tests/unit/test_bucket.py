"""The bucket is checked before anything is made for it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from instance_bundle import aws
from instance_bundle.aws import bucket
from instance_bundle.errors import Doubtful, PassingFault, Unsuitable


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    with mock_aws():
        yield


def refusing(status: int) -> Any:
    """A stub of boto3's calls that S3 refuses; the answer to a HEAD request has no body."""

    def refuse(_client: BaseClient, name: str, _arguments: object) -> None:
        raise ClientError(
            {
                "Error": {"Code": str(status), "Message": "Refused"},
                "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
            },
            name,
        )

    return refuse


def test_a_bucket_of_this_region_is_suitable() -> None:
    aws.s3().create_bucket(Bucket="images")

    bucket.require_here("images")


def test_a_bucket_that_does_not_exist_may_be_new() -> None:
    with pytest.raises(Doubtful, match=r"^Storage\.S3\.Bucket: there is no bucket images\."):
        bucket.require_here("images")


def test_a_bucket_of_another_region_is_refused_with_both_regions() -> None:
    boto3.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="images", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    with pytest.raises(Unsuitable, match=r"images is in eu-west-1, .* Name a bucket in us-east-1"):
        bucket.require_here("images")


def test_a_denial_decides_nothing_and_is_named_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", refusing(403))

    bucket.require_here("images")

    assert "Allow s3:ListBucket in the role" in bucket.denial("images")


@pytest.mark.parametrize("status", [404, 200])
def test_what_is_known_is_no_denial(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    if status == 200:
        aws.s3().create_bucket(Bucket="images")
    else:
        monkeypatch.setattr(BaseClient, "_make_api_call", refusing(status))

    assert bucket.denial("images") == ""


@pytest.mark.parametrize("status", [400, 500, 503])
def test_no_answer_is_a_passing_fault(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", refusing(status))

    with pytest.raises(PassingFault) as raised:
        bucket.require_here("images")
    assert not isinstance(raised.value, Doubtful)
