"""Buckets of other Regions and accounts, versions, and conditional deletes, over HTTP."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends

from sandbox.server import Server
from tests.sandbox.s3.conftest import client, refused


def test_what_is_asked_of_a_missing_bucket_is_not_found(s3: Any) -> None:
    assert refused(s3.head_bucket, Bucket="missing") == (404, "404")
    assert refused(s3.head_object, Bucket="missing", Key="web") == (404, "404")


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


@pytest.fixture(scope="module")
def others(server: Server) -> str:
    """A bucket of another account, with an object."""
    owner = s3_backends["210987654321"]["aws"]
    owner.create_bucket("others", "us-east-1")
    owner.put_object("others", "web", b"")
    return "others"


def test_a_bucket_of_another_account_is_denied(s3: Any, others: str) -> None:
    assert refused(s3.head_bucket, Bucket="others") == (403, "403")
    assert refused(s3.head_object, Bucket="others", Key="web") == (403, "403")
    assert refused(s3.put_object, Bucket="others", Key="api", Body=b"") == (403, "AccessDenied")
    assert refused(s3.head_bucket, Bucket="nobodys") == (404, "404")
    assert refused(s3.create_bucket, Bucket="others") == (409, "BucketAlreadyExists")


def test_head_bucket_says_the_region_also_where_it_is_denied(s3: Any, others: str) -> None:
    with pytest.raises(ClientError) as raised:
        s3.head_bucket(Bucket=others)

    metadata = raised.value.response["ResponseMetadata"]
    assert metadata["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"
    assert raised.value.response["Error"] == {"Code": "403", "Message": "Forbidden"}
    with pytest.raises(ClientError) as raised:
        s3.head_bucket(Bucket="nobodys")
    assert raised.value.response["Error"] == {"Code": "404", "Message": "Not Found"}
    assert "x-amz-bucket-region" not in raised.value.response["ResponseMetadata"]["HTTPHeaders"]


def test_a_bucket_of_another_owner_than_the_expected_is_denied(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="web", Body=b"1")
    owned = {"Bucket": bucket, "ExpectedBucketOwner": "123456789012"}
    stranger = {"Bucket": bucket, "ExpectedBucketOwner": "210987654321"}
    objects = {"Objects": [{"Key": "web"}]}

    assert s3.head_bucket(**owned)["BucketRegion"] == "us-east-1"
    assert refused(s3.head_bucket, **stranger) == (403, "403")
    assert refused(s3.head_object, **stranger, Key="web") == (403, "403")
    assert refused(s3.delete_objects, **stranger, Delete=objects) == (403, "AccessDenied")
    s3.delete_objects(**owned, Delete=objects)
    assert refused(s3.head_object, **owned, Key="web") == (404, "404")


def old(name: str) -> dict[str, Any]:
    """The parameters of a bucket from before March 2018."""
    tags = [{"Key": "sandbox:created", "Value": "2018-02-28"}]
    return {"Bucket": name, "CreateBucketConfiguration": {"Tags": tags}}


@pytest.mark.parametrize("name", ["Upper_Case", "_" * 255, "web..old-"])
def test_old_names_of_us_east_1_exist(s3: Any, name: str) -> None:
    assert refused(s3.create_bucket, Bucket=name) == (400, "InvalidBucketName")

    s3.create_bucket(**old(name))

    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    s3.put_object(Bucket=name, Key="web/part", Body=b"1")
    [found] = s3.list_objects_v2(Bucket=name)["Contents"]
    asked = {"Objects": [{"Key": "web/part", "ETag": found["ETag"]}]}
    assert "Errors" not in s3.delete_objects(Bucket=name, Delete=asked)
    assert refused(s3.head_object, Bucket=name, Key="web/part") == (404, "404")


def test_old_names_have_rules_too(server: Server, s3: Any) -> None:
    west = client(server, "us-west-2")
    far: Any = old("Far_Away")
    far["CreateBucketConfiguration"]["LocationConstraint"] = "us-west-2"

    assert refused(s3.create_bucket, **old("ab")) == (400, "InvalidBucketName")
    assert refused(west.create_bucket, **far) == (400, "InvalidBucketName")


@pytest.mark.parametrize(
    "name", ["Upper", "under_score", "-web", "web-", "web..old", "192.168.5.4", "xn--web", "a" * 64]
)
def test_new_names_are_of_lower_case_letters_digits_dots_and_hyphens(s3: Any, name: str) -> None:
    assert refused(s3.create_bucket, Bucket=name) == (400, "InvalidBucketName")


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


def test_a_bucket_that_does_not_exist_is_not_found_whatever_is_asked_for(s3: Any) -> None:
    for call in (s3.get_object, s3.delete_object, s3.get_object_tagging):
        assert refused(call, Bucket="nowhere", Key="web") == (404, "NoSuchBucket")
    assert refused(s3.head_object, Bucket="nowhere", Key="web")[0] == 404
