"""`why`: what a request waits for, by the record that the function writes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cli import stacks, waits, ways
from cli.installation import Account, Installation
from cli.stacks import Member, Stack
from cli.typed import Typed
from cli.waits import Request
from instance_bundle.request import Request as Asked
from instance_bundle.state import Done, Doubt, Evidence, Failed, Ledger, Record
from tests.fixtures import Clock
from tests.unit.test_lifecycle import RUNNING, STACK, request

from .conftest import Run, Wire
from .test_command import secret_items, secrets_in

HERE = Installation("mine", Account("ops", "eu-west-1", "http://127.0.0.1:4580"), "table")
REFUSED = "ec2:RegisterImage was refused. UnauthorizedOperation: No. Allow it."
PAUSED = "The application mine is paused: its parameter Paused is true. Set it to false."


@pytest.fixture
def create(ledger: Ledger, clock: Clock) -> Record:
    """A Create whose task runs, polled a moment ago."""
    record, _ = ledger.receive(request(), lease=30)
    started, _ = ledger.save(record, replace(record, attempted_at=clock.now))
    started = ledger.merge_task(started, RUNNING)
    ledger.save_progress(started, RUNNING, 1, due=clock.now + 5)
    return read(ledger, started)


def read(ledger: Ledger, record: Record) -> Record:
    found = ledger.read(record.key)
    assert found is not None
    return found


def found(now: float, *records: Record) -> Sequence[Request]:
    return waits.find(records, {}, now)


def only(now: float, record: Record) -> Request:
    [request] = found(now, record)
    return request


def test_a_task_is_waited_for_and_late_if_no_poll_comes(create: Record, clock: Clock) -> None:
    waiting = only(clock.now, create)

    assert (waiting.kind, waiting.words) == ("task", "EC2: task bun-1 is bundling at 20%")
    assert not waiting.is_late(clock.now + 35)
    assert waiting.is_late(clock.now + 36)
    assert not replace(waiting, record=replace(create, lease_until=clock.now + 60)).is_late(
        clock.now + 50
    )


@pytest.mark.parametrize(("reason", "kind"), [(REFUSED, "refusal"), (PAUSED, "pause")])
def test_a_refusal_is_waited_for_as_long_as_it_is_repeated(
    ledger: Ledger, create: Record, clock: Clock, reason: str, kind: str
) -> None:
    ledger.note_doubt(create, Doubt(reason, clock.now))
    noted = replace(read(ledger, create), due=clock.now + 139)

    waiting = only(clock.now + 139, noted)

    assert (waiting.kind, waiting.since, waiting.is_stuck(clock.now)) == (kind, clock.now, True)
    assert reason in waiting.words
    assert only(clock.now + 1000, noted).kind == kind, "no poll has come since"
    assert only(clock.now + 140, replace(noted, due=clock.now + 140)).kind == "task"


def test_what_comes_before_and_after_a_task_is_named(
    ledger: Ledger, create: Record, clock: Clock
) -> None:
    asked = Evidence("idle", clock.now, "stack UPDATE_COMPLETE")
    cases = {
        "poll": replace(create, task=None, attempted_at=None),
        "start": replace(create, task=None),
        "confirmation": replace(create, evidence=asked),
        "acceptance": replace(create, acceptance=Done("bun-1")),
        "superseded": replace(create, superseded=True),
        "answer": replace(create, answer=Failed("bun-1", "No."), undelivered=True),
    }

    assert [only(clock.now, record).kind for record in cases.values()] == [*cases]
    assert "FAILED, No." in only(clock.now, cases["answer"]).words
    assert "stack UPDATE_COMPLETE" in only(clock.now, cases["confirmation"]).words
    accepted = replace(create, acceptance=Done("bun-1"), acceptance_sent=True)
    assert "wait condition" in only(clock.now, accepted).words
    delivered = replace(create, answer=Done("bun-1"), undelivered=False)
    assert found(clock.now, delivered) == []


def test_an_image_that_is_registered_from_a_bundle_is_named(
    ledger: Ledger, create: Record, clock: Clock
) -> None:
    [waiting] = waits.find([create], {create.key: "ami-1"}, clock.now)

    assert waiting.kind == "image"
    assert "bundle bun-1 is complete. The AMI ami-1 is not available yet" in waiting.words


def test_a_delete_waits_for_the_work_of_the_create(
    ledger: Ledger, create: Record, clock: Clock
) -> None:
    clock.advance(60)
    delete, _ = ledger.receive(request("Delete", "r2", "bun-1"), lease=30)
    other = Asked.parse(request("Delete", "r3", "bun-1").as_event() | {"LogicalResourceId": "B"})
    another, _ = ledger.receive(other, lease=30)
    superseded = ledger.supersede(create)

    kinds = [each.kind for each in found(clock.now, superseded, delete, another)]

    assert kinds == ["superseded", "earlier work", "poll"]
    [_, waiting, _] = found(clock.now, superseded, delete, another)
    assert "Create r1, task bun-1 is bundling at 20%" in waiting.words
    assert "cancel" not in waiting.words
    cancelled = ledger.cancel_requested(superseded)
    [_, waiting] = found(clock.now, cancelled, delete)
    assert "its cancel is requested" in waiting.words
    [_, waiting] = found(clock.now, ledger.cleaned_up(cancelled), delete)
    assert waiting.kind == "poll"


def shown(status: str, *requests: Request, **more: object) -> list[str]:
    stack = replace(Stack(STACK, "web", status), **more)  # type: ignore[arg-type]
    return [way.command for way in ways.of_stack(stack, requests, Typed(HERE))]


OPTIONS = "--profile ops --region eu-west-1 --endpoint-url http://127.0.0.1:4580"


def test_commands_have_the_options_that_were_given(create: Record, clock: Clock) -> None:
    [cancel] = ways.of_request(only(clock.now, create), Typed(HERE))

    assert cancel.command == f"aws ec2 cancel-bundle-task --bundle-id bun-1 {OPTIONS}"
    plain = Typed(Installation("mine", Account(), "table"))
    [cancel] = ways.of_request(only(clock.now, create), plain)
    assert cancel.command == "aws ec2 cancel-bundle-task --bundle-id bun-1"


def test_resources_that_were_only_cancelled_or_are_stacks_are_not_skipped() -> None:
    members = [
        Member("Bundle", "Custom::InstanceBundle", "UPDATE_FAILED", "No."),
        Member("Other", "Custom::InstanceBundle", "UPDATE_FAILED", "Resource update cancelled"),
        Member("Nested", "AWS::CloudFormation::Stack", "UPDATE_FAILED", "No."),
    ]
    command = "aws cloudformation continue-update-rollback --stack-name web"

    assert shown("UPDATE_ROLLBACK_FAILED", members=members) == [
        f"{command} {OPTIONS}",
        f"{command} --resources-to-skip Bundle {OPTIONS}",
    ]
    assert shown("UPDATE_ROLLBACK_FAILED", members=members[1:]) == [f"{command} {OPTIONS}"]


@pytest.mark.parametrize(
    "status",
    [
        *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_COMPLETE"),
        *("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"),
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    ],
)
def test_no_command_is_shown_that_cloudformation_does_not_take(status: str) -> None:
    assert shown(status) == []


def test_a_nested_stack_is_freed_by_its_root() -> None:
    assert shown("UPDATE_ROLLBACK_FAILED", root="shop") == [
        f"instance-bundle why shop --application mine {OPTIONS}"
    ]
    assert shown("CREATE_COMPLETE", root="shop") == []


@pytest.mark.parametrize("form", ["table", "json"])
def test_no_secret_is_received_or_shown(
    ledger: Ledger,
    clock: Clock,
    run: Run,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    """Though AWS has repeated each of them in a refusal, which is shown."""
    monkeypatch.setattr(stacks, "read", lambda *_: Stack(STACK, "web", "CREATE_IN_PROGRESS"))
    secret_items(ledger, at=clock.now)

    result = run("why", "web", "--output", form)

    assert result.exit_code == 1
    assert "EC2 refused [concealed]" in result.output
    assert secrets_in(result.output + repr(wire.answers)) == []
