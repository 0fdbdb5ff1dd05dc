"""Whole stacks, and the event of a bundle that was complete and is removed."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from .faults import set_fault
from .support import Aws, json_of, side_by_side
from .test_bus_events import (
    at_rest,
    created,
    deleted,
    details,
    failures_of,
    new_trial,
    updated,
    with_image,
)
from .test_lifecycle import with_a_sibling_that_fails
from .trials import (
    BUNDLE_AND_REGISTER,
    BUNDLE_INSTANCE,
    STORE_IMAGE,
    Method,
    Steps,
    Trial,
    carry_out,
)

METHODS = (BUNDLE_INSTANCE, BUNDLE_AND_REGISTER, STORE_IMAGE)


def test_what_was_complete_and_is_removed_has_an_event(aws: Aws) -> None:
    side_by_side(
        partial(_creation_rolled_back, aws, STORE_IMAGE, "Delete"),
        partial(_creation_rolled_back, aws, BUNDLE_INSTANCE, "RetainExceptOnCreate"),
        partial(_creation_rolled_back_that_retains, aws),
        *(partial(_deleted, aws, method) for method in METHODS),
        partial(_replaced, aws, STORE_IMAGE),
        partial(_replacement_rolled_back, aws, BUNDLE_AND_REGISTER),
        partial(_two_amis, aws),
        partial(_deregistered_and_registered_again, aws),
    )


def _is_removed(event: Mapping[str, str], complete: Mapping[str, str]) -> bool:
    """Whether an event says of the same bundle and AMI that they are removed."""
    other = {"State": "removed", "RequestId": event["RequestId"]}
    return event == {**complete, **other} and event["RequestId"] != complete["RequestId"]


def _creation_rolled_back(aws: Aws, method: Method, on_delete: str) -> None:
    trial = new_trial(aws, method)

    trial.create(with_a_sibling_that_fails(trial.body("one", OnDelete=on_delete)))
    at_rest(trial, "ROLLBACK_COMPLETE")

    complete, removed = details(trial)
    assert complete["State"] == "complete"
    assert _is_removed(removed, complete)


def _creation_rolled_back_that_retains(aws: Aws) -> None:
    trial = new_trial(aws, STORE_IMAGE)

    trial.create(with_a_sibling_that_fails(trial.body("one", OnDelete="Retain")))
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert [detail["State"] for detail in details(trial)] == ["complete"]


def _deleted(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method)
    created(trial, trial.body("one", OnDelete="Delete"))

    deleted(trial)

    complete, removed = details(trial)
    assert bool(complete["ImageId"]) == (method is not BUNDLE_INSTANCE)
    assert _is_removed(removed, complete)


def _replaced(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method)
    created(trial, trial.body("one", OnDelete="Delete"))

    updated(trial, trial.body("two", OnDelete="Delete"))

    first, second, removed = details(trial)
    assert (first["State"], second["State"]) == ("complete", "complete")
    assert _is_removed(removed, first)


def _replacement_rolled_back(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method)
    created(trial, trial.body("one", OnDelete="Delete"))

    trial.update(with_a_sibling_that_fails(trial.body("two", OnDelete="Delete")))
    at_rest(trial, "UPDATE_ROLLBACK_COMPLETE")

    _, second, removed = details(trial)
    assert _is_removed(removed, second)


def _two_amis(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE)
    created(trial, with_image(trial, Name=f"{trial.name}-1"))
    updated(trial, with_image(trial, Name=f"{trial.name}-2"))

    deleted(trial)

    first, second, *removed = details(trial)
    assert first["ImageId"] != second["ImageId"]
    assert len(removed) == 2
    assert all(map(_is_removed, removed, (first, second)))


def _deregistered_and_registered_again(aws: Aws) -> None:
    """The owner has deregistered the AMI; the Update that describes it registers another."""
    trial = new_trial(aws, BUNDLE_INSTANCE)
    created(trial, with_image(trial, Name=trial.name, Description="one"))
    [first] = details(trial)
    aws.clients.ec2.deregister_image(ImageId=first["ImageId"])

    updated(trial, with_image(trial, Name=trial.name, Description="two"))
    deleted(trial)

    _, second, *removed = details(trial)
    assert (second["State"], first["ImageId"] == second["ImageId"]) == ("complete", False)
    assert all(map(_is_removed, removed, (first, second)))


# Faults


@pytest.mark.faults
def test_the_event_of_a_removal_comes_whatever_becomes_of_the_call(quick_and_clear: Aws) -> None:
    aws = quick_and_clear
    # More often than the SDK tries within one invocation.
    faults: dict[str, dict[str, Any]] = {
        **{kind: {"times": 4} for kind in ("throttle", "cut-after")},
        **{kind: {} for kind in ("kill", "kill-after", "deny")},
    }
    trials = {kind: new_trial(aws, STORE_IMAGE) for kind in faults}

    def delete(trial: Trial, kind: str) -> Steps:
        trial.create(trial.body("one", OnDelete="Delete"))
        yield trial.is_through()
        set_fault(aws, "events:PutEvents", kind, trial.name, **faults[kind])
        trial.delete()
        yield trial.is_through()

    carry_out(aws, [delete(trial, kind) for kind, trial in trials.items()])

    struck = json_of(f"{aws.clients.endpoint}/sandbox/faults")
    assert [fault for fault in struck if len(fault["hits"]) != fault["times"]] == []
    for kind, trial in trials.items():
        at_rest(trial, "DELETE_COMPLETE")
        complete, *removed = details(trial)
        assert [event for event in removed if event != removed[0]] == [], kind
        assert bool(removed) == (kind != "deny"), kind
        assert all(_is_removed(event, complete) for event in removed), kind
    assert len(failures_of(trials["deny"])) == 1
