"""S3 asks IAM for other actions where a request names a version, and shows locks to some only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.authorization.conftest import Account, code

BUCKET = "vault"
OBJECT = f"arn:aws:s3:::{BUCKET}/web"
LOCKS = {"ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"}
UNKNOWN = "0f6d9a3e-3f0e-4a4e-9a53-3d1a4b2c8e71"


@pytest.fixture
def place(account: Account) -> dict[str, Any]:
    """The place of a version in a bucket with Object Lock."""
    account.owner.s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    return put(account)


def put(account: Account, **more: Any) -> dict[str, Any]:
    answer = account.owner.s3.put_object(Bucket=BUCKET, Key="web", Body=b"1", **more)
    return {"Bucket": BUCKET, "Key": "web", "VersionId": answer["VersionId"]}


def current(place: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if name != "VersionId"}


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("head_bucket", "s3:ListBucket"),
        ("list_object_versions", "s3:ListBucketVersions"),
        ("get_bucket_versioning", "s3:GetBucketVersioning"),
        ("get_object_lock_configuration", "s3:GetBucketObjectLockConfiguration"),
    ],
)
def test_reads_of_a_bucket_need_their_action(
    account: Account, place: dict[str, Any], call: str, action: str
) -> None:
    refusal = account.refusal("s3", call, Bucket=BUCKET)
    assert code(refusal)[0] == 403

    account.allow(action, resource=f"arn:aws:s3:::{BUCKET}")
    getattr(account.client("s3"), call)(Bucket=BUCKET)

    assert {each["action"] for each in account.asked()} == {action}


@pytest.mark.parametrize("call", ["get_object", "head_object"])
def test_a_version_is_read_with_get_object_version(
    account: Account, place: dict[str, Any], call: str
) -> None:
    read = getattr(account.client("s3"), call)

    account.allow("s3:GetObject", resource=OBJECT)
    read(**current(place))
    assert code(account.refusal("s3", call, **place))[0] == 403

    account.allow("s3:GetObjectVersion", resource=OBJECT)
    read(**place)
    assert code(account.refusal("s3", call, **current(place)))[0] == 403


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("get_object_retention", "s3:GetObjectRetention"),
        ("get_object_legal_hold", "s3:GetObjectLegalHold"),
    ],
)
def test_locks_are_read_with_their_action(
    account: Account, place: dict[str, Any], call: str, action: str
) -> None:
    assert account.missing("s3", call, **place) == action

    account.allow(action, resource=OBJECT)

    assert code(account.refusal("s3", call, **place)) == (404, "NoSuchObjectLockConfiguration")
    assert code(account.refusal("s3", call, **{**current(place), "Key": "gone"})) == (
        403,
        "AccessDenied",
    )


@pytest.mark.parametrize("call", ["get_object", "head_object"])
def test_a_missing_version_or_a_deleted_object_is_404_to_who_may_list(
    account: Account, place: dict[str, Any], call: str
) -> None:
    account.owner.s3.delete_object(**current(place))
    missing = [current(place), {**place, "VersionId": UNKNOWN}]
    read = ("s3:GetObject", "s3:GetObjectVersion")

    account.allow(*read)
    getattr(account.client("s3"), call)(**place)
    assert {code(account.refusal("s3", call, **each))[0] for each in missing} == {403}

    account.allow(*read, "s3:ListBucket")
    assert {code(account.refusal("s3", call, **each))[0] for each in missing} == {404}


def test_a_version_is_deleted_with_delete_object_version(
    account: Account, place: dict[str, Any]
) -> None:
    delete = account.client("s3").delete_object

    account.allow("s3:DeleteObject", resource=OBJECT)
    assert account.missing("s3", "delete_object", **place) == "s3:DeleteObjectVersion"
    marker = delete(**current(place))["VersionId"]

    account.allow("s3:DeleteObjectVersion", resource=OBJECT)
    assert account.missing("s3", "delete_object", **current(place)) == "s3:DeleteObject"
    delete(**current(place), VersionId=marker)
    delete(**place)

    assert "Versions" not in account.owner.s3.list_object_versions(Bucket=BUCKET)


def test_a_conditional_delete_of_one_object_needs_permission_to_read(
    account: Account, place: dict[str, Any]
) -> None:
    etag = account.owner.s3.head_object(**place)["ETag"]
    account.allow("s3:DeleteObject")

    conditional = {**current(place), "IfMatch": etag}
    assert account.missing("s3", "delete_object", **conditional) == "s3:GetObject"
    account.allow("s3:DeleteObject", "s3:GetObject")
    account.client("s3").delete_object(**conditional)


def delete(account: Account, *objects: dict[str, str], **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = account.client("s3").delete_objects(
        Bucket=BUCKET, Delete={"Objects": list(objects)}, **more
    )
    return answer


def test_delete_objects_asks_for_each_version(account: Account, place: dict[str, Any]) -> None:
    version = {"Key": "web", "VersionId": place["VersionId"]}
    account.allow("s3:DeleteObject", resource=OBJECT)

    answer = delete(account, version, {"Key": "web"})

    [error] = answer["Errors"]
    assert (error["VersionId"], error["Code"]) == (place["VersionId"], "AccessDenied")
    assert "perform: s3:DeleteObjectVersion on" in error["Message"]
    assert [each["DeleteMarker"] for each in answer["Deleted"]] == [True]
    account.allow("s3:DeleteObjectVersion", resource=OBJECT)
    answer = delete(account, version, {"Key": "web"})
    assert [each["VersionId"] for each in answer["Deleted"]] == [place["VersionId"]]
    assert ["VersionId" in each for each in answer["Errors"]] == [False]


def test_the_bypass_needs_its_permission(account: Account, place: dict[str, Any]) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    locked = put(account, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    asked = [{"Key": "web", "VersionId": each["VersionId"]} for each in (place, locked)]
    bypass, action = {"BypassGovernanceRetention": True}, "s3:BypassGovernanceRetention"

    account.allow("s3:DeleteObjectVersion")
    assert account.missing("s3", "delete_object", **place, **bypass) == action
    errors = delete(account, *asked, **bypass)["Errors"]
    assert [f"perform: {action} on" in each["Message"] for each in errors] == [True, True]
    refusal = account.refusal(
        "s3", "delete_object", **locked, BypassGovernanceRetention=False
    ).response["Error"]
    assert refusal["Message"] == "Access Denied because object protected by object lock."

    account.allow("s3:DeleteObjectVersion", action, resource=OBJECT)
    account.client("s3").delete_object(**place, **bypass)
    assert "Errors" not in delete(account, asked[1], **bypass)


@pytest.mark.parametrize("call", ["get_object", "head_object"])
@pytest.mark.parametrize(
    ("action", "shown"),
    [
        (None, set()),
        ("s3:GetObjectRetention", {"ObjectLockMode", "ObjectLockRetainUntilDate"}),
        ("s3:GetObjectLegalHold", {"ObjectLockLegalHoldStatus"}),
    ],
)
def test_locks_are_shown_to_who_may_read_them(
    account: Account, place: dict[str, Any], call: str, action: str | None, shown: set[str]
) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    locked = put(
        account,
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
        ObjectLockLegalHoldStatus="ON",
    )
    account.allow("s3:GetObjectVersion", *([action] if action else []))

    found = getattr(account.client("s3"), call)(**locked)

    assert found.keys() & LOCKS == shown
    assert getattr(account.owner.s3, call)(**locked).keys() >= LOCKS


def test_an_object_without_a_lock_is_not_asked_about(
    account: Account, place: dict[str, Any]
) -> None:
    account.allow("s3:GetObject")
    account.client("s3").head_object(**current(place))

    assert {each["action"] for each in account.asked()} == {"s3:GetObject"}


def test_a_refused_head_bucket_says_the_region_and_no_more(
    account: Account, place: dict[str, Any]
) -> None:
    error = account.refusal("s3", "head_bucket", Bucket=BUCKET)

    assert code(error) == (403, "403")
    assert error.response["Error"]["Message"] == "Forbidden"
    headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == "us-east-1"


def test_a_bucket_of_another_region_is_a_redirect_before_iam_is_asked(account: Account) -> None:
    place: Any = {"LocationConstraint": "us-west-2"}
    account.owner.s3.create_bucket(Bucket="far", CreateBucketConfiguration=place)

    error = account.refusal("s3", "head_bucket", Bucket="far")

    headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == "us-west-2"
    account.allow("s3:ListBucket")
    assert account.client("s3").head_bucket(Bucket="far")["BucketRegion"] == "us-west-2"
