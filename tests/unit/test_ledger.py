"""What the ledger promises to processes that do not know of each other."""

from dataclasses import replace
from typing import Any

import pytest

from instance_bundle import aws
from instance_bundle.errors import Busy, Denied, Stale
from instance_bundle.methods.method import Bundle
from instance_bundle.request.properties import Location
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done, Failed
from instance_bundle.state.records import Tombstone
from tests.fixtures import Clock

from .test_lifecycle import HANDLE, RUNNING, request

HERE = Location("images", "web")


def test_a_request_is_opened_by_one_process_only(ledger: Ledger) -> None:
    first, first_drives = ledger.open(request(), lease=30)
    second, second_drives = ledger.open(request(), lease=30)

    assert (first_drives, second_drives) == (True, False)
    assert first == second
    assert first.request == request()


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("3600", 3570), ("150", 120), ("100", 80), ("10", 5)]
)
def test_the_deadline_is_short_of_the_service_timeout_from_the_first_receipt(
    ledger: Ledger, clock: Clock, timeout: str, seconds: int
) -> None:
    ledger.open(request(ServiceTimeout=timeout), lease=0)
    received = clock.now
    clock.now += 5
    record, _ = ledger.open(request(ServiceTimeout=timeout), lease=0)

    assert (record.first_receipt, record.deadline) == (received, received + seconds)


def test_a_lease_keeps_others_away_until_it_ends(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.open(request(), lease=30)

    with pytest.raises(Busy):
        ledger.take(record.key, 0, lease=30)
    clock.now += 30
    assert ledger.take(record.key, 0, lease=30) == replace(
        record, lease_until=clock.now + 30, begun=1
    )
    with pytest.raises(Busy):
        ledger.take(record.key, 0, lease=30)


def test_carrying_on_ends_the_lease_and_advances_the_generation(
    ledger: Ledger, clock: Clock
) -> None:
    record, _ = ledger.open(request(), lease=30)

    ledger.carry_on(record, RUNNING, 1)

    with pytest.raises(Stale):
        ledger.take(record.key, 0, lease=30)
    assert ledger.take(record.key, 1, lease=30) == replace(
        record, task=RUNNING, generation=1, lease_until=clock.now + 30, begun=1
    )


def test_invocations_that_began_and_came_to_no_end_are_counted(ledger: Ledger) -> None:
    record, _ = ledger.open(request(), lease=0)

    begun = [ledger.take(record.key, 0, lease=0).begun for _ in range(2)]
    taken = ledger.take_over(record.key, 0, lease=0)
    ledger.carry_on(taken, None, 0)

    assert (begun, taken.begun) == ([1, 2], 2)
    assert ledger.take(record.key, 0, lease=0).begun == 1


def test_the_next_poll_goes_on_where_its_sender_ended_before_it_could_tell(
    ledger: Ledger, clock: Clock
) -> None:
    record, _ = ledger.open(request(), lease=30)
    with pytest.raises(Busy):
        ledger.take(record.key, 1, lease=30)
    clock.now += 30

    assert ledger.take(record.key, 1, lease=30).generation == 1
    with pytest.raises(Stale):
        ledger.take(record.key, 0, lease=30)


def test_a_process_that_was_overtaken_changes_nothing(ledger: Ledger) -> None:
    record, _ = ledger.open(request(), lease=30)
    ledger.carry_on(record, replace(RUNNING, progress="80%"), 1)

    ledger.carry_on(record, replace(RUNNING, progress="20%"), 1)

    seen = ledger.read(record.key)
    assert seen is not None
    assert seen.task is not None
    assert seen.task.progress == "80%"


def test_a_poll_of_a_request_that_is_long_gone_is_stale(ledger: Ledger) -> None:
    with pytest.raises(Stale):
        ledger.take(request().key, 0, lease=30)


def test_the_first_answer_stands(ledger: Ledger) -> None:
    record, _ = ledger.open(request(), lease=30)
    done = Done("bun-1", {"BundleId": "bun-1"})

    assert ledger.answer(record.key, done) == (replace(record, answer=done), done)
    assert ledger.answer(record.key, Failed("bun-1", "Too late."))[1] == done


def test_an_answer_to_a_request_that_was_never_opened_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Denied):
        ledger.answer(request().key, Done("bun-1"))


