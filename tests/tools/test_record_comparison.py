"""Recordings are compared by what does not depend on the moment; each difference is found."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY
from tools.record.comparison import differences
from tools.record.fixtures import NotARecording, Recording, read

RECORDINGS = REPOSITORY / "tests" / "recordings"


def _entries(recording: Recording, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in recording.entries if entry["kind"] == kind]


def _without_a_request(recording: Recording) -> None:
    recording.entries.remove(_entries(recording, "request")[2])


def _without_a_member(recording: Recording) -> None:
    del _entries(recording, "request")[1]["event"]["OldResourceProperties"]


def _with_a_property(recording: Recording) -> None:
    _entries(recording, "request")[0]["event"]["ResourceProperties"]["Region"] = "us-east-1"


def _with_another_physical_id(recording: Recording) -> None:
    _entries(recording, "request")[2]["event"]["PhysicalResourceId"] = "Bundle-two"


def _with_another_status_meanwhile(recording: Recording) -> None:
    described = _entries(recording, "request")[2]["describes"]["first"]
    described["DescribeStacks"]["Stacks"][0]["StackStatus"] = "UPDATE_COMPLETE"


def _with_another_status_at_last(recording: Recording) -> None:
    described = _entries(recording, "at-rest")[1]["describes"]
    described["DescribeStacks"]["Stacks"][0]["StackStatus"] = "UPDATE_FAILED"


def _with_a_refusal(recording: Recording) -> None:
    _entries(recording, "call")[1]["error"] = {"Code": "ValidationError", "Message": "no"}


def _with_events_in_another_order(recording: Recording) -> None:
    [events] = recording.events.values()
    own = [n for n, event in enumerate(events) if event["LogicalResourceId"] == "Bundle"]
    events[own[-1]], events[own[-2]] = events[own[-2]], events[own[-1]]


@pytest.mark.parametrize(
    "plant",
    [
        *(_without_a_request, _without_a_member, _with_a_property, _with_another_physical_id),
        *(_with_another_status_meanwhile, _with_another_status_at_last, _with_a_refusal),
        _with_events_in_another_order,
    ],
)
def test_a_difference_that_is_planted_is_found(plant: Any) -> None:
    file = RECORDINGS / "sandbox" / "replacement.json"
    planted = read(file)
    plant(planted)

    assert differences(read(file), read(file)) == []
    assert len(differences(planted, read(file))) == 1


def test_another_moment_and_other_placeholders_are_no_difference() -> None:
    file = RECORDINGS / "sandbox" / "create-cancelled.json"
    text = file.read_text()
    other = read(file)
    assert "{suffix-1}" in text

    text = text.replace("{suffix-1}", "{suffix-7}").replace("{time+0", "{time+9")
    assert differences(_parsed(text), replace(other, recorded="2027-01-01")) == []


def _parsed(text: str) -> Recording:
    return Recording(**json.loads(text))


def test_another_file_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for text in ("", "[]", '{"phase": "create"}'):
        file.write_text(text)
        with pytest.raises(NotARecording):
            read(file)
