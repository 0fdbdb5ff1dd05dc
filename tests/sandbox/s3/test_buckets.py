"""Buckets of other Regions and accounts, versions, and conditional deletes, over HTTP."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS, Clients
from sandbox.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return Clients(server.endpoint).s3


def client(server: Server, region: str, **credentials: str) -> Any:
    own: dict[str, Any] = {name.lower(): value for name, value in CREDENTIALS.items()}
    keys = own | credentials
    config = Config(s3={"addressing_style": "path"})
    made: BaseClient = boto3.Session(**keys).client(
        "s3", region_name=region, endpoint_url=server.endpoint, config=config
    )
    return made


def refused(call: Any, **given: Any) -> tuple[int, str]:
    """Status and code of an error."""
    with pytest.raises(ClientError) as raised:
        call(**given)
    response = raised.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture(scope="module")
def far(server: Server) -> str:
    """A bucket of another Region."""
    place = {"LocationConstraint": "us-west-2"}
    client(server, "us-west-2").create_bucket(Bucket="far", CreateBucketConfiguration=place)
    return "far"


def without_redirects(server: Server) -> Any:
    """A client that takes an answer as it comes."""
    made = client(server, "us-east-1")
    made.meta.events.register_first("needs-retry.s3", lambda **_: None)
    handlers = made.meta.events._emitter._handlers.prefix_search("needs-retry.s3")
    for handler in [each for each in handlers if "redirect" in getattr(each, "__name__", "")]:
        made.meta.events.unregister("needs-retry.s3", handler)
    return made


def test_a_bucket_of_another_region_is_a_redirect(server: Server, far: str) -> None:
    s3 = without_redirects(server)

    assert refused(s3.head_bucket, Bucket=far) == (301, "301")
    assert refused(s3.list_objects_v2, Bucket=far) == (301, "PermanentRedirect")
    assert refused(s3.put_object, Bucket=far, Key="web", Body=b"") == (301, "PermanentRedirect")
    assert s3.get_bucket_location(Bucket=far)["LocationConstraint"] == "us-west-2"


def test_sdks_follow_the_redirect(s3: Any, far: str) -> None:
    assert s3.head_bucket(Bucket=far)["BucketRegion"] == "us-west-2"
    s3.put_object(Bucket=far, Key="web", Body=b"1")

    assert s3.get_object(Bucket=far, Key="web")["Body"].read() == b"1"


def test_a_bucket_of_another_account_is_denied(server: Server, s3: Any) -> None:
    sts = Clients(server.endpoint).client("sts")
    role = "arn:aws:iam::210987654321:role/other"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
    other = client(
        server,
        "us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    other.create_bucket(Bucket="others")
    other.put_object(Bucket="others", Key="web", Body=b"")

    assert refused(s3.head_bucket, Bucket="others") == (403, "403")
    assert refused(s3.head_object, Bucket="others", Key="web") == (403, "403")
    assert refused(s3.put_object, Bucket="others", Key="api", Body=b"") == (403, "AccessDenied")
    assert refused(s3.head_bucket, Bucket="nobodys") == (404, "404")
    assert refused(s3.create_bucket, Bucket="others") == (409, "BucketAlreadyExists")


def test_old_names_of_us_east_1_are_taken(s3: Any) -> None:
    s3.create_bucket(Bucket="Upper_Case")

    assert s3.head_bucket(Bucket="Upper_Case")["BucketRegion"] == "us-east-1"


@pytest.fixture
def versioned(s3: Any, request: pytest.FixtureRequest) -> tuple[str, list[Any]]:
    """A bucket, and the answers to putting two versions of `web` into it."""
    bucket = f"versioned-{abs(hash(request.node.name))}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket, [s3.put_object(Bucket=bucket, Key="web", Body=body) for body in (b"1", b"2")]


def delete(s3: Any, bucket: str, *objects: dict[str, str]) -> list[tuple[str, str]]:
    """The keys that were not deleted, and why."""
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": list(objects)})
    return [(error["Key"], error["Code"]) for error in answer.get("Errors", [])]


def test_a_conditional_delete_checks_the_current_version_only(
    s3: Any, versioned: tuple[str, list[Any]]
) -> None:
    bucket, (old, new) = versioned
    failed = [("web", "PreconditionFailed")]
    assert delete(s3, bucket, {"Key": "web", "ETag": old["ETag"]}) == failed
    assert refused(s3.delete_object, Bucket=bucket, Key="web", IfMatch=old["ETag"]) == (
        412,
        "PreconditionFailed",
    )
    assert delete(s3, bucket, {"Key": "web", "ETag": new["ETag"]}) == []

    listed = s3.list_object_versions(Bucket=bucket)
    assert [each["VersionId"] for each in listed["Versions"]] == [
        new["VersionId"],
        old["VersionId"],
    ]
    assert [each["IsLatest"] for each in listed["DeleteMarkers"]] == [True]
    assert delete(s3, bucket, {"Key": "web", "ETag": new["ETag"]}) == [("web", "NoSuchKey")]


def test_an_etag_and_a_version_do_not_go_together(
    s3: Any, versioned: tuple[str, list[Any]]
) -> None:
    bucket, (_, new) = versioned
    asked = {"Key": "web", "ETag": new["ETag"], "VersionId": new["VersionId"]}

    assert delete(s3, bucket, asked) == [("web", "InvalidArgument")]
    assert delete(s3, bucket, {"Key": "web", "VersionId": new["VersionId"]}) == []
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1


def test_objects_that_are_as_they_were_seen_are_deleted_and_others_stay(
    s3: Any, versioned: tuple[str, list[Any]]
) -> None:
    bucket, _ = versioned
    api = s3.put_object(Bucket=bucket, Key="api", Body=b"")
    asked = [
        {"Key": "web", "ETag": '"0"'},
        {"Key": "api", "ETag": api["ETag"]},
        {"Key": "gone", "ETag": api["ETag"]},
        {"Key": "nobodys"},
    ]

    assert delete(s3, bucket, *asked) == [("web", "PreconditionFailed"), ("gone", "NoSuchKey")]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["web"]
