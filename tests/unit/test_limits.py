"""What a deployment lets its stacks do."""

import pytest

from instance_bundle.settings import Limits, Settings, Tag, settings

VARIABLES = {
    "LEDGER_TABLE": "ledger",
    "REQUEST_TABLE": "requests",
    "POLL_QUEUE_URL": "https://queue",
    "EVENT_BUS": "",
    "ALLOWED_BUCKETS": "",
    "ALLOWED_INSTANCE_TAG": "",
    "ALLOW_OBJECT_DELETION": "true",
    "ALLOW_VERSION_DELETION": "false",
    "ALLOW_IMAGES": "true",
    "UPLOAD_SECRET_ARNS": "",
    "VERIFY_REQUESTS": "true",
}
"""What the template sets where its parameters have their defaults, except the bus."""


def read(monkeypatch: pytest.MonkeyPatch, **changed: str) -> Settings:
    monkeypatch.delenv("SANDBOX_RESPONSE_ORIGIN", raising=False)
    for name, value in {**VARIABLES, **changed}.items():
        monkeypatch.setenv(name, value)
    return settings.__wrapped__()


def test_what_the_template_says_by_default_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch) == Settings(
        "ledger", "requests", "https://queue", Limits(), event_bus=""
    )


@pytest.mark.parametrize(
    ("changed", "limits"),
    [
        ({"ALLOWED_BUCKETS": "images, prod-*"}, Limits(buckets=("images", "prod-*"))),
        ({"ALLOWED_INSTANCE_TAG": "bundle=yes"}, Limits(instance_tag=Tag("bundle", "yes"))),
        ({"ALLOW_OBJECT_DELETION": "false"}, Limits(deletes_objects=False)),
        ({"ALLOW_VERSION_DELETION": "true"}, Limits(deletes_versions=True)),
        ({"ALLOW_IMAGES": "false"}, Limits(makes_images=False)),
        ({"UPLOAD_SECRET_ARNS": "arn:1,arn:2"}, Limits(upload_secrets=("arn:1", "arn:2"))),
        (
            {"SANDBOX_RESPONSE_ORIGIN": "http://localhost:80"},
            Limits(response_origin="http://localhost:80"),
        ),
    ],
)
def test_each_variable_of_the_template_is_one_limit(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], limits: Limits
) -> None:
    assert read(monkeypatch, **changed).limits == limits


@pytest.mark.parametrize("given", [",", " ", " , ,", ",,,"])
def test_a_list_of_buckets_that_names_none_does_not_mean_all(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    with pytest.raises(ValueError, match="AllowedBuckets"):
        read(monkeypatch, ALLOWED_BUCKETS=given)


@pytest.mark.parametrize(
    ("given", "verified"),
    [(None, True), ("", True), ("true", True), ("no", True), ("False", True), ("false", False)],
)
def test_requests_are_verified_unless_that_is_switched_off_in_so_many_words(
    monkeypatch: pytest.MonkeyPatch, given: str | None, *, verified: bool
) -> None:
    monkeypatch.delenv("VERIFY_REQUESTS", raising=False)
    changed = {} if given is None else {"VERIFY_REQUESTS": given}

    assert read(monkeypatch, **changed).verify_requests is verified


def test_a_bus_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, EVENT_BUS="team/images").event_bus == "team/images"


@pytest.mark.parametrize(("said", "verifies"), [("true", True), ("false", False), (None, True)])
def test_requests_are_verified_unless_it_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, said: str | None, *, verifies: bool
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    if said is None:
        monkeypatch.delenv("VERIFY_REQUESTS")
    else:
        monkeypatch.setenv("VERIFY_REQUESTS", said)

    assert settings.__wrapped__().verify_requests is verifies


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
