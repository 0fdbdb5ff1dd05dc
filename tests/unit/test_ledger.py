"""The ledger, as processes use it that do not know about each other."""

from dataclasses import replace
from typing import Any

import pytest

from instance_bundle import aws
from instance_bundle.errors import Busy, ConditionFailed, Stale
from instance_bundle.methods.method import Bundle
from instance_bundle.request.properties import Location
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done, Failed
from instance_bundle.state.records import Tombstone
from tests.fixtures import Clock

from .test_lifecycle import HANDLE, RUNNING, request

HERE = Location("images", "web")


def test_a_request_is_received_by_one_process_only(ledger: Ledger) -> None:
    first, first_drives = ledger.receive(request(), lease=30)
    second, second_drives = ledger.receive(request(), lease=30)

    assert (first_drives, second_drives) == (True, False)
    assert first == second
    assert first.request == request()


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("3600", 3570), ("150", 120), ("100", 80), ("10", 5)]
)
def test_the_deadline_is_short_of_the_service_timeout_from_the_first_receipt(
    ledger: Ledger, clock: Clock, timeout: str, seconds: int
) -> None:
    ledger.receive(request(ServiceTimeout=timeout), lease=0)
    received = clock.now
    clock.now += 5
    record, _ = ledger.receive(request(ServiceTimeout=timeout), lease=0)

    assert (record.first_receipt, record.deadline) == (received, received + seconds)


