"""`owned` shows what a stack's resources have made, and what became of it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from instance_bundle.methods import Bundle
from instance_bundle.request import Location, Target
from instance_bundle.state import Failed, Ledger, Tombstone
from tests.fixtures import Clock
from tests.unit.test_lifecycle import HERE, RUNNING, STACK, request

from .conftest import Run, refuse
from .things import bucket, bundle_at, image, snapshot

AMI = {"S3Uri": "s3://images/web", "ImageId": "ami-1", "SnapshotIds": "snap-1,snap-2"}


def bundle(physical_id: str = "bun-1", made_by: str = "r1", **others: Any) -> Bundle:
    given: dict[str, Any] = {"location": HERE, "attributes": AMI, "on_delete": "Retain"} | others
    return Bundle(physical_id, made_by, **given)


def shown(run: Run, stack: str = "web") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("owned", stack, "--output", "json").output)[
        "bundles"
    ]
    return found


def test_a_bundle_is_shown_with_its_ami_and_where_it_is(ledger: Ledger, run: Run) -> None:
    bucket()
    bundle_at("web")
    ami, snap = image(request().key, "web"), snapshot(request().key)
    attributes = {"S3Uri": "s3://images/web", "ImageId": ami, "SnapshotIds": snap}
    ledger.bundles.put(request().key, bundle(attributes=attributes))

    result = run("owned", "web")

    assert result.exit_code == 0
    header, row = result.output.splitlines()
    assert header.split("  ")[0] == "STACK"
    assert row.split() == [
        *(
            "web",
            "Bundle",
            "bun-1",
            "managed",
            "Retain",
            "s3://images/web",
            "1.0",
            "KiB",
            ami,
            snap,
            "-",
        )
    ]
    assert shown(run) == [
        {
            "stack": "web",
            "stackId": STACK,
            "logicalId": "Bundle",
            "requestId": "r1",
            "physicalId": "bun-1",
            "custody": "managed",
            "onDelete": "Retain",
            "s3Uri": "s3://images/web",
            "bytes": 1024,
            "imageId": ami,
            "imageIds": [ami],
            "snapshotIds": [snap],
            "missing": [],
            "unreadable": [],
        }
    ]


def test_what_is_no_longer_there_is_missing(ledger: Ledger, run: Run) -> None:
    bucket()
    ledger.bundles.put(request().key, bundle())

    [found] = shown(run)

    assert found["missing"] == ["s3://images/web", "ami-1", "snap-1", "snap-2"]
    assert (found["bytes"], found["imageIds"], found["snapshotIds"]) == (0, [], [])


def test_all_amis_of_a_bundle_are_shown_also_those_that_lost_their_tags(
    ledger: Ledger, run: Run
) -> None:
    bucket()
    key = request().key
    first, second, tagged = image(None, "one"), image(None, "two"), image(key, "three")
    attributes = {"S3Uri": "s3://images/web", "ImageId": second}
    ledger.bundles.put(key, bundle(attributes=attributes, image_ids=(first,)))

    [found] = shown(run)

    assert found["imageId"] == second
    assert {*found["imageIds"]} == {first, second, tagged}


def test_work_that_failed_and_is_not_cleaned_up_is_unfinished(
    ledger: Ledger, run: Run, clock: Clock
) -> None:
    bucket()
    record, _ = ledger.receive(request(), lease=30)
    target = Target("StoreImage", "r1", "i-1", Location("images", "web/Bundle/r1"))
    record, _ = ledger.save(record, replace(record, target=target, attempted_at=clock.now))
    ami = image(record.key, "web", stored_in="images")
    record = ledger.merge_task(record, replace(RUNNING, id=ami, image_id=ami))
    ledger.store_answer(record, Failed(ami, "No."))
    ledger.delivered(record.key)

    [found] = shown(run)

    assert (found["custody"], found["physicalId"], found["imageIds"]) == ("unfinished", ami, [ami])
    assert found["missing"] == [f"s3://images/{ami}.bin"]

    ledger.cleaned_up(record)
    [found] = shown(run)
    assert (found["custody"], found["physicalId"]) == ("unrecorded", None)


def test_a_bucket_that_can_not_be_listed_is_unreadable_and_nothing_is_missing(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket()
    ledger.bundles.put(request().key, bundle(attributes={"S3Uri": "s3://images/web"}))
    refuse(monkeypatch, "AccessDenied", "No", "s3.ListObjectsV2")

    [found] = shown(run)

    assert (found["bytes"], found["missing"]) == (None, [])
    assert found["unreadable"] == ["s3:ListObjectsV2: AccessDenied: No"]
    assert "unknown" in run("owned", "web").output


def test_a_stack_is_named_by_its_id_too(ledger: Ledger, run: Run) -> None:
    ledger.bundles.put(request().key, bundle())

    assert shown(run, STACK) == shown(run, "web")


def test_without_a_stack_those_of_all_stacks_are_shown(ledger: Ledger, run: Run) -> None:
    result = run("owned")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Neither the ledger nor EC2 has anything." in result.stderr

    ledger.bundles.put(request().key, bundle())
    other = replace(request().key, stack_id=STACK.replace("/web/", "/shop/"))
    ledger.bundles.put(other, bundle("bun-2", location=Location("images", "shop")))

    everything = json.loads(run("owned", "--output", "json").output)["bundles"]
    assert everything == [*shown(run, "shop"), *shown(run, "web")]


def test_a_stack_whose_name_is_a_part_of_another_is_not_shown(ledger: Ledger, run: Run) -> None:
    ledger.bundles.put(request().key, bundle())

    for other in ("we", "eb", STACK[:-1], "arn:aws:cloudformation"):
        result = run("owned", other)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Neither the ledger nor EC2 has anything" in result.stderr


def test_custody_is_shown(ledger: Ledger, run: Run) -> None:
    key = request().key
    ledger.bundles.put(key, bundle())
    ledger.bundles.put(key, bundle("bun-2", "r2", location=Location("images", "two")))
    ledger.bundles.put(key, bundle("bun-3", "r3", location=Location("images", "three")))

    ledger.bundles.release(key, "bun-1")
    ledger.bundles.about_to_remove(key, "bun-2")

    assert [(each["physicalId"], each["custody"], each["onDelete"]) for each in shown(run)] == [
        ("bun-1", "released", None),
        ("bun-2", "being removed", "Retain"),
        ("bun-3", "managed", "Retain"),
    ]


def test_a_bundle_that_was_retained_is_found_by_its_claim(ledger: Ledger, run: Run) -> None:
    key = request().key
    ledger.bundles.put(key, bundle())
    ledger.bundles.leave_tombstone(key, Tombstone("bun-1", "20270115T080000Z", unseen=False))

    assert [(each["physicalId"], each["custody"], each["s3Uri"]) for each in shown(run)] == [
        (None, "kept", "s3://images/web"),
        ("bun-1", "deleted", None),
    ]


def test_the_object_of_a_stored_image_that_was_retained_is_found_by_its_claim(
    ledger: Ledger, run: Run
) -> None:
    key, uri = request().key, "s3://images/ami-1.bin"
    location = Location("images", "web/Bundle/r1")
    made = bundle("ami-1", location=location, attributes={"S3Uri": uri, "Prefix": ""})
    ledger.bundles.put(key, made)
    ledger.bundles.leave_tombstone(key, Tombstone("ami-1", "20270115T080000Z", unseen=False))

    assert [(each["custody"], each["s3Uri"]) for each in shown(run)] == [
        ("kept", uri),
        ("deleted", None),
    ]


def test_a_bundle_that_was_removed_is_not_kept(ledger: Ledger, run: Run) -> None:
    key = request().key
    ledger.bundles.put(key, bundle())
    ledger.locations.release(HERE, key)
    ledger.bundles.leave_tombstone(key, Tombstone("bun-1", "20270115T080000Z", unseen=False))

    assert [each["custody"] for each in shown(run)] == ["deleted"]


def test_a_claim_of_work_in_flight_is_not_a_bundle_that_is_kept(ledger: Ledger, run: Run) -> None:
    record, _ = ledger.receive(request(), lease=30)
    ledger.locations.claim(HERE, record.key)
    assert run("owned", "web").exit_code == 1

    ledger.locations.keep(HERE, record.key)  # the process ended before the bundle was stored

    assert run("owned", "web").exit_code == 1
