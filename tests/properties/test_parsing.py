"""Arbitrary input to the parsers: an answer or a refusal, and nothing else."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import fastjsonschema
from hypothesis import assume, given
from hypothesis import strategies as st

from instance_bundle.errors import InstanceBundleError, InvalidEvent
from instance_bundle.request import properties
from instance_bundle.request.event import Request, RequestKey
from instance_bundle.request.formats import FORMATS
from instance_bundle.request.properties import (
    Image,
    Properties,
    completion_handle,
    completion_timeout,
    service_timeout,
)
from instance_bundle.request.redaction import conceal
from instance_bundle.responses import response
from instance_bundle.state.outcome import Failed
from instance_bundle.state.poll_queue import Poll

from .test_response_urls import GOOD, WAITS

TEXT = st.text(st.characters(), max_size=40)
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    *("ServiceToken", "ServiceTimeout", "InstanceId", "Storage", "DryRun", "Method", "OnDelete"),
    *("Image", "CompletionHandle", "CompletionTimeout", "UploadCredentials"),
)
IMAGE_NAMES = ("Name", "Description", "Architecture", "NoReboot", "Tags", "ObjectTags")
S3_NAMES = ("Bucket", "Prefix", "AWSAccessKeyId", "UploadPolicy", "UploadPolicySignature")


def object_of(*names: str, values: st.SearchStrategy[Any] = JSON) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names) | TEXT, values, max_size=len(names))


HANDLES = st.sampled_from([url for url in GOOD if WAITS in url])
NEARLY_HANDLES = HANDLES | st.builds(
    "{}{}".format, st.sampled_from(["http://", "https://", "https://["]), TEXT
)


def tag_lists(characters: st.SearchStrategy[str], most: int) -> st.SearchStrategy[Any]:
    key, value = st.text(characters, max_size=126), st.text(characters, max_size=256)
    tag = st.fixed_dictionaries({"Key": st.builds("k{}".format, key), "Value": value})
    return st.lists(tag, max_size=most, unique_by=lambda each: str(each["Key"]))


TAGS = tag_lists(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), 45
)
OBJECT_TAGS = tag_lists(
    st.characters(categories=["L", "N"], include_characters=" +-=._:/@"),  # as S3 has them
    9,
)
NEARLY_IMAGES = object_of(
    *IMAGE_NAMES,
    values=JSON
    | TAGS
    | OBJECT_TAGS
    | TAGS.map(lambda tags: tags * 2)
    | st.lists(object_of("Key", "Value"), max_size=3)
    | st.sampled_from(["web", "x86_64", "true"]),
)
NEARLY_VALID = object_of(
    *NAMES,
    values=JSON
    | object_of("S3", values=object_of(*S3_NAMES))
    | NEARLY_IMAGES
    | NEARLY_HANDLES
    | st.sampled_from(["i-1234567890abcdef0", "true", "3600", "BundleInstance", "StoreImage"]),
)


def images(**others: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Images that are valid, with what only one of the methods takes."""
    name = st.from_regex(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}", fullmatch=True)
    description = st.from_regex(r"[ -~]{0,255}", fullmatch=True)
    optional = {"Name": name, "Description": description, "Tags": TAGS, **others}
    return st.fixed_dictionaries({}, optional=optional)


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """Properties that are valid, as CloudFormation sends them."""
    raw: dict[str, Any] = {"InstanceId": "i-1234567890abcdef0"}
    if draw(st.booleans()):
        raw |= {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}
        asked = images(NoReboot=st.sampled_from(["true", "false"]), ObjectTags=OBJECT_TAGS)
    else:
        raw |= {"Storage": {"S3": {"Bucket": "images", "Prefix": "web"}}}
        asked = images(Architecture=st.sampled_from(["i386", "x86_64", "arm64"]))
    if draw(st.booleans()):
        raw["Image"] = draw(asked)
    if draw(st.booleans()):
        raw["CompletionHandle"] = draw(HANDLES)
        if draw(st.booleans()):
            raw["CompletionTimeout"] = str(draw(st.integers(1, 43200)))
    return raw


MEMBERS = ("RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId")
EVENTS = JSON | object_of(
    *MEMBERS,
    *("PhysicalResourceId", "ResourceProperties", "OldResourceProperties", "Records"),
    values=JSON | NEARLY_VALID | st.sampled_from(["Create", "Update", "Delete"]),
)


Result = TypeVar("Result")


def parsed(parse: Callable[[Any], Result], raw: Any) -> Result | InstanceBundleError:
    """What a parser makes of its input: a value, or one of our own errors."""
    try:
        return parse(raw)
    except InstanceBundleError as refusal:
        return refusal


@given(JSON | NEARLY_VALID)
def test_any_properties_are_parsed_or_have_problems_with_paths(raw: Any) -> None:
    found = properties.problems(raw)

    assert found or isinstance(Properties.parse(raw), Properties)
    assert all(problem.path and problem.message for problem in found)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """Valid properties with something in the place of something in them."""
    raw: dict[str, Any] = json.loads(json.dumps(draw(valid())))
    place, name = raw, draw(st.sampled_from([*raw, "DryRun", "UploadCredentials", "Colour"]))
    while isinstance(place.get(name), dict) and place[name] and draw(st.booleans()):
        place = place[name]
        name = draw(st.sampled_from([*place, "UploadPolicy", "AWSAccessKeyId", "Colour"]))
    place[name] = draw(JSON | NEARLY_VALID)
    return raw


