"""The recorder records all phases of the sandbox, which are compared with those that are committed,
and leaves nothing."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from tests.stacks.support import SandboxProcess, wait_for
from tests.tools.recorder import QUICK, left, started, typed
from tools.record.comparison import differences
from tools.record.fixtures import Recording, read, read_all
from tools.record.phases import PHASES
from tools.record.replacement import KINDS

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


@pytest.fixture(scope="module")
def directory(ready: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete recording of the sandbox."""
    directory = tmp_path_factory.mktemp("recordings")
    output = ("--output", str(directory), "--delay", "0", "--parallel", "16")
    status, printed = typed(ready, "phases", *QUICK, *output)
    assert status == 0, printed
    assert printed.startswith("Account 123456789012, us-east-1, as arn:aws:sts::123456789012:")
    return directory


@pytest.fixture(scope="module")
def recorded(directory: Path) -> dict[str, Recording]:
    return {recording.phase: recording for recording in read_all(directory)}


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


def test_a_recording_identifies_nobody(directory: Path) -> None:
    texts = [file.read_text() for file in [*directory.glob("*.json"), *COMMITTED]]
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


def test_nothing_is_left(recorded: dict[str, Recording], clients: Clients) -> None:
    assert recorded
    assert left(clients) == []


@pytest.mark.parametrize("file", COMMITTED, ids=[str(f.relative_to(RECORDINGS)) for f in COMMITTED])
def test_the_sandbox_does_what_was_recorded(file: Path, recorded: dict[str, Recording]) -> None:
    committed = read(file)

    assert committed.source == file.parent.name
    assert differences(committed, recorded[committed.phase]) == []


def test_nothing_is_made_unless_it_is_confirmed(
    ready: dict[str, str], clients: Clients, tmp_path: Path
) -> None:
    stacks = len(clients.cloudformation.list_stacks()["StackSummaries"])
    status, printed = typed(ready, "phases", "--output", str(tmp_path / "out"), answer="no\n")

    assert status == 1
    assert "Account 123456789012, us-east-1" in printed
    assert len(clients.cloudformation.list_stacks()["StackSummaries"]) == stacks


OPEN = ("--only", "create-timeout", "--only", "replacement", "--delay", "0")


def _all_open(clients: Clients) -> bool | None:
    names = {name for name in left(clients) if name.endswith(("-create-timeout", "-replacement"))}
    return True if len(names) == 2 else None


def test_an_interrupt_leaves_nothing(
    ready: dict[str, str], clients: Clients, tmp_path: Path
) -> None:
    process = started(ready, "phases", *QUICK, *OPEN, "--output", str(tmp_path))
    wait_for(lambda: _all_open(clients), "both stacks")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=120)

    assert process.returncode == 130, printed
    assert "It remained" not in printed
    assert left(clients) == []


def test_what_a_killed_run_left_is_deleted_later_and_nothing_else(
    ready: dict[str, str], clients: Clients, tmp_path: Path
) -> None:
    other = clients.cloudformation.create_stack(
        StackName="cfn-recorder-0000abcd-other",
        TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
    )["StackId"]
    process = started(ready, "phases", *QUICK, *OPEN, "--output", str(tmp_path))
    wait_for(lambda: _all_open(clients), "both stacks")
    process.kill()
    process.communicate()

    status, printed = typed(ready, "clean", *QUICK)

    assert status == 0, printed
    assert left(clients) == ["cfn-recorder-0000abcd-other"]
    clients.cloudformation.delete_stack(StackName=other)
    assert typed(ready, "clean", *QUICK)[1].endswith("There is nothing to delete.\n")
