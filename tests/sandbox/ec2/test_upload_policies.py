"""S3's rules for upload policies, one by one."""

import base64
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from sandbox.ec2.upload_policies import SignedPolicy, Upload, UploadRefused, sign, verify

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime.fromisoformat("2026-12-01T00:00:00Z").timestamp()
LATER = "2026-12-02T00:00:00.000000Z"
UPLOAD = Upload(bucket="images", key="web/windows.part.0", size=1024)
BUCKET, ACL = {"bucket": "images"}, {"acl": "ec2-bundle-read"}
PREFIX = ["starts-with", "$key", "web/"]
GOOD = [BUCKET, ACL, PREFIX]


def encoded(document: Any) -> str:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.b64encode(content).decode()


def signed(policy: str, secret: str = SECRET) -> SignedPolicy:
    return SignedPolicy(KEY, policy, sign(policy, secret))


def of(*conditions: Any, expiration: Any = LATER) -> SignedPolicy:
    return signed(encoded({"expiration": expiration, "conditions": list(conditions)}))


def check(policy: SignedPolicy, upload: Upload = UPLOAD, now: float = NOW) -> None:
    verify(policy, upload, {KEY: SECRET}.get, now)


def refusal(policy: SignedPolicy, upload: Upload = UPLOAD, now: float = NOW) -> str:
    with pytest.raises(UploadRefused) as raised:
        check(policy, upload, now)
    return str(raised.value)


def test_the_aws_clis_policy_has_the_signature_of_its_tests() -> None:
    policy = (
        b'{"expiration": "2013-08-10T00:00:00.000000Z",'
        b'"conditions": [{"bucket": "mybucket"},{"acl": '
        b'"ec2-bundle-read"},["starts-with", "$key", "foobar"]]}'
    )
    text = base64.b64encode(policy).decode()
    assert sign(text, SECRET) == "ynxybUMv9YuGbPl7HZ8AFJW/2t0="

    before = datetime.fromisoformat("2013-08-09T00:00:00Z").timestamp()
    check(signed(text), Upload("mybucket", "foobar.manifest.xml", 852), before)


@pytest.mark.parametrize(
    "conditions",
    [
        GOOD,
        [*GOOD, ["content-length-range", 1024, 1024]],
        [*GOOD, ["content-length-range", "1", "5000"]],
        [*GOOD, ["starts-with", "$x-amz-meta-note", ""]],
        [
            ["eq", "$bucket", "images"],
            ["eq", "$acl", "ec2-bundle-read"],
            ["eq", "$key", UPLOAD.key],
        ],
        [{"BUCKET": "images"}, ["EQ", "$Acl", "ec2-bundle-read"], ["Starts-With", "$KEY", ""]],
    ],
)
def test_what_the_conditions_allow_is_written(conditions: list[Any]) -> None:
    check(of(*conditions))


@pytest.mark.parametrize(
    ("member", "field"),
    [("access_key_id", "AWSAccessKeyId"), ("policy", "Policy"), ("signature", "Signature")],
)
def test_each_of_the_three_is_needed(member: str, field: str) -> None:
    for nothing in (None, ""):
        words = refusal(replace(of(*GOOD), **{member: nothing}))
        assert words.startswith(f"Bucket POST must contain a field named '{field}'.  ")


def test_the_access_key_has_to_be_known() -> None:
    assert refusal(replace(of(*GOOD), access_key_id="AKIAUNKNOWN")) == (
        "The AWS Access Key Id you provided does not exist in our records."
    )


@pytest.mark.parametrize("signature", [sign(encoded({}), SECRET), "bm8=", "not even ASCII: é"])
def test_the_signature_has_to_be_the_policys(signature: str) -> None:
    assert refusal(replace(of(*GOOD), signature=signature)) == (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )


def test_another_secret_signs_otherwise() -> None:
    assert "does not match" in refusal(signed(of(*GOOD).policy or "", "another secret"))


