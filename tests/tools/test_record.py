"""The recorder records all phases of the sandbox, which are compared with those that are committed,
and leaves nothing; so does the smoke test. The commands are those of docs/recording.md."""

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from tests.stacks.support import SandboxProcess, wait_for
from tests.tools.recorder import QUICK, ended, least, left, on_page, started
from tools.record.comparison import differences
from tools.record.fixtures import Recording, read, read_all
from tools.record.phases import PHASES
from tools.record.replacement import KINDS

IMAGE = ("--image-id", "ami-03c3da4cfa8e8943a")
"""An Amazon Linux that the sandbox has; the newest one it has not."""

RECORDINGS = REPOSITORY / "tests" / "recordings"
COMMITTED = sorted(RECORDINGS.glob("*/*.json"))
"""Recordings by who was recorded: of AWS in `aws`, once there are any; an example in `sandbox`."""

IDENTIFIERS = (
    *(pattern for kind, pattern in KINDS if kind != "suffix"),
    re.compile(r"X-Amz-Signature=(?!\{)"),
    re.compile(r"X-Amz-Credential=(?!\{)"),
    re.compile(r"20\d\d-\d\d-\d\dT"),
)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A sandbox of this module's own: what is left in it is the recorder's."""
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    yield sandbox.ready
    sandbox.end()


@pytest.fixture(scope="module")
def clients(ready: dict[str, str]) -> Clients:
    return Clients(ready["endpoint"])


@dataclass(frozen=True)
class Runs:
    """A complete recording and a smoke test, side by side.

    Attributes:
        directory: with the recordings.
        smoke: what the smoke test printed.
        refused: the recording of a phase that may not call CancelUpdateStack.
        printed: with the latter.
    """

    directory: Path
    smoke: str
    refused: Recording
    printed: str


@pytest.fixture(scope="module")
def runs(ready: dict[str, str], clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Both, as docs/recording.md has them; the recording by a role that has the least policy."""
    directory = tmp_path_factory.mktemp("recordings")
    *phases, _ = on_page("Record the phases")
    smoking = started(ready, *on_page("Run the smoke test"), *QUICK, *IMAGE)
    options = (*QUICK, "--delay", "0", "--parallel", "16")
    refused = tmp_path_factory.mktemp("refused")
    denied = least(clients, denied="cloudformation:CancelUpdateStack")
    only = ("--only", "cancel-update", "--output", str(refused), "--delay", "0")
    refusing = started(ready, "phases", *QUICK, *only, by=denied)
    recording = started(ready, *phases, str(directory), *options, by=least(clients))
    (status, printed), (smoke_status, smoke) = ended(recording), ended(smoking)
    assert status == 0, printed
    assert printed.startswith("Account 123456789012, us-east-1, as arn:aws:sts::123456789012:")
    assert smoke_status == 0, smoke
    _, printed = ended(refusing)
    return Runs(directory, smoke, read(refused / "cancel-update.json"), printed)


@pytest.fixture(scope="module")
def recorded(runs: Runs) -> dict[str, Recording]:
    return {recording.phase: recording for recording in read_all(runs.directory)}


def test_each_phase_is_recorded_to_its_end(recorded: dict[str, Recording]) -> None:
    assert recorded.keys() == {phase.name for phase in PHASES}
    assert {each.source for each in recorded.values()} == {"sandbox"}
    assert [each.phase for each in recorded.values() if not each.finished] == []


