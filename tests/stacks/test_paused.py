"""An incident: the application is paused, and works again later."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sandbox.deployment import STACK_NAME

from .installations import change
from .support import Aws, Observers, SandboxProcess, signing_secret, wait_for
from .trials import BUNDLE_INSTANCE, STORE_IMAGE, Method, Sight, Trial

IS_PAUSED = f"The application {STACK_NAME} is paused: its parameter Paused is true."


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, whose application is paused."""
    sandbox = SandboxProcess.start(tmp_path)
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def test_a_paused_application_makes_and_removes_nothing_and_goes_on_later(aws: Aws) -> None:
    finished = [_created(aws, BUNDLE_INSTANCE, aws.instance(seconds="1")) for _ in range(2)]
    replaced, waiting = finished
    retained = _created(aws, BUNDLE_INSTANCE, aws.instance(seconds="1"), OnDelete="Retain")
    late = _created(aws, BUNDLE_INSTANCE, aws.instance(seconds="1"), ServiceTimeout="30")
    bundle = _creating(aws, BUNDLE_INSTANCE, aws.instance(seconds="30"))
    image, cleaned = (
        _creating(aws, STORE_IMAGE, aws.ebs_instance(image_seconds="60", store_seconds="1"))
        for _ in range(2)
    )
    under_way = (bundle, image, cleaned)
    wait_for(lambda: _are_under_way(aws, *under_way), "all work to be under way")

    change(aws, Paused="true")
    refused = _creating(aws, BUNDLE_INSTANCE, aws.instance(seconds="1"))
    replaced.update(replaced.body("two", OnDelete="Delete"))
    for trial in (waiting, retained, late, cleaned):
        trial.delete()

    for trial, status, bundles, left in (
        (refused, "ROLLBACK_COMPLETE", 0, []),
        (replaced, "UPDATE_ROLLBACK_COMPLETE", 1, ["one"]),
        (retained, "DELETE_COMPLETE", 1, ["one"]),
        (bundle, "CREATE_COMPLETE", 1, ["one"]),
    ):
        aws.at_rest(trial.stack_id)
        assert trial.problems(status, bundles, left) == []
    assert IS_PAUSED in _failure(aws, refused)
    assert IS_PAUSED in _failure(aws, replaced)
    assert aws.at_rest(late.stack_id)["StackStatus"] == "DELETE_FAILED"
    assert f"Not complete within ServiceTimeout (30 s): {IS_PAUSED}" in _failure(aws, late)
    for trial in (image, waiting, cleaned):
        wait_for(partial(_waits, aws, trial), f"{trial.name} to wait")
    images = [each for trial in (image, cleaned) for each in trial.images(Sight(aws))]
    assert len(images) == 2
    assert aws.store_tasks([each["ImageId"] for each in images]) == {}

    change(aws, Paused="false")
    late.delete()
    for trial, status, bundles, left in (
        (image, "CREATE_COMPLETE", 1, ["one"]),
        (waiting, "DELETE_COMPLETE", 1, []),
        (cleaned, "DELETE_COMPLETE", 1, []),
        (late, "DELETE_COMPLETE", 1, []),
    ):
        aws.at_rest(trial.stack_id)
        assert trial.problems(status, bundles, left) == []


def _creating(aws: Aws, method: Method, instance: str, **properties: str) -> Trial:
    trial = Trial(aws, instance=instance, method=method)
    trial.create(trial.body("one", **{"OnDelete": "Delete", **properties}))
    return trial


def _created(aws: Aws, method: Method, instance: str, **properties: str) -> Trial:
    trial = _creating(aws, method, instance, **properties)
    assert aws.at_rest(trial.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    return trial


def _are_under_way(aws: Aws, *trials: Trial) -> bool | None:
    now = Sight(aws)
    return all(trial.method.running(trial, now) for trial in trials) or None


def _waits(aws: Aws, trial: Trial) -> bool | None:
    """Whether a request has waited since the application is paused."""
    now = Sight(aws)
    is_noted = any(IS_PAUSED in json.dumps(item) for item in trial.items(now))
    return (is_noted and trial.stack_id in now.busy) or None


def _failure(aws: Aws, trial: Trial) -> str:
    """The Reason of the request that was answered FAILED."""
    [reason] = [
        body["Reason"] for body in aws.responses(trial.stack_id) if body["Status"] == "FAILED"
    ]
    return str(reason)
