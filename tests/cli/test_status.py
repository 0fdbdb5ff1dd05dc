"""`status` shows what is in flight, as the function's own ledger has it."""

import json
from dataclasses import replace

from instance_bundle.state import Done, Failed, Ledger
from tests.fixtures import Clock
from tests.unit.test_lifecycle import HERE, RUNNING, STACK, request

from .conftest import Run


def start(ledger: Ledger, clock: Clock) -> None:
    """A Create whose task is at 20 %, 12 seconds after its receipt, polled 8 seconds later."""
    record, _ = ledger.receive(request(), lease=30)
    clock.advance(12)
    ledger.save_progress(ledger.merge_task(record, RUNNING), RUNNING, 1, due=clock.now + 8)


def test_nothing_is_in_flight_at_first(run: Run) -> None:
    result = run("status")

    assert (result.exit_code, result.output) == (0, "Nothing is in flight.\n")
    assert json.loads(run("status", "--output", "json").output) == {"requests": []}


def test_a_request_is_shown_with_its_task_and_its_times(
    ledger: Ledger, clock: Clock, run: Run
) -> None:
    start(ledger, clock)

    result = run("status")

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "STACK  LOGICAL ID  REQUEST  TASK   STATE     PROGRESS  SINCE    GIVES UP    NEXT POLL",
        "web    Bundle      Create   bun-1  bundling  20%       12s ago  in 59m 18s  in 8s",
    ]


def test_json_has_every_field_and_times_in_utc(ledger: Ledger, clock: Clock, run: Run) -> None:
    start(ledger, clock)

    [shown] = json.loads(run("status", "--output", "json").output)["requests"]

    assert shown == {
        "stack": "web",
        "stackId": STACK,
        "logicalId": "Bundle",
        "requestId": "r1",
        "requestType": "Create",
        "physicalId": None,
        "taskId": "bun-1",
        "state": "bundling",
        "progress": 20,
        "since": "2027-01-15T08:00:00Z",
        "givesUpAt": "2027-01-15T08:59:30Z",
        "nextPollAt": "2027-01-15T08:00:20Z",
    }


def test_a_poll_that_is_late_is_shown_as_late(ledger: Ledger, clock: Clock, run: Run) -> None:
    start(ledger, clock)
    clock.advance(8 + 200)

    assert run("status").output.splitlines()[1].endswith("in 55m 50s  3m 20s ago")


def states(run: Run) -> list[str]:
    shown = json.loads(run("status", "--output", "json").output)["requests"]
    return [each["state"] for each in shown]


def test_a_request_has_a_state_before_and_after_its_task(
    ledger: Ledger, clock: Clock, run: Run
) -> None:
    record, _ = ledger.receive(request(), lease=30)
    assert states(run) == ["received"]
    asked, _ = ledger.save(record, replace(record, attempted_at=clock.now))
    assert states(run) == ["starting"]
    made = ledger.merge_task(asked, RUNNING)
    assert states(run) == ["bundling"]
    ledger.supersede(made)
    assert states(run) == ["superseded"]
    ledger.store_answer(made, Done("bun-1", {}))
    assert states(run) == ["answered"]
    ledger.delivered(record.key)
    assert states(run) == []


def test_requests_are_in_the_order_of_their_receipt(ledger: Ledger, clock: Clock, run: Run) -> None:
    ledger.receive(request("Create", "r2"), lease=30)
    clock.advance(1)
    ledger.receive(request("Delete", "r1", "bun-1"), lease=30)

    assert states(run) == ["received", "deleting"]


def test_what_is_no_request_is_not_in_flight(ledger: Ledger, run: Run) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.store_answer(record, Failed("bun-1", "No."))
    ledger.delivered(record.key)
    ledger.locations.claim(HERE, record.key)

    assert states(run) == []


def test_text_of_others_moves_no_cursor(ledger: Ledger, run: Run) -> None:
    stack = STACK.replace("/web/", "/w\x1b[2Jb/")
    event = request().as_event() | {"StackId": stack}
    ledger.receive(type(request()).parse(event), lease=30)

    output = run("status").output

    assert "\x1b" not in output
    assert "w\N{REPLACEMENT CHARACTER}[2Jb" in output
