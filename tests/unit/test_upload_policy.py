"""Upload policies: made, signed, read and checked."""

import base64
import json
from typing import Any

import pytest

from instance_bundle.request import upload_policy
from instance_bundle.request.upload_policy import UploadPolicy

EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's documented example
ENDS = 1_800_000_000.0  # 2027-01-15T08:00:00Z
GOOD: dict[str, Any] = {
    "expiration": "2027-01-15T08:00:01.000Z",
    "conditions": [
        {"bucket": "images"},
        {"acl": "ec2-bundle-read"},
        ["starts-with", "$key", "web/"],
    ],
}
KNOWN_POLICY = (
    '{"expiration": "2013-08-10T00:00:00.000000Z","conditions": [{"bucket": "mybucket"},'
    '{"acl": "ec2-bundle-read"},["starts-with", "$key", "foobar"]]}'
)
"""The policy of the AWS CLI's own test of `ec2 bundle-instance`."""


def problems(document: Any, prefix: str = "web/2027") -> list[str]:
    text = json.dumps(document).encode()
    return list(upload_policy.problems(text, "images", prefix, ENDS))


def conditions(*rules: Any) -> dict[str, Any]:
    """A valid policy except for one rule, which replaces the valid one of its field."""
    fields = {"bucket": GOOD["conditions"][0], "acl": GOOD["conditions"][1]}
    fields["key"] = GOOD["conditions"][2]
    for rule in rules:
        name = rule[1].removeprefix("$") if isinstance(rule, list) else next(iter(rule))
        fields[name] = rule
    return GOOD | {"conditions": list(fields.values())}


def test_the_known_answer() -> None:
    signature = upload_policy.sign(KNOWN_POLICY.encode(), EXAMPLE_SECRET)

    assert signature == "ynxybUMv9YuGbPl7HZ8AFJW/2t0="


def test_a_policy_that_is_made_fits_what_it_was_made_for_and_nothing_else() -> None:
    document = upload_policy.make("images", 'we"b/ü', ENDS + 1)

    assert list(upload_policy.problems(document, "images", 'we"b/ü', ENDS)) == []
    assert len(list(upload_policy.problems(document, "others", "web", ENDS + 1))) == 3
    assert json.loads(document)["expiration"] == "2027-01-15T08:00:01.000Z"


@pytest.mark.parametrize(
    "fits",
    [
        GOOD,
        GOOD | {"expiration": "2027-01-15T10:00:01+02:00"},
        GOOD | {"expiration": "2027-01-15T08:00:01"},
        conditions(["eq", "$bucket", "images"]),
        conditions(["starts-with", "$bucket", "im"]),
        conditions(["starts-with", "$key", ""]),
        conditions(["starts-with", "$key", "web/2027"]),
        conditions(["starts-with", "$acl", "ec2-"]),
        GOOD | {"conditions": [*GOOD["conditions"], ["content-length-range", 1, 10**9], 7, []]},
    ],
)
def test_a_policy_that_fits_has_no_problem(fits: Any) -> None:
    assert problems(fits) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (GOOD | {"expiration": "2027-01-15T08:00:00Z"}, "expires before 2027-01-15T08:00:00Z"),
        (GOOD | {"expiration": "2001-01-01T00:00:00Z"}, "or shorten ServiceTimeout"),
        (GOOD | {"expiration": "tomorrow"}, "no `expiration` that can be read"),
        (GOOD | {"expiration": 1800000001}, "no `expiration` that can be read"),
        ({"conditions": GOOD["conditions"]}, "no `expiration` that can be read"),
        (GOOD | {"conditions": {"bucket": "images"}}, "no list of `conditions`"),
        (conditions({"bucket": "others"}), "`bucket` that does not fit: Storage.S3.Bucket is"),
        (conditions(["starts-with", "$bucket", "x"]), "`bucket` that does not fit"),
        (conditions({"acl": "public-read"}), "`acl` that does not fit: EC2 writes with the ACL"),
        (conditions(["starts-with", "$key", "db/"]), "the keys begin with `web/2027`"),
        (conditions(["starts-with", "$key", "web/2027.part"]), "`key` that does not fit"),
        (conditions({"key": "web/2027"}), "`key` that does not fit"),
        (GOOD | {"conditions": GOOD["conditions"][1:]}, "no condition on `bucket`"),
        (GOOD | {"conditions": GOOD["conditions"][:2]}, "no condition on `key`"),
        (GOOD | {"conditions": [GOOD["conditions"][0], GOOD["conditions"][2]]}, "on `acl`"),
    ],
)
def test_what_is_wrong_is_named(document: Any, expected: str) -> None:
    [problem] = problems(document)

    assert expected in problem


def test_a_long_value_is_cut() -> None:
    [problem] = problems(GOOD, prefix="x" * 900)

    assert f"`{'x' * 40}…`" in problem


@pytest.mark.parametrize("text", [KNOWN_POLICY, f"\n  {KNOWN_POLICY}\n"])
def test_json_is_taken_in_the_bytes_that_it_has(text: str) -> None:
    assert upload_policy.read_document(text) == text.encode()


def test_base64_is_taken_for_the_document_whose_base64_goes_over_the_wire() -> None:
    encoded = base64.b64encode(KNOWN_POLICY.encode()).decode()

    assert upload_policy.read_document(encoded) == KNOWN_POLICY.encode()


@pytest.mark.parametrize(
    "text",
    [
        base64.encodebytes(KNOWN_POLICY.encode()).decode(),  # in lines: another text was signed
        base64.b64encode(KNOWN_POLICY.encode()).decode() + "\n",
        base64.urlsafe_b64encode(b'{"a": "\xfb\xff?>"}').decode(),
        base64.b64encode(b'{"a": 1}').decode().rstrip("="),
        "eyJhIjogMX1=",  # a bit beyond the last byte is set
        "no policy",
    ],
)
def test_a_base64_that_is_not_what_goes_over_the_wire_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|not the base64"):
        upload_policy.read_document(text)


def test_what_is_printed_of_a_policy_shows_neither_document_nor_signature() -> None:
    policy = UploadPolicy("AKIAIOSFODNN7EXAMPLE", b"the document", "the signature")

    assert "the " not in repr(policy)
