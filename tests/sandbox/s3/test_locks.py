"""Object Lock: retention, legal holds, and what they keep from being deleted, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.s3.conftest import refused

LOCKED = "Access Denied because object protected by object lock."
DENIED = (403, "AccessDenied")


@pytest.fixture
def lockable(s3: Any, request: pytest.FixtureRequest) -> str:
    """A bucket with Object Lock."""
    name = f"lockable-{abs(hash(request.node.nodeid))}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def in_days(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def put(s3: Any, bucket: str, **more: Any) -> dict[str, Any]:
    """The place of a new version."""
    answer = s3.put_object(Bucket=bucket, Key="web", Body=b"1", **more)
    return {"Bucket": bucket, "Key": "web", "VersionId": answer["VersionId"]}


def retained(s3: Any, bucket: str, mode: str, days: float = 1) -> dict[str, Any]:
    """The place of a new version with retention."""
    return put(s3, bucket, ObjectLockMode=mode, ObjectLockRetainUntilDate=in_days(days))


def retain(s3: Any, place: dict[str, Any], mode: str, days: float, **more: Any) -> None:
    until = {"Mode": mode, "RetainUntilDate": in_days(days)}
    s3.put_object_retention(**place, Retention=until, **more)


def hold(s3: Any, place: dict[str, Any], status: str) -> None:
    s3.put_object_legal_hold(**place, LegalHold={"Status": status})


def message(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**given)
    words: str = raised.value.response["Error"]["Message"]
    return words


def versions(s3: Any, bucket: str) -> list[str]:
    listed = s3.list_object_versions(Bucket=bucket)
    return [each["VersionId"] for each in listed.get("Versions", [])]


def set_default(s3: Any, bucket: str, mode: str, **period: int) -> None:
    rule = {"DefaultRetention": {"Mode": mode, **period}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_retained_version_is_not_deleted(s3: Any, lockable: str, mode: str) -> None:
    place = retained(s3, lockable, mode)

    assert refused(s3.delete_object, **place) == DENIED
    assert message(s3.delete_object, **place) == LOCKED
    assert refused(s3.delete_object, **place, BypassGovernanceRetention=False) == DENIED
    assert versions(s3, lockable) == [place["VersionId"]]


def test_a_held_version_is_not_deleted_until_the_hold_is_off(s3: Any, lockable: str) -> None:
    place = put(s3, lockable)
    hold(s3, place, "ON")

    assert refused(s3.delete_object, **place) == DENIED
    assert refused(s3.delete_object, **place, BypassGovernanceRetention=True) == DENIED
    hold(s3, place, "OFF")
    s3.delete_object(**place)

    assert versions(s3, lockable) == []


def test_delete_objects_names_the_locked_versions(s3: Any, lockable: str) -> None:
    free, locked = put(s3, lockable), retained(s3, lockable, "COMPLIANCE")
    asked = [{"Key": "web", "VersionId": each["VersionId"]} for each in (free, locked)]

    answer = s3.delete_objects(Bucket=lockable, Delete={"Objects": asked})

    assert [each["VersionId"] for each in answer["Deleted"]] == [free["VersionId"]]
    assert answer["Errors"] == [
        {
            "Key": "web",
            "VersionId": locked["VersionId"],
            "Code": "AccessDenied",
            "Message": LOCKED,
        }
    ]


def test_a_delete_without_a_version_makes_a_marker_of_a_locked_object(
    s3: Any, lockable: str
) -> None:
    place = retained(s3, lockable, "COMPLIANCE")
    etag = s3.head_object(**place)["ETag"]

    first = s3.delete_object(Bucket=lockable, Key="web", IfMatch=etag)
    s3.delete_object(Bucket=lockable, Key="web", VersionId=first["VersionId"])
    asked = [{"Key": "web", "ETag": etag}]
    [second] = s3.delete_objects(Bucket=lockable, Delete={"Objects": asked})["Deleted"]

    assert (first["DeleteMarker"], second["DeleteMarker"]) == (True, True)
    assert versions(s3, lockable) == [place["VersionId"]]


def test_governance_can_be_bypassed_and_compliance_can_not(s3: Any, lockable: str) -> None:
    governed, compliant = (retained(s3, lockable, each) for each in ("GOVERNANCE", "COMPLIANCE"))
    asked = [{"Key": "web", "VersionId": each["VersionId"]} for each in (governed, compliant)]

    assert refused(s3.delete_object, **compliant, BypassGovernanceRetention=True) == DENIED
    answer = s3.delete_objects(
        Bucket=lockable, Delete={"Objects": asked}, BypassGovernanceRetention=True
    )

    assert [each["VersionId"] for each in answer["Deleted"]] == [governed["VersionId"]]
    assert [each["VersionId"] for each in answer["Errors"]] == [compliant["VersionId"]]
    another = retained(s3, lockable, "GOVERNANCE")
    s3.delete_object(**another, BypassGovernanceRetention=True)
    assert versions(s3, lockable) == [compliant["VersionId"]]


def test_only_a_bucket_with_object_lock_knows_the_bypass(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="web")
    objects = {"Objects": [{"Key": "web"}]}
    invalid = (400, "InvalidArgument")

    for bypass in (True, False):
        given: dict[str, Any] = {"Bucket": bucket, "BypassGovernanceRetention": bypass}
        assert refused(s3.delete_object, **given, Key="web") == invalid
        assert refused(s3.delete_objects, **given, Delete=objects) == invalid
    assert len(versions(s3, bucket)) == 1


def test_a_lock_is_read(s3: Any, lockable: str) -> None:
    place = retained(s3, lockable, "GOVERNANCE", days=2)
    hold(s3, place, "ON")
    found = s3.head_object(**place)

    assert s3.get_object_retention(**place)["Retention"] == {
        "Mode": "GOVERNANCE",
        "RetainUntilDate": found["ObjectLockRetainUntilDate"],
    }
    assert s3.get_object_legal_hold(**place)["LegalHold"] == {"Status": "ON"}
    assert (found["ObjectLockMode"], found["ObjectLockLegalHoldStatus"]) == ("GOVERNANCE", "ON")
    assert timedelta(days=1, hours=23) < found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert s3.get_object(**place)["ObjectLockMode"] == "GOVERNANCE"


@pytest.mark.parametrize("read", ["get_object_retention", "get_object_legal_hold"])
def test_what_has_no_lock_says_so(s3: Any, lockable: str, bucket: str, read: str) -> None:
    call, place = getattr(s3, read), put(s3, lockable)
    s3.put_object(Bucket=bucket, Key="web")

    assert refused(call, **place) == (404, "NoSuchObjectLockConfiguration")
    assert "ObjectLockMode" not in s3.head_object(**place)
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(**place)
    assert refused(call, Bucket=bucket, Key="web") == (400, "InvalidRequest")
    assert refused(call, Bucket=lockable, Key="gone") == (404, "NoSuchKey")
    s3.delete_object(Bucket=lockable, Key="web")
    assert refused(call, Bucket=lockable, Key="web") == (405, "MethodNotAllowed")


def test_the_default_of_the_bucket_locks_new_objects(s3: Any, lockable: str) -> None:
    before = put(s3, lockable)
    set_default(s3, lockable, "COMPLIANCE", Days=3)
    after = put(s3, lockable)
    upload = s3.create_multipart_upload(Bucket=lockable, Key="web")["UploadId"]
    part = s3.upload_part(Bucket=lockable, Key="web", UploadId=upload, PartNumber=1, Body=b"1")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=lockable, Key="web", UploadId=upload, MultipartUpload=parts)
    explicit = retained(s3, lockable, "GOVERNANCE", days=1)

    found = [
        s3.head_object(Bucket=lockable, Key="web", VersionId=version)
        for version in versions(s3, lockable)
    ]
    modes = [each.get("ObjectLockMode") for each in found]
    assert modes == ["GOVERNANCE", "COMPLIANCE", "COMPLIANCE", None]
    until = found[1]["ObjectLockRetainUntilDate"] - found[1]["LastModified"]
    assert abs(until - timedelta(days=3)) < timedelta(minutes=1)
    assert refused(s3.delete_object, **after) == DENIED
    s3.delete_object(**before)
    s3.delete_object(**explicit, BypassGovernanceRetention=True)


def test_object_lock_needs_versioning_and_stays(s3: Any, bucket: str) -> None:
    enabled = {"ObjectLockEnabled": "Enabled"}
    given = {"Bucket": bucket, "ObjectLockConfiguration": enabled}
    s3.put_object(Bucket=bucket, Key="web", Body=b"1")
    code, versioning = (409, "InvalidBucketState"), {"Status": "Suspended"}

    assert refused(s3.put_object_lock_configuration, **given) == code
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(**given)

    configuration = s3.get_object_lock_configuration(Bucket=bucket)
    assert configuration["ObjectLockConfiguration"] == enabled
    assert (
        refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=versioning) == code
    )


@pytest.mark.parametrize(
    ("mode", "bypass", "allowed"),
    [("GOVERNANCE", False, False), ("GOVERNANCE", True, True), ("COMPLIANCE", True, False)],
)
def test_retention_is_extended_by_anybody_and_shortened_only_with_the_bypass(
    s3: Any, lockable: str, mode: str, bypass: bool, allowed: bool
) -> None:
    place = retained(s3, lockable, mode, days=2)

    retain(s3, place, mode, days=3)
    if allowed:
        retain(s3, place, mode, days=1, BypassGovernanceRetention=bypass)
        s3.put_object_retention(**place, Retention={}, BypassGovernanceRetention=bypass)
        s3.delete_object(**place)
    else:
        until = {"Mode": mode, "RetainUntilDate": in_days(1)}
        given = {**place, "Retention": until, "BypassGovernanceRetention": bypass}
        assert refused(s3.put_object_retention, **given) == DENIED
        assert message(s3.put_object_retention, **given) == LOCKED
        assert refused(s3.put_object_retention, **{**given, "Retention": {}}) == DENIED


def test_retention_and_holds_are_put_on_versions_that_are_there(s3: Any, lockable: str) -> None:
    put(s3, lockable)
    marker = s3.delete_object(Bucket=lockable, Key="web")["VersionId"]
    gone, of_marker = {"Bucket": lockable, "Key": "gone"}, {"Bucket": lockable, "Key": "web"}
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(1)}

    for call, given in (
        (s3.put_object_retention, {"Retention": until}),
        (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
    ):
        assert refused(call, **gone, **given) == (404, "NoSuchKey")
        assert refused(call, **of_marker, VersionId=marker, **given) == (405, "MethodNotAllowed")
    past = {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(-1)}
    place = put(s3, lockable)
    assert refused(s3.put_object_retention, **place, Retention=past) == (400, "InvalidArgument")
