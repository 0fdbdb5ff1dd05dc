"""What may stand in ResourceProperties, and what is said of what may not."""

import base64
import json
from typing import Any

import pytest

from instance_bundle.errors import InvalidProperties
from instance_bundle.properties import Properties, service_timeout

POLICY = '{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"bucket": "images"}]}'
SIGNATURE = "ynxybUMv9YuGbPl7HZ8AFJW/2t0="
SIGNED = {
    "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "UploadPolicy": POLICY,
    "UploadPolicySignature": SIGNATURE,
}


def properties(s3: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    return {
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
        "InstanceId": "i-1234567890abcdef0",
        "Storage": {"S3": {"Bucket": "images", "Prefix": "web/2026"} | (s3 or {})},
    } | others


def problems(raw: Any) -> dict[str, str]:
    with pytest.raises(InvalidProperties) as raised:
        Properties.parse(raw)
    return {problem.path: problem.message for problem in raised.value.problems}


def test_valid_properties_become_a_value() -> None:
    parsed = Properties.parse(properties(SIGNED, DryRun="true", ServiceTimeout="600"))

    assert parsed.instance_id == "i-1234567890abcdef0"
    assert (parsed.bucket, parsed.prefix) == ("images", "web/2026")
    assert parsed.dry_run is True
    assert parsed.upload_policy is not None
    assert parsed.upload_policy.document == POLICY.encode()


def test_an_upload_policy_in_base64_is_the_bytes_that_were_signed() -> None:
    encoded = base64.b64encode(POLICY.encode()).decode()

    parsed = Properties.parse(properties(SIGNED | {"UploadPolicy": encoded}))

    assert parsed.upload_policy is not None
    assert parsed.upload_policy.document == POLICY.encode()


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ({}, {"InstanceId", "Storage"}),
        (properties(InstanceId="i-xyz"), {"InstanceId"}),
        (properties(InstanceId=["i-1234567890abcdef0"]), {"InstanceId"}),
        (properties(InstanceId="i-1234567890abcdef0\n"), {"InstanceId"}),
        (properties(Storage={}), {"Storage.S3"}),
        (properties(Storage="s3://images"), {"Storage"}),
        (properties(Storage={"S3": {}}), {"Storage.S3.Bucket"}),
        (properties(Storage={"S3": "images"}), {"Storage.S3"}),
        (properties({"bucket": "images"}), {"Storage.S3.bucket"}),
        (properties(Colour="red", Size="1"), {"Colour", "Size"}),
        (properties(DryRun="maybe"), {"DryRun"}),
        (properties(ServiceTimeout="0"), {"ServiceTimeout"}),
        (properties(ServiceTimeout="3601"), {"ServiceTimeout"}),
        (properties(ServiceTimeout=3601), {"ServiceTimeout"}),
        (properties(ServiceTimeout="soon"), {"ServiceTimeout"}),
        (properties(Method="Other"), {"Method"}),
        (properties(Method="StoreImage"), {"Storage.S3.Prefix"}),
        (properties(Image={"Name": "web"}), {"Image"}),
        (
            properties({"UploadPolicy": POLICY}),
            {"Storage.S3.AWSAccessKeyId", "Storage.S3.UploadPolicySignature"},
        ),
        (
            properties({"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
            {"Storage.S3.UploadPolicy", "Storage.S3.UploadPolicySignature"},
        ),
        (
            properties({"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "UploadPolicy": POLICY}),
            {"Storage.S3.UploadPolicySignature"},
        ),
        (properties(SIGNED | {"UploadPolicy": "bm90IEpTT04="}), {"Storage.S3.UploadPolicy"}),
        (properties(SIGNED | {"UploadPolicy": "[]"}), {"Storage.S3.UploadPolicy"}),
        ([], {"ResourceProperties"}),
        (None, {"ResourceProperties"}),
        ("text", {"ResourceProperties"}),
    ],
)
def test_each_problem_is_named_by_its_path(raw: Any, paths: set[str]) -> None:
    assert set(problems(raw)) == paths


@pytest.mark.parametrize(
    "bucket",
    [
        *("ab", "a" * 64, "Images", "im_ages", "-images", "images-", "im..ages", "192.168.5.4"),
        *("xn--images", "images-s3alias", "images--ol-s3", "", "images\n", "bücher"),
    ],
)
def test_a_bucket_name_that_s3_refuses_is_refused(bucket: str) -> None:
    assert set(problems(properties({"Bucket": bucket}))) == {"Storage.S3.Bucket"}


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "my.images-2026", "1images"])
def test_a_bucket_name_that_s3_takes_is_taken(bucket: str) -> None:
    assert Properties.parse(properties({"Bucket": bucket})).bucket == bucket


@pytest.mark.parametrize(
    "prefix", ["", "a" * 901, "é" * 451, "a\nb", "a\x00", "../a", "a/../../b", "\ud800"]
)
def test_a_prefix_that_s3_refuses_is_refused(prefix: str) -> None:
    assert set(problems(properties({"Prefix": prefix}))) == {"Storage.S3.Prefix"}


@pytest.mark.parametrize("prefix", ["a", "a" * 900, "é" * 450, "a/../b", "win dows/*", "/a//b"])
def test_a_prefix_that_s3_takes_is_taken(prefix: str) -> None:
    assert Properties.parse(properties({"Prefix": prefix})).prefix == prefix


def test_the_reason_holds_every_problem_and_what_would_be_right() -> None:
    with pytest.raises(InvalidProperties) as raised:
        Properties.parse(properties({"Bucket": "A"}, InstanceId="x", Colour="red"))

    reason = str(raised.value)
    assert reason.startswith("3 problems in the properties. ")
    for text in ("Colour: ", "InstanceId: ", "Storage.S3.Bucket: ", "3 to 63", "i- and 8 or 17"):
        assert text in reason


def test_a_policy_or_signature_that_is_wrong_is_not_shown() -> None:
    found = problems(
        properties(SIGNED | {"UploadPolicy": "no policy", "UploadPolicySignature": "top secret"})
    )

    assert set(found) == {"Storage.S3.UploadPolicy", "Storage.S3.UploadPolicySignature"}
    assert "top secret" not in json.dumps(found)
    assert "no policy" not in json.dumps(found)


def test_what_stands_in_the_wrong_place_is_not_shown() -> None:
    found = problems(properties(Storage=[{"UploadPolicySignature": "top secret"}]))

    assert found == {"Storage": "a list must be an object with the member S3"}


@pytest.mark.parametrize(("one", "other"), [("true", True), ("false", False), ("false", None)])
def test_text_and_value_name_the_same_bundle(one: Any, other: Any) -> None:
    plain = properties() if other is None else properties(DryRun=other)

    assert Properties.parse(properties(DryRun=one)).naming == Properties.parse(plain).naming


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ({}, 3600),
        ("x", 3600),
        ({"ServiceTimeout": "60"}, 60),
        ({"ServiceTimeout": 60}, 60),
        ({"ServiceTimeout": "x"}, 3600),
        ({"ServiceTimeout": None}, 3600),
        ({"ServiceTimeout": "99999"}, 3600),
        ({"ServiceTimeout": "0"}, 1),
    ],
)
def test_the_service_timeout_is_read_from_anything(raw: Any, seconds: int) -> None:
    assert service_timeout(raw) == seconds
