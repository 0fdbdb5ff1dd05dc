"""Versions of objects, delete markers, and null versions, over HTTP."""

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.s3.conftest import refused

MALFORMED = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"
UNKNOWN = "0f6d9a3e-3f0e-4a4e-9a53-3d1a4b2c8e71"


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    """A bucket with versioning."""
    set_versioning(s3, bucket, "Enabled")
    return bucket


def set_versioning(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, body: bytes = b"", key: str = "web") -> str:
    """The version ID of a new object."""
    answer = s3.put_object(Bucket=bucket, Key=key, Body=body)
    version: str = answer.get("VersionId", "null")
    return version


def answered(answer: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(answer.get(name) for name in names)


def listed(s3: Any, bucket: str, **more: Any) -> list[tuple[str, str, str, bool]]:
    """Kind, key, version ID and whether it is the latest, of all versions on all pages."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more):
        for kind in ("Versions", "DeleteMarkers"):
            found += [
                (kind, each["Key"], each["VersionId"], each["IsLatest"])
                for each in page.get(kind, [])
            ]
    return found


def ids(s3: Any, bucket: str) -> list[str]:
    """The version IDs in a bucket, versions first."""
    return [version for _, _, version, _ in listed(s3, bucket)]


def delete_many(
    s3: Any, bucket: str, *objects: dict[str, str], quiet: bool = False
) -> dict[str, Any]:
    answer: dict[str, Any] = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": list(objects), "Quiet": quiet}
    )
    return answer


def test_a_delete_of_a_version_removes_it_alone(s3: Any, versioned: str) -> None:
    old, new = put(s3, versioned, b"1"), put(s3, versioned, b"2")

    answer = s3.delete_object(Bucket=versioned, Key="web", VersionId=new)

    assert answered(answer, "VersionId", "DeleteMarker") == (new, None)
    assert listed(s3, versioned) == [("Versions", "web", old, True)]
    assert s3.get_object(Bucket=versioned, Key="web")["Body"].read() == b"1"


def test_a_delete_without_a_version_makes_a_marker(s3: Any, versioned: str) -> None:
    version = put(s3, versioned)

    answer = s3.delete_object(Bucket=versioned, Key="web")

    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True
    assert listed(s3, versioned) == [
        ("Versions", "web", version, False),
        ("DeleteMarkers", "web", marker, True),
    ]
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)


def test_a_marker_that_is_deleted_shows_the_object_again(s3: Any, versioned: str) -> None:
    version = put(s3, versioned)
    marker = s3.delete_object(Bucket=versioned, Key="web")["VersionId"]

    answer = s3.delete_object(Bucket=versioned, Key="web", VersionId=marker)

    assert answered(answer, "VersionId", "DeleteMarker") == (marker, True)
    assert listed(s3, versioned) == [("Versions", "web", version, True)]


def test_a_marker_is_made_of_a_key_that_is_not_there(s3: Any, versioned: str) -> None:
    answer = s3.delete_object(Bucket=versioned, Key="never")

    assert answer["DeleteMarker"] is True
    assert listed(s3, versioned) == [("DeleteMarkers", "never", answer["VersionId"], True)]


def test_a_version_that_is_gone_is_deleted_with_success(s3: Any, versioned: str) -> None:
    version = put(s3, versioned)

    answer = s3.delete_object(Bucket=versioned, Key="web", VersionId=UNKNOWN)

    assert answered(answer, "VersionId", "DeleteMarker") == (UNKNOWN, None)
    assert ids(s3, versioned) == [version]


def test_a_malformed_version_is_refused(s3: Any, versioned: str, bucket: str) -> None:
    put(s3, versioned)
    place = {"Bucket": versioned, "Key": "web", "VersionId": MALFORMED}

    assert refused(s3.delete_object, **place) == (400, "InvalidArgument")
    assert refused(s3.get_object, **place) == (400, "InvalidArgument")
    assert refused(s3.head_object, **place) == (400, "400")
    answer = delete_many(s3, versioned, {"Key": "web", "VersionId": MALFORMED})
    [error] = answer["Errors"]
    assert answered(error, "Key", "VersionId", "Code") == ("web", MALFORMED, "NoSuchVersion")
    assert len(ids(s3, versioned)) == 1


def test_delete_objects_says_what_it_deleted(s3: Any, versioned: str) -> None:
    version = put(s3, versioned)

    [made] = delete_many(s3, versioned, {"Key": "web"})["Deleted"]
    marker = made["DeleteMarkerVersionId"]
    assert made == {"Key": "web", "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    asked = [{"Key": "web", "VersionId": each} for each in (version, marker)]

    assert delete_many(s3, versioned, *asked)["Deleted"] == [
        {"Key": "web", "VersionId": version},
        {
            "Key": "web",
            "VersionId": marker,
            "DeleteMarker": True,
            "DeleteMarkerVersionId": marker,
        },
    ]
    assert ids(s3, versioned) == []


def test_delete_objects_is_quiet_about_success(s3: Any, versioned: str) -> None:
    put(s3, versioned)
    asked = [{"Key": "web"}, {"Key": "web", "VersionId": MALFORMED}]

    answer = delete_many(s3, versioned, *asked, quiet=True)

    assert "Deleted" not in answer
    assert [error["Code"] for error in answer["Errors"]] == ["NoSuchVersion"]


def test_an_etag_and_a_version_are_refused_by_delete_object(s3: Any, versioned: str) -> None:
    version = put(s3, versioned)
    etag = s3.head_object(Bucket=versioned, Key="web")["ETag"]
    place = {"Bucket": versioned, "Key": "web", "VersionId": version, "IfMatch": etag}

    assert refused(s3.delete_object, **place) == (400, "InvalidArgument")
    assert ids(s3, versioned) == [version]


def test_a_delete_needs_the_version_in_a_bucket_without_versions(s3: Any, bucket: str) -> None:
    put(s3, bucket)

    s3.delete_object(Bucket=bucket, Key="web", VersionId=UNKNOWN)
    assert ids(s3, bucket) == ["null"]
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="web", VersionId="null")
    s3.delete_object(Bucket=bucket, Key="web", VersionId="null")

    assert ids(s3, bucket) == []


@pytest.mark.parametrize("read", ["get_object", "head_object"])
def test_reads_answer_the_version(s3: Any, versioned: str, read: str) -> None:
    old, new = put(s3, versioned, b"1"), put(s3, versioned, b"2")
    call = getattr(s3, read)

    assert call(Bucket=versioned, Key="web")["VersionId"] == new
    found = call(Bucket=versioned, Key="web", VersionId=old)

    assert found["VersionId"] == old
    assert found["ETag"] != call(Bucket=versioned, Key="web")["ETag"]


def headers_of_refusal(call: Any, **given: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ClientError) as raised:
        call(**given)
    response = raised.value.response
    metadata = response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], response["Error"]["Code"], metadata["HTTPHeaders"]


@pytest.mark.parametrize(
    ("read", "current", "of_version"),
    [
        ("get_object", (404, "NoSuchKey"), (405, "MethodNotAllowed")),
        ("head_object", (404, "404"), (405, "405")),
    ],
)
def test_reads_of_a_marker_say_that_it_is_one(
    s3: Any, versioned: str, read: str, current: tuple[int, str], of_version: tuple[int, str]
) -> None:
    put(s3, versioned)
    marker = s3.delete_object(Bucket=versioned, Key="web")["VersionId"]
    call, place = getattr(s3, read), {"Bucket": versioned, "Key": "web"}

    *refusal, headers = headers_of_refusal(call, **place)
    assert tuple(refusal) == current
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)

    *refusal, headers = headers_of_refusal(call, **place, VersionId=marker)
    assert tuple(refusal) == of_version
    assert headers["x-amz-delete-marker"] == "true"
    assert "last-modified" in headers


def test_a_version_that_is_not_there_is_404(s3: Any, versioned: str) -> None:
    put(s3, versioned)
    place = {"Bucket": versioned, "Key": "web", "VersionId": UNKNOWN}

    assert refused(s3.get_object, **place) == (404, "NoSuchVersion")
    assert refused(s3.head_object, **place) == (404, "404")


def test_versions_are_listed_newest_first_by_key(s3: Any, versioned: str) -> None:
    old, new = put(s3, versioned, b"1"), put(s3, versioned, b"2")
    api = put(s3, versioned, key="api")
    marker = s3.delete_object(Bucket=versioned, Key="web")["VersionId"]

    assert listed(s3, versioned) == [
        ("Versions", "api", api, True),
        ("Versions", "web", new, False),
        ("Versions", "web", old, False),
        ("DeleteMarkers", "web", marker, True),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_versions_are_listed_in_pages(s3: Any, versioned: str, size: int) -> None:
    for key in ("web.part.0", "web.part.1", "web.part.10", "webs"):
        put(s3, versioned, b"1", key)
        put(s3, versioned, b"2", key)
        s3.delete_object(Bucket=versioned, Key=key)

    def found(**more: Any) -> list[tuple[str, str, str, bool]]:
        return sorted(listed(s3, versioned, Prefix="web.part.", **more))

    whole = found()
    assert len(whole) == 9
    assert {key for _, key, _, _ in whole} == {"web.part.0", "web.part.1", "web.part.10"}
    assert [is_latest for _, _, _, is_latest in whole].count(True) == 3
    assert found(PaginationConfig={"PageSize": size}) == whole


def test_a_listing_starts_after_its_markers(s3: Any, versioned: str) -> None:
    for key in ("a/1", "a/2", "b", "c"):
        put(s3, versioned, key=key)
    new = put(s3, versioned, key="b")

    def keys(**more: Any) -> Sequence[str]:
        page = s3.list_object_versions(Bucket=versioned, **more)
        return [each["Key"] for each in page.get("Versions", [])]

    assert keys(KeyMarker="a/2") == ["b", "b", "c"]
    assert keys(KeyMarker="b") == ["c"]
    assert keys(KeyMarker="b", VersionIdMarker=new) == ["b", "c"]
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=1)
    assert page["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert answered(page, "IsTruncated", "NextKeyMarker", "NextVersionIdMarker") == (
        True,
        "a/",
        None,
    )
    assert keys(Delimiter="/", KeyMarker="a/") == ["b", "b", "c"]


def test_an_object_from_before_versioning_is_a_null_version(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"1")
    set_versioning(s3, bucket, "Enabled")
    assert s3.head_object(Bucket=bucket, Key="web")["VersionId"] == "null"
    new = put(s3, bucket, b"2")

    assert listed(s3, bucket) == [
        ("Versions", "web", new, True),
        ("Versions", "web", "null", False),
    ]
    s3.delete_object(Bucket=bucket, Key="web", VersionId="null")
    assert ids(s3, bucket) == [new]


def test_a_suspended_bucket_keeps_versions_and_replaces_the_null_version(
    s3: Any, versioned: str
) -> None:
    version = put(s3, versioned, b"1")
    set_versioning(s3, versioned, "Suspended")

    assert "VersionId" not in s3.put_object(Bucket=versioned, Key="web", Body=b"22")
    s3.put_object(Bucket=versioned, Key="web", Body=b"333")

    assert listed(s3, versioned) == [
        ("Versions", "web", "null", True),
        ("Versions", "web", version, False),
    ]
    assert s3.get_object(Bucket=versioned, Key="web")["VersionId"] == "null"
    found = s3.head_object(Bucket=versioned, Key="web", VersionId="null")
    assert answered(found, "VersionId", "ContentLength") == ("null", 3)
    old = s3.get_object(Bucket=versioned, Key="web", VersionId=version)
    assert old["Body"].read() == b"1"
    assert s3.head_object(Bucket=versioned, Key="web", VersionId=version)["ContentLength"] == 1


def test_a_delete_in_a_suspended_bucket_makes_a_null_marker(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, b"1")
    set_versioning(s3, versioned, "Suspended")
    s3.put_object(Bucket=versioned, Key="web", Body=b"22")

    for _ in range(2):
        answer = s3.delete_object(Bucket=versioned, Key="web")
        assert answered(answer, "VersionId", "DeleteMarker") == ("null", True)

    assert listed(s3, versioned) == [
        ("Versions", "web", version, False),
        ("DeleteMarkers", "web", "null", True),
    ]
    s3.delete_object(Bucket=versioned, Key="web", VersionId="null")
    assert listed(s3, versioned) == [("Versions", "web", version, True)]
    s3.delete_object(Bucket=versioned, Key="web", VersionId=version)
    assert listed(s3, versioned) == []


def test_a_conditional_delete_in_a_suspended_bucket_leaves_a_null_marker(
    s3: Any, versioned: str
) -> None:
    version = put(s3, versioned, b"1")
    set_versioning(s3, versioned, "Suspended")
    etag = s3.head_object(Bucket=versioned, Key="web")["ETag"]

    [deleted] = delete_many(s3, versioned, {"Key": "web", "ETag": etag})["Deleted"]

    assert deleted["DeleteMarkerVersionId"] == "null"
    assert ids(s3, versioned) == [version, "null"]
