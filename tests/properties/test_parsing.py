"""Arbitrary input to the parsers: an answer or a refusal, and nothing else."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from instance_bundle import response
from instance_bundle.errors import InstanceBundleError, InvalidEvent, InvalidProperties
from instance_bundle.outcome import Failed
from instance_bundle.poll_queue import Poll
from instance_bundle.properties import Properties, service_timeout
from instance_bundle.request import Request, RequestKey

TEXT = st.text(st.characters(), max_size=40)
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = ("ServiceToken", "ServiceTimeout", "InstanceId", "Storage", "DryRun", "Method")
S3_NAMES = ("Bucket", "Prefix", "AWSAccessKeyId", "UploadPolicy", "UploadPolicySignature")


def object_of(*names: str, values: st.SearchStrategy[Any] = JSON) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names) | TEXT, values, max_size=len(names))


NEARLY_VALID = object_of(
    *NAMES,
    values=JSON
    | object_of("S3", values=object_of(*S3_NAMES))
    | st.sampled_from(["i-1234567890abcdef0", "true", "3600"]),
)
MEMBERS = ("RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId")
EVENTS = JSON | object_of(
    *MEMBERS,
    *("PhysicalResourceId", "ResourceProperties", "Records"),
    values=JSON | st.sampled_from(["Create", "Update", "Delete"]),
)


Result = TypeVar("Result")


def parsed(parse: Callable[[Any], Result], raw: Any) -> Result | InstanceBundleError:
    """What a parser makes of its input: a value, or one of our own errors."""
    try:
        return parse(raw)
    except InstanceBundleError as refusal:
        return refusal


@given(JSON | NEARLY_VALID)
def test_any_properties_are_parsed_or_refused_with_paths(raw: Any) -> None:
    result = parsed(Properties.parse, raw)

    if not isinstance(result, Properties):
        assert isinstance(result, InvalidProperties)
        assert all(problem.path and problem.message for problem in result.problems)


@given(JSON | NEARLY_VALID)
def test_any_properties_have_a_service_timeout(raw: Any) -> None:
    assert 1 <= service_timeout(raw) <= 3600


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
