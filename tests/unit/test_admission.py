"""Which requests may make a bundle, and that all that is wrong is told in one go."""

import json
from dataclasses import replace
from typing import Any

import pytest

from instance_bundle.errors import InvalidProperties
from instance_bundle.request.admission import admit, admit_update
from instance_bundle.request.event import Request
from instance_bundle.settings import Limits

from .test_lifecycle import HANDLE
from .test_properties import SIGNATURE, properties

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bundles-AbCdEf"  # noqa: S105  an ARN
ENDS = 1_800_000_000.0
WIDE = Limits(upload_secrets=("*",))


def request(raw: Any) -> Request:
    return Request.parse(
        {
            "RequestType": "Create",
            "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d",
            "LogicalResourceId": "Bundle",
            "RequestId": "r1",
            "ResourceProperties": raw,
        }
    )


def policy(key: str, expiration: str = "2030-01-01T00:00:00Z") -> dict[str, str]:
    document = {
        "expiration": expiration,
        "conditions": [
            {"bucket": "images"},
            {"acl": "ec2-bundle-read"},
            ["starts-with", "$key", key],
        ],
    }
    return {
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "UploadPolicy": json.dumps(document),
        "UploadPolicySignature": SIGNATURE,
    }


def problems(raw: Any, limits: Limits = WIDE) -> dict[str, str]:
    with pytest.raises(InvalidProperties) as raised:
        admit(request(raw), limits, ENDS)
    return {problem.path: problem.message for problem in raised.value.problems}


@pytest.mark.parametrize(
    "raw",
    [
        properties(),
        properties(policy("web/2026")),
        properties(policy("web/")),
        properties(policy("web/Bundle/") | {"Prefix": "web/Bundle/r1"}),
        properties(UploadCredentials=SECRET, OnDelete="Delete"),
    ],
)
def test_what_may_be_made_is_a_value(raw: dict[str, Any]) -> None:
    assert admit(request(raw), WIDE, ENDS).instance_id == raw["InstanceId"]


@pytest.mark.parametrize(("key", "fits"), [("web/Bundle/r1", True), ("web/2026", False)])
def test_a_policy_must_fit_the_prefix_that_is_made_where_none_is_given(
    key: str, *, fits: bool
) -> None:
    raw = properties(policy(key))
    del raw["Storage"]["S3"]["Prefix"]

    if fits:
        assert admit(request(raw), WIDE, ENDS).prefix is None
    else:
        assert "begin with `web/Bundle/r1`" in problems(raw)["Storage.S3.UploadPolicy"]


def test_everything_is_told_in_one_go() -> None:
    raw = properties(
        policy("db/", expiration="2020-01-01T00:00:00Z") | {"Bucket": "others"},
        InstanceId="mine",
        OnDelete="Delete",
        Colour="red",
    )
    limits = Limits(buckets=("images", "prod-*"), deletes_objects=False)

    with pytest.raises(InvalidProperties) as raised:
        admit(request(raw), limits, ENDS)

    told = [problem.path for problem in raised.value.problems]
    assert told == sorted(told)
    assert {path: told.count(path) for path in told} == {
        "Colour": 1,
        "InstanceId": 1,
        "OnDelete": 1,
        "Storage.S3.Bucket": 1,
        "Storage.S3.UploadPolicy": 3,  # expired, another bucket, other keys
    }
    assert "AllowedBuckets allows: images, prod-*" in str(raised.value)


@pytest.mark.parametrize("raw", [{}, [], None, "text", {"Storage": {"S3": []}}])
def test_properties_of_any_shape_are_told_apart(raw: Any) -> None:
    assert problems(raw, Limits(buckets=("images",), deletes_objects=False))


def test_with_no_secret_allowed_credentials_are_off() -> None:
    told = problems(properties(UploadCredentials=SECRET), Limits())

    assert told["UploadCredentials"].endswith("it allows none")


def test_a_secret_must_be_one_of_those_that_are_allowed() -> None:
    allowed = Limits(upload_secrets=(SECRET.replace("bundles", "others"),))

    assert (
        "UploadSecretArns"
        in problems(properties(UploadCredentials=SECRET), allowed)["UploadCredentials"]
    )