# It stops at what is wrong first, and explains nothing.
STOPS_AT_ONCE = fastjsonschema.compile(
    json.loads(properties.SCHEMA_FILE.read_text()),
    formats=FORMATS,
    detailed_exceptions=False,
)


def is_valid(raw: Any) -> bool:
    try:
        STOPS_AT_ONCE(raw)
    except fastjsonschema.JsonSchemaValueException:
        return False
    image = raw.get("Image", {})
    lists = [image.get("Tags", []), image.get("ObjectTags", [])]
    return all(len({tag["Key"] for tag in tags}) == len(tags) for tags in lists)


@given(JSON | NEARLY_VALID | valid() | damaged())
def test_what_is_not_valid_has_a_problem_and_nothing_else_has(raw: Any) -> None:
    assert bool(properties.problems(raw)) != is_valid(raw)


@given(JSON | NEARLY_VALID)
def test_any_properties_have_a_service_timeout(raw: Any) -> None:
    assert 1 <= service_timeout(raw) <= 3600


@given(JSON | NEARLY_VALID | valid())
def test_any_properties_have_a_completion_timeout_and_perhaps_a_handle(raw: Any) -> None:
    assert 1 <= completion_timeout(raw) <= 43200
    assert completion_handle(raw) is None or raw["CompletionHandle"] == completion_handle(raw)


@given(valid())
def test_valid_properties_are_parsed(raw: dict[str, Any]) -> None:
    assert properties.problems(raw) == []
    image = Properties.parse(raw).image

    assert (image is None) == ("Image" not in raw)
    if image is not None:
        assert image.name == raw["Image"].get("Name")
        for tags, name in ((image.tags, "Tags"), (image.object_tags, "ObjectTags")):
            given_tags = raw["Image"].get(name, [])
            assert [{"Key": key, "Value": value} for key, value in tags.items()] == given_tags


def an_update(now: Any, before: Any) -> Request:
    return Request.parse(
        {
            "RequestType": "Update",
            "ResponseURL": "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/answer",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/1",
            "RequestId": "r1",
            "LogicalResourceId": "Bundle",
            "PhysicalResourceId": "bun-1",
            "ResourceProperties": now,
            "OldResourceProperties": before,
        }
    )


@given(JSON | NEARLY_VALID | valid(), JSON | NEARLY_VALID | valid(), TEXT)
def test_any_update_says_what_is_new(now: Any, before: Any, text: str) -> None:
    update = an_update(now, before)

    assert isinstance(update.old_image, Image | None)
    assert not an_update(now, now).changes_image
    assert an_update(now, now).handle is None
    if update.handle is not None:
        assert update.handle == now["CompletionHandle"] != completion_handle(before)
    assert isinstance(conceal(text, update), str)


@given(TEXT, HANDLES, TEXT)
def test_any_text_is_shown_without_the_handles_url(before: str, handle: str, after: str) -> None:
    update = an_update({"CompletionHandle": handle}, {})

    assert handle not in conceal(f"{before}{handle}{after}", update)
    assert handle.partition("?")[2] not in conceal(f"{before}{handle}{after}", update)


@given(EVENTS)
def test_any_event_is_a_request_or_refused(event: Any) -> None:
    result = parsed(Request.parse, event)

    if isinstance(result, Request):
        assert Request.parse(result.as_event()) == result
    else:
        assert isinstance(result, InvalidEvent)


@given(TEXT | JSON.map(json.dumps))
def test_any_message_is_a_poll_or_refused(body: str) -> None:
    assert isinstance(parsed(Poll.parse, body), Poll | InvalidEvent)


@given(TEXT, TEXT)
def test_a_poll_survives_the_queue(stack_id: str, logical_id: str) -> None:
    poll = Poll(RequestKey(stack_id, logical_id, "r1"), 7)

    assert Poll.parse(poll.body()) == poll


@given(st.text(st.characters(), max_size=9000), TEXT)
def test_any_reason_is_an_answer_that_cloudformation_takes(reason: str, physical_id: str) -> None:
    key = RequestKey("arn:aws:cloudformation:us-east-1:123456789012:stack/web/1", "Bundle", "r1")

    text = response.body(key, Failed(physical_id, reason))

    assert len(text) <= response.LIMIT
    assert json.loads(text)["Status"] == "FAILED"


@given(
    st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=900),
    st.text(st.characters(), max_size=9000),
)
def test_any_result_is_a_signal_that_a_handle_takes(prefix: str, reason: str) -> None:
    storage = {"S3": {"Bucket": "b" * 63, "Prefix": prefix}}
    raw = {"InstanceId": "i-1234567890abcdef0", "Storage": storage}
    assume(not properties.problems(raw))
    data = json.dumps({"BundleId": "bun-1", "S3Uri": f"s3://{'b' * 63}/{prefix}"})

    text = response.fitted(
        {"Status": "FAILURE", "UniqueId": "r" * 128, "Data": data, "Reason": reason}
    )

    assert len(text) <= response.LIMIT
    assert json.loads(text)["Data"] == data