def test_what_is_signed_is_the_base64_text_and_not_what_it_stands_for() -> None:
    text = of(*GOOD).policy or ""
    wrapped = f"{text[:40]}\n{text[40:]}"

    check(signed(wrapped))
    assert "does not match" in refusal(replace(signed(wrapped), policy=text))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", "Invalid JSON."),
        (b"\xff", "Invalid JSON."),
        ([], "Invalid JSON."),
        ({"conditions": GOOD}, "Policy missing expiration."),
        ({"EXPIRATION": LATER, "conditions": GOOD}, "Policy missing expiration."),
        ({"expiration": LATER}, "Policy missing conditions."),
        (
            {"expiration": LATER, "conditions": BUCKET},
            "Invalid 'conditions' value: must be a List.",
        ),
    ],
)
def test_the_policy_has_to_be_well_formed(document: Any, words: str) -> None:
    assert refusal(signed(encoded(document))) == f"Invalid Policy: {words}"


@pytest.mark.parametrize(
    "expiration",
    ["2026-12-02 00:00:00", "2026-12-02", "2026-12-02T00:00:00+00:00", "2026-13-02T00:00:00Z", 1],
)
def test_the_expiration_has_to_be_a_time_in_gmt(expiration: Any) -> None:
    assert refusal(of(*GOOD, expiration=expiration)) == (
        f"Invalid Policy: Invalid 'expiration' value: '{expiration}'"
    )


@pytest.mark.parametrize("expiration", ["2026-12-01T00:00:00Z", "2026-11-30T23:59:59.999Z"])
def test_the_expiration_must_not_have_passed(expiration: str) -> None:
    expired = "Invalid according to Policy: Policy expired."
    assert refusal(of(*GOOD, expiration=expiration)) == expired
    check(of(*GOOD, expiration=expiration), now=NOW - 2)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"bucket": "b"}, '["eq", "$bucket", "b"]'),
        ({"acl": "private"}, '["eq", "$acl", "private"]'),
        (["eq", "$key", "web"], '["eq", "$key", "web"]'),
        (["starts-with", "$key", "x"], '["starts-with", "$key", "x"]'),
        (["starts-with", "$key", "WEB/"], '["starts-with", "$key", "WEB/"]'),
        (["eq", "key", "web/windows.part.0"], '["eq", "key", "web/windows.part.0"]'),
        (["eq", "$key", 7], '["eq", "$key", 7]'),
        ({"content-type": "text/é"}, '["eq", "$content-type", "text/é"]'),
        (["content-length-range", "test", "10"], '["content-length-range", "test", "10"]'),
        (["content-length-range", -1, 10], '["content-length-range", -1, 10]'),
    ],
)
def test_a_condition_that_is_not_met_is_reported(condition: Any, words: str) -> None:
    assert refusal(of(*GOOD, condition)) == (
        f"Invalid according to Policy: Policy Condition failed: {words}"
    )


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({}, "Simple-Conditions must have exactly one property specified."),
        (BUCKET | ACL, "Simple-Conditions must have exactly one property specified."),
        ({"bucket": 1}, "Invalid Simple-Condition: value must be a string."),
        ([], "Invalid Condition: missing operation identifier."),
        (["ends-with", "$key", "0"], "Invalid Condition: unknown operation 'ends-with'."),
        (["eq", "$key"], "Invalid eq: wrong number of arguments."),
        (["content-length-range", 0], "Invalid content-length-range: wrong number of arguments."),
        ("bucket", "Invalid condition test: must be a List or Object."),
    ],
)
def test_a_condition_has_to_be_one(condition: Any, words: str) -> None:
    said = refusal(of(*GOOD, condition))
    assert said.startswith("Invalid Policy: ")
    assert said.endswith(words)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((0, 1023), "Your proposed upload exceeds the maximum allowed size"),
        ((1025, 2000), "Your proposed upload is smaller than the minimum allowed size"),
    ],
)
def test_the_size_has_to_be_in_its_range(bounds: tuple[int, int], words: str) -> None:
    assert refusal(of(*GOOD, ["content-length-range", *bounds])) == words


@pytest.mark.parametrize(
    ("conditions", "field"),
    [([ACL, PREFIX], "bucket"), ([BUCKET, ACL], "key"), ([BUCKET, PREFIX], "acl")],
)
def test_each_field_has_to_have_a_condition(conditions: list[Any], field: str) -> None:
    assert refusal(of(*conditions)) == f"Invalid according to Policy: Extra input fields: {field}"