def test_each_request_is_recorded_with_what_the_stack_was_meanwhile(
    recorded: dict[str, Recording],
) -> None:
    requests = [entry for entry in recorded["replacement"].entries if entry["kind"] == "request"]
    types = [entry["event"]["RequestType"] for entry in requests]
    clean_up = requests[2]["describes"]["first"]

    assert types == ["Create", "Update", "Delete", "Delete"]
    [stack] = clean_up["DescribeStacks"]["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    resource = clean_up["DescribeStackResource"]["StackResourceDetail"]
    assert resource["PhysicalResourceId"] == "Bundle-two"
    assert clean_up["DescribeStackResources"]["StackResources"]
    assert clean_up["DescribeStackEvents"]["StackEvents"]


def test_a_nested_stack_is_recorded_with_its_parent(recorded: dict[str, Recording]) -> None:
    assert [name.partition("-nested")[2] for name in recorded["nested"].events] == [
        "",
        "-Child-{suffix-1}",
    ]


def test_a_recording_identifies_nobody(runs: Runs) -> None:
    texts = [file.read_text() for file in [*runs.directory.glob("*.json"), *COMMITTED]]
    found = {match[0] for text in texts for each in IDENTIFIERS for match in each.finditer(text)}

    assert len(texts) == len(PHASES) + len(COMMITTED)
    assert found == set()


def test_what_belongs_together_can_be_seen(recorded: dict[str, Recording]) -> None:
    entries = recorded["create"].entries
    request = next(entry["event"] for entry in entries if entry["kind"] == "request")
    answer = next(entry["body"] for entry in entries if entry["kind"] == "answer")
    events = recorded["create"].events["cfn-recorder-{run}-create"]

    assert re.fullmatch(r"\{uuid-\d+\}", request["RequestId"])
    assert answer["RequestId"] == request["RequestId"]
    assert {event["StackId"] for event in events} == {request["StackId"]}


def test_an_image_is_stored_and_everything_is_deleted(runs: Runs, clients: Clients) -> None:
    lines = runs.smoke.splitlines()

    assert "In an hour it would cost, by list prices of us-east-1:" in lines
    assert [line for line in lines if line.startswith("The image is stored: ami-")]
    assert "The image, its snapshots and the object were deleted with their stack." in lines
    assert re.fullmatch(r" +at most, in all +\$0\.\d{4}", lines[-1])
    assert left(clients) == []


@pytest.mark.parametrize("file", COMMITTED, ids=[str(f.relative_to(RECORDINGS)) for f in COMMITTED])
def test_the_sandbox_does_what_was_recorded(file: Path, recorded: dict[str, Recording]) -> None:
    committed = read(file)

    assert committed.source == file.parent.name
    assert differences(committed, recorded[committed.phase]) == []


@pytest.mark.parametrize("command", [("phases", "--output", "unused"), ("smoke", *IMAGE)])
def test_nothing_is_made_unless_it_is_confirmed(
    ready: dict[str, str], clients: Clients, command: tuple[str, ...]
) -> None:
    status, printed = ended(started(ready, *command), "no\n")

    assert status == 1
    assert "Account 123456789012, us-east-1" in printed
    [run] = re.findall(r"Run (\w+):", printed)
    summaries = clients.cloudformation.get_paginator("list_stacks").paginate()
    names = [stack["StackName"] for page in summaries for stack in page["StackSummaries"]]
    assert [name for name in names if run in name] == []


OPEN = ("--only", "create-timeout", "--only", "replacement", "--delay", "0")


def test_a_phase_ends_where_a_call_is_not_allowed(runs: Runs) -> None:
    problem = "cancel-update: CancelUpdateStack: User: arn:aws:sts::{account-1}:"

    assert not runs.refused.finished
    assert f"cancel-update: {runs.refused.entries[-1]['message']}".startswith(problem)
    assert "cancel-update: recorded" not in runs.printed
    assert "It remained" not in runs.printed


def _both(
    ready: dict[str, str], clients: Clients, directory: Path
) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """A recording and a smoke test, midway."""
    smoking = started(ready, "smoke", *QUICK, *IMAGE)
    wait_for(lambda: _are_there(clients, "-application"), "the application's stack")
    recording = started(ready, "phases", *QUICK, *OPEN, "--output", str(directory))
    wait_for(lambda: _are_there(clients, "-create-timeout"), "a phase")
    return recording, smoking


def _are_there(clients: Clients, end: str) -> bool | None:
    return any(name.endswith(end) for name in left(clients)) or None


def test_an_interrupt_leaves_nothing(
    ready: dict[str, str], clients: Clients, tmp_path: Path
) -> None:
    processes = _both(ready, clients, tmp_path)
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)

    for process in processes:
        status, printed = ended(process)
        assert status == 130, printed
        assert "It remained" not in printed
    assert left(clients) == []


def test_what_killed_runs_left_is_deleted_later_and_nothing_else(
    ready: dict[str, str], clients: Clients, tmp_path: Path
) -> None:
    other = clients.cloudformation.create_stack(
        StackName="cfn-recorder-0000abcd-other",
        TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
    )["StackId"]
    for process in _both(ready, clients, tmp_path):
        process.kill()
        process.communicate()

    status, printed = ended(started(ready, *on_page("Delete what was left"), *QUICK))

    assert status == 0, printed
    assert left(clients) == ["cfn-recorder-0000abcd-other"]
    clients.cloudformation.delete_stack(StackName=other)
    again = ended(started(ready, "clean", *QUICK))
    assert again[1].endswith("There is nothing to delete.\n")
