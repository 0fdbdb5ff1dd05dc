"""Which requests may make a bundle, and that all problems are reported at once."""

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


OLD_NAMES = ["My_Images", "-images", "images-", "im..ages", "i" * 64, "I" * 255]


@pytest.mark.parametrize("bucket", OLD_NAMES)
def test_a_bucket_of_us_east_1_may_have_an_old_name(bucket: str) -> None:
    assert admit(request(properties({"Bucket": bucket})), WIDE, ENDS).bucket == bucket


@pytest.mark.parametrize("bucket", OLD_NAMES)
def test_a_bucket_of_another_region_has_no_old_name(bucket: str) -> None:
    asked = request(properties({"Bucket": bucket}))
    elsewhere = asked.key.stack_id.replace("us-east-1", "eu-west-1")

    with pytest.raises(InvalidProperties, match=r"Storage\.S3\.Bucket: .*is in eu-west-1"):
        admit(replace(asked, key=replace(asked.key, stack_id=elsewhere)), WIDE, ENDS)


@pytest.mark.parametrize(("prefix", "fits"), [("p" * 708, True), ("p" * 709, False)])
def test_a_long_bucket_name_leaves_less_for_the_prefix(prefix: str, *, fits: bool) -> None:
    raw = properties({"Bucket": "b" * 255, "Prefix": prefix})

    if fits:
        assert admit(request(raw), WIDE, ENDS).prefix == prefix
    else:
        assert problems(raw).keys() == {"Storage.S3.Prefix"}


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


def test_all_problems_are_reported_at_once() -> None:
    raw = properties(
        policy("db/", expiration="2020-01-01T00:00:00Z") | {"Bucket": "others"},
        InstanceId="mine",
        OnDelete="Delete",
        Colour="red",
    )
    limits = Limits(buckets=("images", "prod-*"), deletes_objects=False)

    with pytest.raises(InvalidProperties) as raised:
        admit(request(raw), limits, ENDS)

    found = [problem.path for problem in raised.value.problems]
    assert found == sorted(found)
    assert {path: found.count(path) for path in found} == {
        "Colour": 1,
        "InstanceId": 1,
        "OnDelete": 1,
        "Storage.S3.Bucket": 1,
        "Storage.S3.UploadPolicy": 3,  # expired, another bucket, other keys
    }
    assert "AllowedBuckets allows: images, prod-*" in str(raised.value)


@pytest.mark.parametrize("raw", [{}, [], None, "text", {"Storage": {"S3": []}}])
def test_properties_of_any_shape_are_distinguished(raw: Any) -> None:
    assert problems(raw, Limits(buckets=("images",), deletes_objects=False))


def test_with_no_secret_allowed_credentials_are_off() -> None:
    found = problems(properties(UploadCredentials=SECRET), Limits())

    assert found["UploadCredentials"].endswith("it allows none")


def test_a_secret_must_be_one_of_those_that_are_allowed() -> None:
    allowed = Limits(upload_secrets=(SECRET.replace("bundles", "others"),))

    assert (
        "UploadSecretArns"
        in problems(properties(UploadCredentials=SECRET), allowed)["UploadCredentials"]
    )


def test_credentials_and_a_policy_exclude_each_other_and_no_secret_is_shown() -> None:
    signed = policy("web/")
    raw = properties(signed, UploadCredentials=SECRET)

    found = problems(raw)

    assert {*found} == {f"Storage.S3.{name}" for name in signed}
    assert SIGNATURE not in str(found)
    assert signed["UploadPolicy"] not in str(found)


@pytest.mark.parametrize("arn", ["bundles", "arn:aws:s3:::images", f"{SECRET}\n", "", 7])
def test_a_value_that_is_no_arn_of_a_secret_is_reported(arn: Any) -> None:
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


def test_all_problems_of_an_update_are_reported_at_once() -> None:
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

    found = problems(raw)
    assert set(found) == {"CompletionHandle"}
    assert "s3cr3t" not in found["CompletionHandle"]
    with pytest.raises(InvalidProperties, match="CompletionHandle: must be the URL of a wait"):
        admit_update(replace(request(raw), request_type="Update"), WIDE)


def test_a_sandboxs_handle_may_be_given_there() -> None:
    raw = properties(CompletionHandle=NOT_CLOUDFORMATIONS[-1])

    assert admit(request(raw), replace(WIDE, response_origin="http://127.0.0.1:4580"), ENDS)