def test_a_lease_keeps_others_away_until_it_ends(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.receive(request(), lease=30)

    with pytest.raises(Busy):
        ledger.take(record.key, 0, lease=30)
    clock.now += 30
    assert ledger.take(record.key, 0, lease=30) == replace(
        record, lease_until=clock.now + 30, begun=1
    )
    with pytest.raises(Busy):
        ledger.take(record.key, 0, lease=30)


def test_saving_progress_releases_the_lease_and_advances_the_generation(
    ledger: Ledger, clock: Clock
) -> None:
    record, _ = ledger.receive(request(), lease=30)

    ledger.save_progress(record, RUNNING, 1)

    with pytest.raises(Stale):
        ledger.take(record.key, 0, lease=30)
    assert ledger.take(record.key, 1, lease=30) == replace(
        record, task=RUNNING, generation=1, lease_until=clock.now + 30, begun=1
    )


def test_invocations_that_began_and_did_not_end_are_counted(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=0)

    begun = [ledger.take(record.key, 0, lease=0).begun for _ in range(2)]
    taken = ledger.take_over(record.key, 0, lease=0)
    ledger.save_progress(taken, None, 0)

    assert (begun, taken.begun) == ([1, 2], 2)
    assert ledger.take(record.key, 0, lease=0).begun == 1


def test_the_next_poll_continues_if_its_sender_crashed_before_it_saved_the_generation(
    ledger: Ledger, clock: Clock
) -> None:
    record, _ = ledger.receive(request(), lease=30)
    with pytest.raises(Busy):
        ledger.take(record.key, 1, lease=30)
    clock.now += 30

    assert ledger.take(record.key, 1, lease=30).generation == 1
    with pytest.raises(Stale):
        ledger.take(record.key, 0, lease=30)


def test_a_process_that_was_overtaken_changes_nothing(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.save_progress(record, replace(RUNNING, progress="80%"), 1)

    ledger.save_progress(record, replace(RUNNING, progress="20%"), 1)

    seen = ledger.read(record.key)
    assert seen is not None
    assert seen.task is not None
    assert seen.task.progress == "80%"


def test_a_poll_of_a_request_that_is_long_gone_is_stale(ledger: Ledger) -> None:
    with pytest.raises(Stale):
        ledger.take(request().key, 0, lease=30)


def test_the_first_answer_is_kept(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=30)
    done = Done("bun-1", {"BundleId": "bun-1"})

    assert ledger.store_answer(record, done) == (replace(record, answer=done, version=1), done)
    assert ledger.store_answer(record, Failed("bun-1", "Too late."))[1] == done


def test_an_answer_to_a_request_that_was_never_received_is_refused(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=30)
    with pytest.raises(ConditionFailed):
        ledger.store_answer(replace(record, key=request(request_id="r2").key), Done("bun-1"))


def test_a_delivered_request_keeps_its_answer_and_nothing_secret(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.store_answer(record, Done("bun-1"))

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
        assert ledger.locations.claim(HERE, mine) is None
        assert ledger.locations.claim(HERE, other) is not None
        ledger.locations.release(HERE, other)
        assert ledger.locations.claim(HERE, other) is not None
    ledger.locations.release(HERE, mine)
    assert ledger.locations.claim(HERE, replace(mine, request_id="r2")) is None


def test_a_resources_bundles_are_its_own_until_a_tombstone_replaces_them(ledger: Ledger) -> None:
    key = request().key
    bundle = Bundle("bun-1", "r1", HERE, "tag", "identity", {"BundleId": "bun-1"})
    ledger.bundles.put(key, bundle)

    assert ledger.resource(replace(key, request_id="r9")).bundles == (bundle,)
    assert ledger.resource(replace(key, logical_id="Other")).bundles == ()
    ledger.bundles.leave_tombstone(key, Tombstone("bun-1", "", unseen=False))
    assert ledger.resource(key).bundles == ()


def test_requests_expire_and_bundles_do_not(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.bundles.put(record.key, Bundle("bun-1", "r1", HERE))

    items = aws.dynamodb().scan(TableName="ledger")["Items"]
    expiries = {item["item"]["S"]: item.get("expires") for item in items}
    assert expiries["bundle|bun-1"] is None
    assert expiries["request|r1"] == {"N": str(int(record.deadline) + 7 * 24 * 3600)}


def test_the_first_acceptance_is_kept_and_sent(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(CompletionHandle=HANDLE), lease=30)
    first = Done("bun-1", {"State": "pending"})

    assert ledger.store_acceptance(record, first) == first
    assert ledger.store_acceptance(record, Done("bun-1", {"State": "bundling"})) == first

    seen = ledger.read(record.key)
    assert seen is not None
    assert (seen.acceptance, seen.acceptance_sent, seen.answer) == (first, False, None)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, 43170), ("7200", 7170), ("100", 80), ("1", 0.5)]
)
def test_from_its_acceptance_on_work_has_the_completion_timeout_from_the_first_receipt(
    ledger: Ledger, clock: Clock, timeout: str | None, seconds: float
) -> None:
    given: dict[str, Any] = {"CompletionTimeout": timeout} if timeout else {}
    asked = request(CompletionHandle=HANDLE, ServiceTimeout="600", **given)
    record, _ = ledger.receive(asked, lease=0)
    assert record.deadline == clock.now + 570
    clock.now += 60

    ledger.store_acceptance(record, Done("bun-1"))

    taken = ledger.take(record.key, 0, lease=30)
    assert taken.deadline - record.first_receipt == pytest.approx(seconds, abs=0.01)
    [item] = aws.dynamodb().scan(TableName="ledger")["Items"]
    assert "expires" not in item


def test_a_record_keeps_its_acceptance_after_the_answer(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(CompletionHandle=HANDLE), lease=0)
    accepted = Done("bun-1", {"State": "pending"})
    ledger.store_acceptance(record, accepted)
    ledger.acceptance_sent(record)

    answered, answer = ledger.store_answer(record, Failed("bun-1", "No."))
    ledger.delivered(record.key)

    assert (answered.acceptance, answered.acceptance_sent, answer) == (
        accepted,
        True,
        Failed("bun-1", "No."),
    )
    seen = ledger.read(record.key)
    assert seen is not None
    assert (seen.acceptance, seen.acceptance_sent) == (accepted, True)


def test_a_record_that_has_expired_is_not_accepted(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(CompletionHandle=HANDLE), lease=0)
    aws.dynamodb().delete_item(
        TableName="ledger",
        Key={"resource": {"S": record.key.resource}, "item": {"S": "request|r1"}},
    )

    with pytest.raises(ConditionFailed):
        ledger.store_acceptance(record, Done("bun-1"))
    ledger.acceptance_sent(record)

    assert ledger.read(record.key) is None


def expires(item: str = "request|r1") -> bool:
    [found] = [
        i for i in aws.dynamodb().scan(TableName="ledger")["Items"] if i["item"]["S"] == item
    ]
    return "expires" in found


def test_what_may_have_to_be_cleaned_up_does_not_expire(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.receive(request(), lease=30)
    assert expires()

    record, _ = ledger.save(record, replace(record, attempted_at=clock.now))
    ledger.store_answer(record, Failed("bun-1", "No."))
    assert not expires()

    ledger.cleaned_up(record)
    assert expires()


def test_a_record_is_written_by_one_process_only(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.receive(request(), lease=30)
    first, is_written = ledger.save(record, replace(record, attempted_at=clock.now))
    assert is_written

    found, is_written = ledger.save(record, replace(record, confirmed="genuine"))

    assert (found, is_written) == (first, False)


def test_a_task_is_written_whatever_others_wrote(ledger: Ledger) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.supersede(record)

    found = ledger.merge_task(record, RUNNING)

    assert (found.task, found.superseded) == (RUNNING, True)


@pytest.mark.parametrize("generation", [2, 999_999])
def test_a_poll_that_is_further_ahead_than_a_crash_leaves_it_changes_nothing(
    ledger: Ledger, generation: int
) -> None:
    record, _ = ledger.receive(request(), lease=0)

    with pytest.raises(Stale):
        ledger.take(record.key, generation, lease=30)
    assert ledger.read(record.key) == replace(record, request=None)


def test_a_poll_that_comes_before_its_time_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    record, _ = ledger.receive(request(), lease=0)
    ledger.save_progress(record, None, 1, due=clock.now + 15)
    waiting = ledger.read(record.key)

    for generation in (1, 2):
        with pytest.raises(Stale):
            ledger.take(record.key, generation, lease=30)
    assert ledger.read(record.key) == waiting
    clock.now += 15
    taken = ledger.take(record.key, 1, lease=30)
    assert taken.generation == 1
    ledger.save_progress(taken, None, 1)
    assert ledger.take(record.key, 1, lease=30).due == taken.due > 0
