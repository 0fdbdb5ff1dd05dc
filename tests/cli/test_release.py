"""`release` deletes a claim that protects nothing, and nothing else."""

from dataclasses import replace

import boto3
import pytest
from boto3.dynamodb.conditions import Attr

from cli.installation import Account, find
from instance_bundle.request import Location
from instance_bundle.state import Done, Ledger, Tombstone
from tests.fixtures import Clock
from tests.unit.test_lifecycle import HERE, RUNNING, request

from .conftest import Run, Wire, refuse
from .test_owned import bundle
from .things import bucket, bundle_at, put

URI = HERE.s3_uri
KEY = request().key


def items(kind: str = "") -> list[str]:
    """The keys of the ledger's items."""
    found = find(Account(), "cfn-instance-bundle").items(Attr("item").exists())
    return sorted(f"{each['resource']} {each['item']}" for each in found if kind in each["item"])


def retained(ledger: Ledger) -> None:
    """A bundle that was retained when its resource was deleted."""
    ledger.bundles.put(KEY, bundle())
    ledger.bundles.leave_tombstone(KEY, Tombstone("bun-1", "20270115T080000Z", unseen=False))


def test_a_claim_that_protects_nothing_is_deleted_and_nothing_else(
    ledger: Ledger, run: Run, wire: Wire
) -> None:
    bucket()
    retained(ledger)
    others = [each for each in items() if "location|" not in each]

    result = run("release", URI, "--yes")

    assert (result.exit_code, result.output) == (0, f"Released {URI}.\n")
    assert items() == others
    assert {name for name, _ in wire.calls} == {
        *("DescribeStacks", "Scan", "HeadBucket", "ListObjectsV2", "DeleteItem")
    }
    assert run("release", URI, "--yes").exit_code == 1


def test_the_operator_is_asked(ledger: Ledger, run: Run) -> None:
    bucket()
    retained(ledger)

    for answer in ("no", "y", ""):
        result = run("release", URI, typed=f"{answer}\n")
        assert (result.exit_code, items("claim") != []) == (1, True)
        assert "of Bundle of the stack web" in result.stderr
    assert run("release", URI, typed="").exit_code == 1

    assert run("release", URI, typed="yes\n").exit_code == 0
    assert items("claim") == []


def test_the_claim_of_a_stored_image_is_found_by_its_object(ledger: Ledger, run: Run) -> None:
    bucket()
    put("ami-1.bin", 1)
    attributes = {"S3Uri": "s3://images/ami-1.bin", "Prefix": ""}
    location = Location("images", "web/Bundle/r1")
    ledger.bundles.put(KEY, bundle("ami-1", location=location, attributes=attributes))
    ledger.bundles.leave_tombstone(KEY, Tombstone("ami-1", "20270115T080000Z", unseen=False))
    for name in ("s3://images/ami-1.bin", location.s3_uri):
        assert "s3://images/ami-1.bin is there" in run("release", name, "--yes").stderr

    boto3.client("s3").delete_object(Bucket="images", Key="ami-1.bin")

    assert run("release", "s3://images/ami-1.bin", "--yes").exit_code == 0
    assert items("claim") == []


def stays(run: Run, *, why: str, code: int = 1) -> None:
    before = items()
    result = run("release", URI, "--yes")
    assert (result.exit_code, result.stdout) == (code, "")
    assert why in result.stderr
    assert items() == before


def test_a_claim_stays_while_something_is_stored_there(ledger: Ledger, run: Run) -> None:
    bucket()
    bundle_at("web")
    retained(ledger)

    stays(run, why="s3://images/web is there, 1024 bytes")


def test_a_claim_stays_while_one_part_is_there(ledger: Ledger, run: Run) -> None:
    bucket()
    put("web.part.7", 5)
    retained(ledger)

    stays(run, why="s3://images/web is there, 5 bytes")


@pytest.mark.parametrize("released", [False, True])
def test_a_claim_stays_while_the_ledger_has_a_bundle_there(
    ledger: Ledger, run: Run, *, released: bool
) -> None:
    bucket()
    ledger.bundles.put(KEY, bundle())
    if released:
        ledger.bundles.release(KEY, "bun-1")

    stays(run, why=f"has the bundle bun-1 there, {'released' if released else 'managed'}")


def test_a_claim_stays_while_another_resource_has_a_bundle_there(ledger: Ledger, run: Run) -> None:
    bucket()
    ledger.bundles.put(replace(KEY, logical_id="Other"), bundle("bun-0", "r0"))
    ledger.locations.claim(HERE, KEY, instead_of=replace(KEY, logical_id="Other", request_id="r0"))
    ledger.locations.keep(HERE, KEY)

    stays(run, why="has the bundle bun-0 there, managed")


def test_a_claim_stays_while_its_owner_may_write(ledger: Ledger, run: Run, clock: Clock) -> None:
    bucket()
    record, _ = ledger.receive(request(), lease=30)
    ledger.locations.claim(HERE, record.key)
    stays(run, why="its work may still write there")

    record, _ = ledger.save(record, replace(record, attempted_at=clock.now))
    record = ledger.merge_task(record, RUNNING)
    stays(run, why="task bun-1 may still write there")

    ledger.cleaned_up(record)
    assert run("release", URI, "--yes").exit_code == 0


def test_a_claim_of_work_that_succeeded_and_is_gone_is_deleted(ledger: Ledger, run: Run) -> None:
    bucket()
    record, _ = ledger.receive(request(), lease=30)
    ledger.locations.claim(HERE, record.key)
    ledger.store_answer(record, Done("bun-1", {}))

    assert run("release", URI, "--yes").exit_code == 0


def test_a_claim_stays_if_s3_does_not_say(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket()
    retained(ledger)
    refuse(monkeypatch, "AccessDenied", "No", "s3.ListObjectsV2")

    stays(run, why="S3 does not say what is there. s3:ListObjectsV2: AccessDenied: No", code=3)


def test_a_claim_that_another_request_has_taken_over_stays(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket()
    retained(ledger)
    other = replace(KEY, logical_id="Other")

    class Session(boto3.Session):
        def client(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
            made = super().client(*arguments, **named)  # type: ignore[call-overload]
            made.meta.events.register("before-call.dynamodb.DeleteItem", take_over)
            return made

    def take_over(**_: object) -> None:
        assert ledger.locations.claim(HERE, other, instead_of=KEY) is None

    monkeypatch.setattr(boto3, "Session", Session)

    result = run("release", URI, "--yes")

    assert result.exit_code == 1
    assert "Another request has the claim by now" in result.stderr
    assert ledger.locations.claim(HERE, KEY) == other


def test_a_location_is_an_s3_uri(run: Run) -> None:
    assert run("release", "images/web", "--yes").exit_code == 2


def test_a_location_that_nobody_has_claimed_is_not_found(run: Run) -> None:
    result = run("release", URI, "--yes")

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no claim of {URI}" in result.stderr