def test_a_value_that_is_no_handle_is_reported_once() -> None:
    update = replace(request(properties(CompletionHandle="Handle1")), request_type="Update")

    with pytest.raises(InvalidProperties, match="1 problem "):
        admit(update, WIDE, ENDS)
    with pytest.raises(InvalidProperties, match="1 problem "):
        admit_update(update, WIDE)


def test_an_update_that_makes_a_bundle_may_not_have_the_handle_of_before() -> None:
    raw = properties(CompletionHandle=HANDLE)
    update = replace(request(raw), request_type="Update", old_properties=raw)

    admit_update(update, WIDE)
    with pytest.raises(InvalidProperties, match="is that of the earlier bundle"):
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

    found = problems(raw, replace(WIDE, makes_images=False))
    assert set(found) == {path}
    assert "AllowImages is false" in found[path]


IMAGE = {"Image": {"Name": "web", "Tags": [{"Key": "a", "Value": "b"}]}}
OTHER_IMAGE = {"Image": {"Name": "web", "Tags": [{"Key": "a", "Value": "c"}]}}
STORE = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({}, IMAGE, "Image"),
        ({}, {"Image": {}}, "Image"),
        (IMAGE, OTHER_IMAGE, "Image"),
        ({}, STORE, "Method"),
        ({"Method": "BundleInstance"}, STORE, "Method"),
        (STORE, STORE | IMAGE, "Image"),
        (IMAGE, IMAGE, None),
        (IMAGE, {}, None),
        (STORE, STORE, None),
        (STORE, {}, None),
        (STORE | IMAGE, STORE | IMAGE | {"OnDelete": "Retain"}, None),
        ({}, {"Method": "BundleInstance"}, None),
    ],
)
def test_where_no_images_may_be_made_an_update_asks_for_no_other_ones(
    before: dict[str, Any], after: dict[str, Any], path: str | None
) -> None:
    update = replace(
        request(properties(**after)), request_type="Update", old_properties=properties(**before)
    )
    limits = Limits(makes_images=False)

    admit_update(update, WIDE)
    admit_update(update, limits, lambda: True)
    if path is None:
        admit_update(update, limits)
    else:
        with pytest.raises(InvalidProperties, match="AllowImages is false") as raised:
            admit_update(update, limits)
        assert [problem.path for problem in raised.value.problems] == [path]


@pytest.mark.parametrize("old", [None, [], "text", {"Image": 5}, {"Method": ["StoreImage"]}])
def test_old_properties_of_any_shape_asked_for_no_image(old: Any) -> None:
    update = replace(request(properties(**IMAGE)), request_type="Update", old_properties=old)

    with pytest.raises(InvalidProperties, match="AllowImages is false"):
        admit_update(update, Limits(makes_images=False))


def test_a_rollback_may_go_back_to_a_deletion_but_not_to_what_is_invalid() -> None:
    limits = Limits(deletes_objects=False)
    back = replace(
        request(properties(OnDelete="Delete")),
        request_type="Update",
        old_properties=properties(OnDelete="Retain"),
    )

    assert admit_update(back, limits, lambda: True)
    with pytest.raises(InvalidProperties, match="1 problem "):
        admit_update(replace(back, properties=properties(OnDelete="Never")), limits, lambda: True)


@pytest.mark.parametrize(
    ("stack", "handle", "fits"),
    [
        ("us-east-1", HANDLE, True),
        ("us-east-1", "https://cloudformation-waitcondition-eu-west-1.s3.amazonaws.com/x", False),
        (
            "us-east-1",
            "https://s3.eu-west-1.amazonaws.com/cloudformation-waitcondition-eu-west-1/x",
            False,
        ),
        ("eu-west-1", "https://cloudformation-waitcondition-eu-west-1.s3.amazonaws.com/x", True),
        ("eu-west-1", HANDLE, False),
    ],
)
def test_a_handle_is_one_of_the_stacks_region(stack: str, handle: str, *, fits: bool) -> None:
    asked = request(properties(CompletionHandle=handle))
    key = replace(asked.key, stack_id=asked.stack_id.replace("us-east-1", stack))
    asked = replace(asked, key=key)

    if fits:
        assert admit(asked, WIDE, ENDS)
        return
    with pytest.raises(InvalidProperties, match=f"the stack is in {stack}"):
        admit(asked, WIDE, ENDS)
    with pytest.raises(InvalidProperties, match=f"the stack is in {stack}"):
        admit_update(asked, WIDE)