def test_a_delivered_request_keeps_its_answer_and_nothing_secret(ledger: Ledger) -> None:
    record, _ = ledger.open(request(), lease=30)
    ledger.answer(record.key, Done("bun-1"))

    ledger.delivered(record.key)

    seen = ledger.read(record.key)
    assert seen is not None
    assert (seen.request, seen.answer) == (None, Done("bun-1"))


def test_a_location_has_one_claim(ledger: Ledger) -> None:
    mine = request().key
    for other in (
        replace(mine, request_id="r2"),
        replace(mine, logical_id="Other"),
        replace(mine, stack_id=f"{mine.stack_id}-2"),
    ):
        assert ledger.claim(HERE, mine)
        assert not ledger.claim(HERE, other)
        ledger.release(HERE, other)
        assert not ledger.claim(HERE, other)
    ledger.release(HERE, mine)
    assert ledger.claim(HERE, replace(mine, request_id="r2"))


def test_a_resources_bundles_are_its_own_until_they_are_buried(ledger: Ledger) -> None:
    key = request().key
    bundle = Bundle("bun-1", "r1", HERE, "tag", "identity", {"BundleId": "bun-1"})
    ledger.keep(key, bundle)

    assert ledger.history(replace(key, request_id="r9")).bundles == (bundle,)
    assert ledger.history(replace(key, logical_id="Other")).bundles == ()
    ledger.bury(key, Tombstone("bun-1", "", unseen=False))
    assert ledger.history(key).bundles == ()


def test_requests_expire_and_bundles_do_not(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.open(request(), lease=30)
    ledger.keep(record.key, Bundle("bun-1", "r1", HERE))

    items = aws.dynamodb().scan(TableName="ledger")["Items"]
    expiries = {item["item"]["S"]: item.get("expires") for item in items}
    assert expiries["bundle|bun-1"] is None
    assert expiries["request|r1"] == {"N": str(int(record.deadline) + 7 * 24 * 3600)}


def test_the_first_acceptance_stands_and_is_what_is_sent(ledger: Ledger) -> None:
    record, _ = ledger.open(request(CompletionHandle=HANDLE), lease=30)
    first = Done("bun-1", {"State": "pending"})

    assert ledger.accept(record, first) == first
    assert ledger.accept(record, Done("bun-1", {"State": "bundling"})) == first

    seen = ledger.read(record.key)
    assert seen is not None
    assert (seen.accepted, seen.told, seen.answer) == (first, False, None)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, 43170), ("7200", 7170), ("100", 80), ("1", 0.5)]
)
def test_from_its_acceptance_on_work_has_the_completion_timeout_from_the_first_receipt(
    ledger: Ledger, clock: Clock, timeout: str | None, seconds: float
) -> None:
    given: dict[str, Any] = {"CompletionTimeout": timeout} if timeout else {}
    asked = request(CompletionHandle=HANDLE, ServiceTimeout="600", **given)
    record, _ = ledger.open(asked, lease=0)
    assert record.deadline == clock.now + 570
    clock.now += 60

    ledger.accept(record, Done("bun-1"))

    taken = ledger.take(record.key, 0, lease=30)
    assert taken.deadline - record.first_receipt == pytest.approx(seconds, abs=0.01)
    [item] = aws.dynamodb().scan(TableName="ledger")["Items"]
    assert item["expires"] == {"N": str(int(taken.deadline) + 7 * 24 * 3600)}


def test_who_has_heard_of_an_acceptance_is_remembered_beyond_the_answer(ledger: Ledger) -> None:
    record, _ = ledger.open(request(CompletionHandle=HANDLE), lease=0)
    accepted = Done("bun-1", {"State": "pending"})
    ledger.accept(record, accepted)
    ledger.told(record)

    answered, answer = ledger.answer(record.key, Failed("bun-1", "No."))
    ledger.delivered(record.key)

    assert (answered.accepted, answered.told, answer) == (accepted, True, Failed("bun-1", "No."))
    seen = ledger.read(record.key)
    assert seen is not None
    assert (seen.accepted, seen.told) == (accepted, True)


def test_what_has_expired_is_neither_accepted_nor_told_of(ledger: Ledger) -> None:
    record, _ = ledger.open(request(CompletionHandle=HANDLE), lease=0)
    aws.dynamodb().delete_item(
        TableName="ledger",
        Key={"resource": {"S": record.key.resource}, "item": {"S": "request|r1"}},
    )

    with pytest.raises(Denied):
        ledger.accept(record, Done("bun-1"))
    ledger.told(record)

    assert ledger.read(record.key) is None
