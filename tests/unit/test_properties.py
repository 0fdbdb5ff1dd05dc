"""What ResourceProperties may contain, and the problems of what they may not."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from instance_bundle.errors import InvalidProperties
from instance_bundle.request.properties import (
    Image,
    Properties,
    completion_handle,
    completion_timeout,
    service_timeout,
)
from instance_bundle.request.properties import problems as found_in

HANDLE = "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/stack?Signature=s3cr3t"
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
    return {problem.path: problem.message for problem in found_in(raw)}


def parsed(raw: Any) -> Properties:
    assert problems(raw) == {}
    return Properties.parse(raw)


def test_valid_properties_become_a_value() -> None:
    result = parsed(properties(SIGNED, DryRun="true", ServiceTimeout="600"))

    assert result.instance_id == "i-1234567890abcdef0"
    assert (result.bucket, result.prefix) == ("images", "web/2026")
    assert result.dry_run is True
    assert result.upload_policy is not None
    assert result.upload_policy.document == POLICY.encode()


def test_an_upload_policy_in_base64_is_the_bytes_that_were_signed() -> None:
    encoded = base64.b64encode(POLICY.encode()).decode()

    result = parsed(properties(SIGNED | {"UploadPolicy": encoded}))

    assert result.upload_policy is not None
    assert result.upload_policy.document == POLICY.encode()


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
        (properties(Image="web"), {"Image"}),
        (properties(Image={"Name": "web", "Colour": "red"}), {"Image.Colour"}),
        (properties(Image={"NoReboot": "true"}), {"Image.NoReboot"}),
        (properties(CompletionTimeout="7200"), {"CompletionHandle"}),
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


def storing(image: Any) -> dict[str, Any]:
    return properties(Storage={"S3": {"Bucket": "images"}}, Method="StoreImage", Image=image)


@pytest.mark.parametrize("make", [storing, lambda image: properties(Image=image)])
def test_an_image_that_both_methods_take_becomes_a_value(make: Callable[[Any], Any]) -> None:
    tags = [{"Key": "k" * 127, "Value": "v" * 256}, {"Key": "Team", "Value": ""}]
    image = {"Name": "n" * 128, "Description": "d" * 255, "Tags": tags}

    assert parsed(make(image)).image == Image(
        name="n" * 128, description="d" * 255, tags={"k" * 127: "v" * 256, "Team": ""}
    )


def test_nothing_said_of_an_image_is_not_the_same_as_an_image_of_which_nothing_is_said() -> None:
    assert parsed(properties()).image is None
    assert parsed(properties(Image={})).image == Image()


@pytest.mark.parametrize("architecture", ["i386", "x86_64", "arm64"])
def test_a_bundles_ami_can_be_given_an_architecture(architecture: str) -> None:
    image = parsed(properties(Image={"Architecture": architecture})).image

    assert image is not None
    assert image.architecture == architecture


@pytest.mark.parametrize(("given", "value"), [("true", True), (True, True), ("false", False)])
def test_a_stored_images_instance_can_be_let_run(given: Any, *, value: bool) -> None:
    image = parsed(storing({"NoReboot": given})).image

    assert image is not None
    assert image.no_reboot is value


@pytest.mark.parametrize("given", [True, False, "true", "false"])
def test_a_bundled_instance_can_not_be_let_run(given: Any) -> None:
    found = problems(properties(Image={"NoReboot": given}))["Image.NoReboot"]

    assert "it is for StoreImage only" in found


@pytest.mark.parametrize("architecture", ["i386", "x86_64", "arm64"])
def test_a_stored_image_has_its_instances_architecture(architecture: str) -> None:
    found = problems(storing({"Architecture": architecture}))["Image.Architecture"]

    assert "it is for BundleInstance only" in found


def test_another_architecture_is_refused() -> None:
    assert set(problems(properties(Image={"Architecture": "riscv"}))) == {"Image.Architecture"}


def with_tags(*tags: Any) -> dict[str, Any]:
    return {"Tags": list(tags)}


@pytest.mark.parametrize("make", [storing, lambda image: properties(Image=image)])
@pytest.mark.parametrize(
    ("image", "path"),
    [
        ({"Name": "ab"}, "Image.Name"),
        ({"Name": "n" * 129}, "Image.Name"),
        ({"Name": "web*"}, "Image.Name"),
        ({"Name": "web\n"}, "Image.Name"),
        ({"Description": "d" * 256}, "Image.Description"),
        ({"Description": "two\nlines"}, "Image.Description"),
        ({"Tags": {"Key": "a"}}, "Image.Tags"),
        (with_tags(*({"Key": str(n), "Value": ""} for n in range(46))), "Image.Tags"),
        (with_tags("a=b"), "Image.Tags[0]"),
        (with_tags({"Key": "a"}), "Image.Tags[0].Value"),
        (with_tags({"Key": "a", "Value": "b", "Colour": "red"}), "Image.Tags[0].Colour"),
        (with_tags({"Key": "a", "Value": "b"}, {"Key": "", "Value": "b"}), "Image.Tags[1].Key"),
        (with_tags({"Key": "k" * 128, "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "aws:a", "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "AWS:a", "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "a\n", "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "a\ud800", "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "a", "Value": "b\x00"}), "Image.Tags[0].Value"),
        (with_tags({"Key": "a", "Value": "b"}, {"Key": "a", "Value": "c"}), "Image.Tags[1].Key"),
        (with_tags({"Key": "cfn-instance-bundle:a", "Value": "b"}), "Image.Tags[0].Key"),
        (with_tags({"Key": "a", "Value": "v" * 257}), "Image.Tags[0].Value"),
    ],
)
def test_an_image_that_ec2_refuses_is_refused_with_either_method(
    make: Callable[[Any], Any], image: Any, path: str
) -> None:
    assert set(problems(make(image))) == {path}


@pytest.mark.parametrize("make", [storing, lambda image: properties(Image=image)])
def test_tags_are_in_ec2s_alphabet(make: Callable[[Any], Any]) -> None:
    values = ["web (prod)", "a, b", "https://x/?a=1&b=2", "हिन्दी", "🚀", "<&>\"'", "😀" * 256]
    wanted = {f"{value} {number}"[:127]: value for number, value in enumerate(values)}
    wanted |= {"key": "", "Key": "another", "awsome": "aws:x", "🚀" * 127: "v"}
    wanted |= {str(number): "" for number in range(45 - len(wanted))}
    tags = [{"Key": key, "Value": value} for key, value in wanted.items()]

    assert len(tags) == 45
    assert parsed(make({"Tags": tags})).image == Image(tags=wanted)


def test_tags_of_the_object_are_in_s3s_alphabet() -> None:
    wanted = {"k" * 128: "v" * 256, "Übung é": "a/b:c=d+e-f@g_h.i", "key": ""}
    wanted |= {str(number): "" for number in range(6)}
    tags = [{"Key": key, "Value": value} for key, value in wanted.items()]

    assert parsed(storing({"ObjectTags": tags})).image == Image(object_tags=wanted)


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ({"Key": "a"}, "Image.ObjectTags"),
        ([{"Key": str(n), "Value": ""} for n in range(10)], "Image.ObjectTags"),
        (["a=b"], "Image.ObjectTags[0]"),
        ([{"Key": "a"}], "Image.ObjectTags[0].Value"),
        ([{"Key": "web (prod)", "Value": "b"}], "Image.ObjectTags[0].Key"),
        ([{"Key": "k" * 129, "Value": "b"}], "Image.ObjectTags[0].Key"),
        ([{"Key": "aWs:a", "Value": "b"}], "Image.ObjectTags[0].Key"),
        ([{"Key": "cfn-instance-bundle:a", "Value": "b"}], "Image.ObjectTags[0].Key"),
        ([{"Key": "a", "Value": "https://x/?a=1&b=2"}], "Image.ObjectTags[0].Value"),
        ([{"Key": "a", "Value": "v" * 257}], "Image.ObjectTags[0].Value"),
        ([{"Key": "a", "Value": "b"}] * 2, "Image.ObjectTags[1].Key"),
    ],
)
def test_tags_of_the_object_that_s3_refuses_are_refused(tags: Any, path: str) -> None:
    assert set(problems(storing({"ObjectTags": tags}))) == {path}


def test_a_bundle_has_no_tags_of_objects() -> None:
    found = problems(properties(Image={"ObjectTags": [{"Key": "a", "Value": "b"}]}))

    assert "it is for StoreImage only" in found["Image.ObjectTags"]


def test_each_key_that_is_given_again_is_named() -> None:
    tags = [{"Key": key, "Value": ""} for key in ("a", "b", "a", "A", "b", "a")]

    found = problems(storing({"Tags": tags}))

    assert set(found) == {f"Image.Tags[{index}].Key" for index in (2, 4, 5)}
    assert found["Image.Tags[4].Key"] == '"b" is the key of an earlier tag; give each key once'


@pytest.mark.parametrize("given", ["1", 1, "43200", 43200, "007200", "9999", "39999", "43199"])
def test_a_completion_timeout_is_a_second_to_half_a_day(given: Any) -> None:
    raw = properties(CompletionHandle=HANDLE, CompletionTimeout=given)

    parsed(raw)
    assert completion_timeout(raw) == int(given)


@pytest.mark.parametrize(
    "given",
    ["0", 0, "43201", 43201, "43300", "44000", "50000", "100000", "-1", "1.5", "", [], "1\n"],
)
def test_another_completion_timeout_is_refused(given: Any) -> None:
    raw = properties(CompletionHandle=HANDLE, CompletionTimeout=given)

    assert set(problems(raw)) == {"CompletionTimeout"}


@pytest.mark.parametrize(
    "given", ["", "Handle1", "ftp://a.example/s3cr3t", "https://a b/s3cr3t", 7]
)
def test_what_is_no_url_is_no_handle_and_is_not_shown(given: Any) -> None:
    found = problems(properties(CompletionHandle=given))

    assert set(found) == {"CompletionHandle"}
    assert found["CompletionHandle"].startswith("must be the URL of a wait condition handle")


@pytest.mark.parametrize(
    ("raw", "handle", "seconds"),
    [
        ({}, None, 43200),
        ("x", None, 43200),
        (None, None, 43200),
        ({"CompletionHandle": HANDLE, "CompletionTimeout": "60"}, HANDLE, 60),
        ({"CompletionHandle": "", "CompletionTimeout": "x"}, None, 43200),
        ({"CompletionHandle": [HANDLE], "CompletionTimeout": None}, None, 43200),
        ({"CompletionTimeout": "99999"}, None, 43200),
        ({"CompletionTimeout": "0"}, None, 1),
    ],
)
def test_handle_and_completion_timeout_are_read_from_anything(
    raw: Any, handle: str | None, seconds: int
) -> None:
    assert (completion_handle(raw), completion_timeout(raw)) == (handle, seconds)


def test_another_ami_or_handle_names_the_same_bundle() -> None:
    others: list[dict[str, Any]] = [
        {"Image": {"Name": "web", "Tags": [{"Key": "a", "Value": "b"}]}},
        {"CompletionHandle": HANDLE, "CompletionTimeout": "60"},
        {"OnDelete": "Delete", "ServiceTimeout": "60"},
    ]
    for other in others:
        assert parsed(properties(**other)).identity == parsed(properties()).identity


def test_a_bundle_is_named_as_the_ledger_has_it() -> None:
    """With another text every bundle that there is would be replaced at the next Update."""
    bundle, image = parsed(properties()), parsed(storing({"Name": "web"}))

    assert bundle.identity == json.dumps(
        ["BundleInstance", bundle.instance_id, bundle.bucket, False, bundle.prefix]
    )
    assert image.identity == json.dumps(
        ["StoreImage", image.instance_id, image.bucket, False, "web", False]
    )


def test_a_stored_image_is_named_by_its_name_and_its_instances_running_on() -> None:
    identities = [
        parsed(storing(image)).identity
        for image in ({}, {"Name": "web"}, {"NoReboot": "true"}, {"Description": "new"})
    ]

    assert len(set(identities)) == 3
    assert identities[0] == identities[3]


@pytest.mark.parametrize(
    "bucket",
    [
        *("ab", "a" * 256, "192.168.5.4", "xn--images", "images-s3alias", "images--ol-s3"),
        *("", "images\n", "bücher", "im/ages", "im ages", "im*ages"),
    ],
)
def test_a_bucket_name_that_s3_refuses_is_refused(bucket: str) -> None:
    assert set(problems(properties({"Bucket": bucket}))) == {"Storage.S3.Bucket"}


@pytest.mark.parametrize(
    "bucket",
    [
        *("abc", "a" * 63, "my.images-2026", "1images"),
        *("My_Images", "-images", "images_", "im..ages", "I" * 255),
    ],
)
def test_a_bucket_name_that_s3_takes_is_taken(bucket: str) -> None:
    assert parsed(properties({"Bucket": bucket})).bucket == bucket


@pytest.mark.parametrize(
    "prefix", ["", "a" * 901, "é" * 451, "a\nb", "a\x00", "../a", "a/../../b", "\ud800"]
)
def test_a_prefix_that_s3_refuses_is_refused(prefix: str) -> None:
    assert set(problems(properties({"Prefix": prefix}))) == {"Storage.S3.Prefix"}


@pytest.mark.parametrize("prefix", ["a", "a" * 900, "é" * 450, "a/../b", "win dows/*", "/a//b"])
def test_a_prefix_that_s3_takes_is_taken(prefix: str) -> None:
    assert parsed(properties({"Prefix": prefix})).prefix == prefix


def test_the_reason_holds_every_problem_and_what_would_be_right() -> None:
    found = found_in(properties({"Bucket": "A"}, InstanceId="x", Colour="red"))

    reason = str(InvalidProperties(found))
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


def test_a_value_in_the_wrong_place_is_not_shown() -> None:
    found = problems(properties(Storage=[{"UploadPolicySignature": "top secret"}]))

    assert found == {"Storage": "a list must be an object with the member S3"}


@pytest.mark.parametrize(("one", "other"), [("true", True), ("false", False), ("false", None)])
def test_text_and_value_name_the_same_bundle(one: Any, other: Any) -> None:
    plain = properties() if other is None else properties(DryRun=other)

    assert parsed(properties(DryRun=one)).identity == parsed(plain).identity


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
