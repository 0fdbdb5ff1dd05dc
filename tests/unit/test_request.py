"""Which events are requests."""

from typing import Any

import pytest

from instance_bundle.errors import InvalidEvent, Timeout
from instance_bundle.request.event import Request
from instance_bundle.request.properties import Image

from .test_lifecycle import HANDLE
from .test_properties import properties

EVENT = {
    "RequestType": "Delete",
    "ResponseURL": "https://example.com/",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/1",
    "RequestId": "r1",
    "LogicalResourceId": "Bundle",
    "PhysicalResourceId": "bun-1",
    "ResourceProperties": {"InstanceId": "i-1"},
    "ResourceType": "Custom::InstanceBundle",
}


def test_an_event_becomes_a_request() -> None:
    request = Request.parse(EVENT)

    assert (request.request_type, request.physical_id) == ("Delete", "bun-1")
    assert (request.stack_name, request.logical_id, request.request_id) == ("web", "Bundle", "r1")
    assert request.properties == {"InstanceId": "i-1"}


def test_a_request_survives_being_an_event_again() -> None:
    request = Request.parse(EVENT)

    assert Request.parse(request.as_event()) == request


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ("text", "event"),
        (None, "event"),
        ([], "event"),
        ({}, "RequestType"),
        (EVENT | {"RequestType": "Upsert"}, "RequestType"),
        (EVENT | {"RequestId": 7}, "RequestId"),
        (EVENT | {"StackId": ""}, "StackId"),
        ({k: v for k, v in EVENT.items() if k != "ResponseURL"}, "ResponseURL"),
        ({k: v for k, v in EVENT.items() if k != "PhysicalResourceId"}, "PhysicalResourceId"),
    ],
)
def test_what_is_no_request_is_refused_by_the_member_that_is_wrong(event: Any, named: str) -> None:
    with pytest.raises(InvalidEvent, match=named):
        Request.parse(event)


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        *(("StackId", 1024), ("LogicalResourceId", 255), ("RequestId", 128)),
        ("PhysicalResourceId", 1000),
    ],
)
def test_what_is_too_long_for_the_ledger_is_refused_and_nothing_shorter(
    name: str, longest: int
) -> None:
    Request.parse(EVENT | {name: "x" * longest})
    Request.parse(EVENT | {name: "ä" * (longest // 2)})

    for too_long in ("x" * (longest + 1), "ä" * (longest // 2 + 1)):
        with pytest.raises(InvalidEvent, match=f"{name}: .* has {longest} bytes at most"):
            Request.parse(EVENT | {name: too_long})


OTHER_HANDLE = HANDLE.replace("Handle1", "Handle2")


def asking(kind: str, now: Any, before: Any = None) -> Request:
    return Request.parse(
        EVENT
        | {"RequestType": kind, "ResourceProperties": now}
        | ({"OldResourceProperties": before} if kind == "Update" else {})
    )


@pytest.mark.parametrize(
    ("kind", "now", "before", "signals"),
    [
        ("Create", HANDLE, None, True),
        ("Create", None, None, False),
        ("Update", HANDLE, None, True),
        ("Update", HANDLE, OTHER_HANDLE, True),
        ("Update", HANDLE, HANDLE, False),
        ("Update", None, HANDLE, False),
        ("Delete", HANDLE, None, False),
        ("Create", "", None, False),
        ("Create", 7, None, False),
    ],
)
def test_a_handle_waits_for_the_first_request_that_has_it(
    kind: str, now: Any, before: Any, *, signals: bool
) -> None:
    request = asking(kind, {"CompletionHandle": now}, {"CompletionHandle": before})

    assert request.handle == (HANDLE if signals else None)


@pytest.mark.parametrize("raw", [None, [], "text", {"CompletionHandle": [HANDLE]}])
def test_properties_of_any_shape_have_no_handle(raw: Any) -> None:
    assert asking("Update", raw, raw).handle is None
    assert not asking("Update", raw, raw).repeats_handle


SIGNED_AT = {"ResponseURL": "https://example.com/?X-Amz-Date=20270115T080000Z"}


@pytest.mark.parametrize(
    ("kind", "given", "seconds"),
    [
        ("Create", {}, 3600),
        ("Create", {"ServiceTimeout": "60"}, 60),
        ("Create", {"ServiceTimeout": "60", "CompletionHandle": HANDLE}, 43200),
        ("Create", {"CompletionHandle": HANDLE, "CompletionTimeout": "7200"}, 7200),
        ("Create", {"CompletionTimeout": "7200"}, 3600),
        ("Delete", {"CompletionHandle": HANDLE}, 3600),
    ],
)
def test_work_ends_when_cloudformation_or_its_handle_waits_no_more(
    kind: str, given: dict[str, str], seconds: int
) -> None:
    request = Request.parse(EVENT | SIGNED_AT | {"RequestType": kind, "ResourceProperties": given})

    assert request.work_ends_by(received=1_800_000_100) == 1_800_000_000 + seconds
    assert request.times_out_at(received=1_800_000_100) == 1_800_000_000 + int(
        given.get("ServiceTimeout", 3600)
    )


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("", 1_800_000_000),  # signature version 2 has no date
        ("?X-Amz-Date=20270115T075820Z", 1_799_999_900),
        ("?X-Amz-Date=20270115T020000Z", 1_800_000_000 - 6 * 3600),
        ("?X-Amz-Date=20270115T015959Z", 1_800_000_000),
        ("?X-Amz-Date=20270115T080500Z", 1_800_000_300),
        ("?X-Amz-Date=20270115T080501Z", 1_800_000_000),
        ("?X-Amz-Date=99991231T235959Z", 1_800_000_000),
        ("?X-Amz-Date=yesterday", 1_800_000_000),
    ],
)
def test_a_request_was_sent_when_its_url_was_signed_if_that_can_be(query: str, sent: int) -> None:
    url = f"https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/answer{query}"

    assert Request.parse(EVENT | {"ResponseURL": url}).sent_at(1_800_000_000) == sent


@pytest.mark.parametrize(
    ("given", "at_top_level", "seconds"),
    [
        ({}, "60", 60),
        ({"ServiceTimeout": "60"}, None, 60),
        ({"ServiceTimeout": "60"}, 90, 60),
        ({"ServiceTimeout": "90"}, 60, 60),
        ({}, "soon", 3600),
        ({}, None, 3600),
    ],
)
def test_a_service_timeout_counts_wherever_the_event_has_it(
    given: dict[str, str], at_top_level: Any, seconds: int
) -> None:
    event = EVENT | {"ResourceProperties": given, "ServiceTimeout": at_top_level}

    request = Request.parse(event)

    assert request.timeout(accepted=False).seconds == seconds
    assert Request.parse(request.as_event()) == request


def test_the_time_that_work_has_is_named_for_the_property_that_sets_it() -> None:
    request = asking("Create", {"ServiceTimeout": "60", "CompletionHandle": HANDLE})

    assert request.timeout(accepted=False) == Timeout("ServiceTimeout", 60)
    assert request.timeout(accepted=True) == Timeout("CompletionTimeout", 43200)


@pytest.mark.parametrize(
    ("kind", "before", "now", "changes"),
    [
        ("Update", {"Name": "web"}, {"Name": "other"}, True),
        ("Update", None, {"Name": "web"}, True),
        ("Update", {"Name": "web"}, {"Name": "web"}, False),
        ("Update", {"Name": "web"}, None, False),
        ("Update", None, None, False),
        ("Create", None, {"Name": "web"}, False),
        ("Update", {"Tags": [{"Key": "a"}]}, {"Name": "web"}, True),
        ("Update", {"Name": "web"}, {"Tags": [{"Key": "a"}]}, False),
        ("Update", {"Name": "web"}, {"Tags": 5}, False),
    ],
)
def test_an_update_changes_the_image_where_it_asks_for_another(
    kind: str, before: Any, now: Any, *, changes: bool
) -> None:
    """What is not valid asks for nothing; a rollback has it in the old properties."""
    given = [properties(**({"Image": image} if image else {})) for image in (now, before)]

    assert asking(kind, *given).changes_image is changes


def test_what_was_asked_for_before_is_read_only_where_it_was_valid() -> None:
    valid = properties(Image={"Name": "web", "Tags": [{"Key": "a", "Value": "b"}]})
    invalid = properties(Image={"Name": "web", "Tags": [{"Key": "a"}]})

    assert asking("Update", {}, valid).old_image == Image(name="web", tags={"a": "b"})
    assert asking("Update", {}, invalid).old_image is None
    assert asking("Update", {}, properties()).old_image is None