def test_credentials_and_a_policy_exclude_each_other_and_no_secret_is_shown() -> None:
    signed = policy("web/")
    raw = properties(signed, UploadCredentials=SECRET)

    told = problems(raw)

    assert {*told} == {f"Storage.S3.{name}" for name in signed}
    assert SIGNATURE not in str(told)
    assert signed["UploadPolicy"] not in str(told)


@pytest.mark.parametrize("arn", ["bundles", "arn:aws:s3:::images", f"{SECRET}\n", "", 7])
def test_what_is_no_arn_of_a_secret_is_told(arn: Any) -> None:
    assert (
        "ARN of a Secrets Manager secret"
        in problems(properties(UploadCredentials=arn))["UploadCredentials"]
    )


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("Retain", "Delete", True),
        (None, "Delete", True),
        ("Delete", "Delete", False),
        ("Delete", "Retain", False),
        ("Retain", "Retain", False),
    ],
)
def test_an_update_may_not_ask_for_a_deletion_that_is_not_allowed_but_may_go_back_to_one(
    before: str | None, after: str, *, refused: bool
) -> None:
    old = properties() | ({"OnDelete": before} if before else {})
    update = replace(request(properties(OnDelete=after)), old_properties=old)

    admit_update(update, WIDE)
    if refused:
        with pytest.raises(InvalidProperties, match="OnDelete: can't be Delete"):
            admit_update(update, Limits(deletes_objects=False))
    else:
        admit_update(update, Limits(deletes_objects=False))


def test_an_updates_problems_are_told_in_one_go() -> None:
    update = request(properties(OnDelete="Delete", Colour="red", InstanceId="mine"))

    with pytest.raises(InvalidProperties, match="3 problems"):
        admit_update(update, Limits(deletes_objects=False))


NOT_CLOUDFORMATIONS = [
    "https://images.s3.amazonaws.com/mine?Signature=s3cr3t",
    "https://cloudformation-waitcondition-us-east-1.s3.evil.example/mine?Signature=s3cr3t",
    "http://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/mine?Signature=s3cr3t",
    "https://[::1]/mine?Signature=s3cr3t",
    "http://127.0.0.1:4580/mine?Signature=s3cr3t",
]


def test_a_handle_of_cloudformations_may_be_given() -> None:
    assert admit(request(properties(CompletionHandle=HANDLE)), WIDE, ENDS)


@pytest.mark.parametrize("url", NOT_CLOUDFORMATIONS)
def test_a_handle_of_anothers_may_not_be_given_and_is_not_shown(url: str) -> None:
    raw = properties(CompletionHandle=url)

    told = problems(raw)
    assert set(told) == {"CompletionHandle"}
    assert "s3cr3t" not in told["CompletionHandle"]
    with pytest.raises(InvalidProperties, match="CompletionHandle: must be the URL of a wait"):
        admit_update(replace(request(raw), request_type="Update"), WIDE)


def test_a_sandboxs_handle_may_be_given_there() -> None:
    raw = properties(CompletionHandle=NOT_CLOUDFORMATIONS[-1])

    assert admit(request(raw), replace(WIDE, response_origin="http://127.0.0.1:4580"), ENDS)


def test_what_is_no_handle_is_told_once() -> None:
    update = replace(request(properties(CompletionHandle="Handle1")), request_type="Update")

    with pytest.raises(InvalidProperties, match="1 problem "):
        admit(update, WIDE, ENDS)
    with pytest.raises(InvalidProperties, match="1 problem "):
        admit_update(update, WIDE)


def test_an_update_that_makes_a_bundle_may_not_have_the_handle_of_before() -> None:
    raw = properties(CompletionHandle=HANDLE)
    update = replace(request(raw), request_type="Update", old_properties=raw)

    admit_update(update, WIDE)
    with pytest.raises(InvalidProperties, match="is that of the bundle before"):
        admit(update, WIDE, ENDS)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (properties(Image={"Name": "web"}), "Image"),
        (properties(Image={}), "Image"),
        (properties(Method="StoreImage", Storage={"S3": {"Bucket": "images"}}), "Method"),
    ],
)
def test_where_no_images_may_be_made_none_may_be_asked_for(raw: Any, path: str) -> None:
    admit(request(raw), WIDE, ENDS)

    told = problems(raw, replace(WIDE, makes_images=False))
    assert set(told) == {path}
    assert "AllowImages is false" in told[path]
