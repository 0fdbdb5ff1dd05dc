"""What a deployment lets its stacks do."""

import pytest

from instance_bundle.limits import Limits, Tag


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        ((), "anything", True),
        (("images",), "images", True),
        (("images",), "images2", False),
        (("images",), "my-images", False),
        (("prod-*", "images"), "prod-a", True),
        (("prod-*", "images"), "images", True),
        (("prod-*",), "xprod-a", False),
        (("image?",), "images", True),
        (("image?",), "image", False),
        (("a.b",), "axb", False),
        (("*",), "anything", True),
        (("[ab]",), "a", False),
    ],
)
def test_buckets_are_allowed_by_patterns(
    patterns: tuple[str, ...], name: str, *, allowed: bool
) -> None:
    assert Limits(buckets=patterns).allow_bucket(name) is allowed


def test_with_no_patterns_no_secret_is_allowed() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bundles-AbCdEf"

    assert not Limits().allow_secret(arn)
    assert Limits(upload_secrets=(arn,)).allow_secret(arn)
    assert Limits(upload_secrets=(arn.replace("AbCdEf", "??????"),)).allow_secret(arn)
    assert not Limits(upload_secrets=(arn,)).allow_secret(arn.removesuffix("-AbCdEf"))


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("", None),
        ("bundle=yes", Tag("bundle", "yes")),
        ("a:b/c=", Tag("a:b/c", "")),
        ("key=a=b", Tag("key", "a=b")),
    ],
)
def test_a_tag_is_read(text: str, tag: Tag | None) -> None:
    assert Tag.parse(text) == tag
