"""Items of earlier versions are read; what later versions add is ignored."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from instance_bundle.methods import Bundle, Task
from instance_bundle.request import Location, Target
from instance_bundle.state import Cleanup, Done, Failed, LastEvent, Progress, Response, items

from .test_lifecycle import STACK, request

TASK = Task("bun-1", "running", "bundling", "20%", "2027-01-15T08:00:00Z", "2027-01-15T08:00:05Z")
TARGET = Target("BundleInstance", "r1", "i-1234567890abcdef0", Location("images", "web"))
BEFORE: dict[str, Any] = {
    "resource": f"{STACK}|Bundle",
    "item": "request|r1",
    "format": Decimal(1),
    "request": json.dumps(request().as_event()),
    "request_type": "Create",
    "physical_id": "",
    "asked": "0123456789abcdef",
    "asked_before": "fedcba9876543210",
    "sent": "20270115T080000Z",
    "first_receipt": Decimal(1_800_000_001_500),
    "deadline": Decimal(1_800_003_570_000),
    "generation": Decimal(3),
    "lease_until": Decimal(0),
    "expires": Decimal(1_800_608_370),
}
"""A request as the previous version wrote it; its progress adds attributes."""
STARTED: dict[str, Any] = {
    "target": json.dumps(
        {
            "method": "BundleInstance",
            "request_id": "r1",
            "instance_id": "i-1234567890abcdef0",
            "location": {"bucket": "images", "prefix": "web"},
        }
    ),
    "attempted_at": Decimal(1_800_000_002_000),
    "task": json.dumps(
        {
            "id": "bun-1",
            "phase": "running",
            "state": "bundling",
            "progress": "20%",
            "started": "2027-01-15T08:00:00Z",
            "updated": "2027-01-15T08:00:05Z",
            "error_code": "",
            "error_message": "",
            "image_id": "",
        }
    ),
}
SUCCESS = json.dumps({"status": "SUCCESS", "physical_id": "bun-1", "attributes": {"State": "x"}})
FAILED = json.dumps({"status": "FAILED", "physical_id": "bun-1", "reason": "No."})

RECORDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"work": Progress.NONE, "response": Response.OPEN, "cleanup": Cleanup.NONE}),
    ({}, {"version": 0, "attempts": 0, "due": 0, "evidence": None, "confirmed": ""}),
    ({}, {"first_receipt": 1_800_000_001.5, "is_dated": True, "sent_at": 1_800_000_000.0}),
    ({"sent": ""}, {"sent": "20270115T080001Z", "is_dated": False, "sent_at": 1_800_000_001.5}),
    ({"attempted_at": Decimal(0)}, {"work": Progress.NONE, "attempted_at": None}),
    ({"target": STARTED["target"]}, {"work": Progress.TARGET, "target": TARGET}),
    (STARTED, {"work": Progress.TASK, "task": TASK, "attempted_at": 1_800_000_002.0}),
    (STARTED | {"begun": Decimal(2)}, {"begun": 2, "generation": 3}),
    ({"accepted": SUCCESS}, {"response": Response.ACCEPTANCE_STORED}),
    (
        {"accepted": SUCCESS, "told": True},
        {"response": Response.ACCEPTANCE_SENT, "acceptance": Done("bun-1", {"State": "x"})},
    ),
    ({"answer": FAILED}, {"response": Response.ANSWER_STORED, "answer": Failed("bun-1", "No.")}),
    ({"answer": SUCCESS, "request": None}, {"response": Response.DELIVERED, "succeeded": True}),
    ({"superseded": True}, {"superseded": True}),
    (STARTED, {"last_event": None}),
    ({"last_event": '{"percent": 40}'}, {"last_event": LastEvent(40)}),
    (
        {"last_event": '{"percent": 40, "progress_at": 1800000001.5, "later": "?"}'},
        {"last_event": LastEvent(40, 1_800_000_001.5)},
    ),
    ({"ended": True}, {"cleanup": Cleanup.CANCEL_REQUESTED}),
    ({"ended": True, "settled": True}, {"cleanup": Cleanup.CLEANED_UP}),
    ({"settled": True}, {"cleanup": Cleanup.CLEANED_UP}),
    (
        {"doubt": json.dumps({"reason": "No.", "since": 1_800_000_003.0})},
        {"asked": "0123456789abcdef", "asked_before": "fedcba9876543210"},
    ),
    ({"of_a_later_version": "text"}, {"request_type": "Create"}),
    (
        {"answer": json.dumps({**json.loads(FAILED), "of_a_later_version": 1})},
        {"answer": Failed("bun-1", "No.")},
    ),
]


@pytest.mark.parametrize(("added", "expected"), RECORDS)
def test_a_request_of_an_earlier_version_is_read(
    added: dict[str, Any], expected: dict[str, Any]
) -> None:
    item = {name: value for name, value in (BEFORE | added).items() if value is not None}

    found = items.record(item)

    assert {name: getattr(found, name) for name in expected} == expected


def test_a_request_of_the_first_version_has_no_digests_of_what_was_asked() -> None:
    item = {name: value for name, value in BEFORE.items() if not name.startswith("asked")}

    assert (items.record(item).asked, items.record(item).asked_before) == ("", "")


OLD_BUNDLE: dict[str, Any] = {
    "physical_id": "bun-1",
    "made_by": "r1",
    "naming": '["BundleInstance"]',
    "location": {"bucket": "images", "prefix": "web"},
    "fingerprint": '"0a1b"',
    "attributes": {"Bucket": "images", "Prefix": "web"},
}


def test_a_bundle_of_an_earlier_version_is_read_and_earlier_versions_read_todays() -> None:
    bundle = items.decode_bundle(json.dumps(OLD_BUNDLE))

    assert bundle == Bundle(
        "bun-1",
        "r1",
        Location("images", "web"),
        '"0a1b"',
        '["BundleInstance"]',
        {"Bucket": "images", "Prefix": "web"},
    )
    assert json.loads(items.encode_bundle(bundle)).items() >= OLD_BUNDLE.items()
    versioned = replace(bundle, version="3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY")
    assert items.decode_bundle(items.encode_bundle(versioned)) == versioned


def test_a_dry_run_of_an_earlier_version_has_no_location() -> None:
    stored = OLD_BUNDLE | {"physical_id": "dryrun-r1", "location": None, "fingerprint": ""}

    bundle = items.decode_bundle(json.dumps(stored))

    assert bundle.is_dry_run
    assert bundle.location == Location("images", "web")
    assert json.loads(items.encode_bundle(bundle))["location"] is None
