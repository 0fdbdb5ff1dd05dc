"""`orphans` shows what no stack manages, and what it costs a month."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest

from cli import prices
from instance_bundle.request import Location, RequestKey
from instance_bundle.state import Ledger, Tombstone
from tests.unit.test_lifecycle import request

from .conftest import Run, refuse
from .test_owned import bundle
from .things import GIB, bucket, bundle_at, image, put, snapshot

HERE = Location("images", "web")
GONE = request().key
"""A request of a stack that does not exist."""


def shown(run: Run) -> list[dict[str, Any]]:
    result = run("orphans", "--output", "json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.output)["orphans"]
    return found


def total(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("orphans", "--output", "json").output)["total"]
    return found


def ids(run: Run) -> dict[str, str]:
    return {each["id"]: each["why"] for each in shown(run)}


def living(name: str = "alive") -> tuple[RequestKey, str]:
    """A request of a stack that lives, and the physical ID of its resource `Bundle`."""
    topic = {"Type": "AWS::SNS::Topic"}
    stacks = boto3.client("cloudformation")
    body = json.dumps({"Resources": {"Bundle": topic, "Other": topic}})
    stack_id = stacks.create_stack(StackName=name, TemplateBody=body)["StackId"]
    resources = stacks.describe_stack_resources(StackName=name)["StackResources"]
    [physical_id] = [
        each["PhysicalResourceId"] for each in resources if each["LogicalResourceId"] == "Bundle"
    ]
    return RequestKey(stack_id, "Bundle", "r1"), physical_id


def put_bundle(ledger: Ledger, key: RequestKey, physical_id: str, prefix: str) -> None:
    location = Location("images", prefix)
    attributes = {"S3Uri": location.s3_uri}
    made = bundle(physical_id, key.request_id, location=location, attributes=attributes)
    ledger.bundles.put(key, made)


def retain(ledger: Ledger, key: RequestKey, physical_id: str) -> None:
    stone = Tombstone(physical_id, "20270115T080000Z", unseen=False)
    ledger.bundles.leave_tombstone(key, stone)


def test_there_is_nothing_at_first(run: Run) -> None:
    assert run("orphans").output == "There is nothing without a stack.\n"
    assert shown(run) == []


def test_what_a_deleted_stack_has_left_is_shown_with_its_cost(ledger: Ledger, run: Run) -> None:
    bucket()
    bundle_at("web")
    ledger.bundles.put(GONE, bundle(attributes={"S3Uri": HERE.s3_uri}))
    retain(ledger, GONE, "bun-1")
    ami, snap = image(GONE, "web"), snapshot(GONE, 8)

    found = {each["kind"]: each for each in shown(run)}

    assert found["objects"] == {
        "stack": "web",
        "stackId": GONE.stack_id,
        "stackDeleted": True,
        "logicalId": "Bundle",
        "requestId": "r1",
        "kind": "objects",
        "id": "s3://images/web",
        "why": "stack deleted",
        "bytes": 1024,
        "usdPerMonth": round(0.023 * 1024 / GIB, 6),
        "unknown": None,
    }
    assert (found["AMI"]["id"], found["AMI"]["bytes"]) == (ami, None)
    assert found["AMI"]["usdPerMonth"] == 0
    assert (found["snapshot"]["id"], found["snapshot"]["bytes"]) == (snap, 8 * GIB)
    assert found["snapshot"]["usdPerMonth"] == pytest.approx(8 * 0.05)
    assert total(run) == {
        "region": "us-east-1",
        "bytes": 8 * GIB + 1024,
        "usdPerMonth": pytest.approx(0.4),
        "pricesFrom": "2026-05-01",
        "unknown": 0,
    }
    table = run("orphans").output
    assert "at most 8.0 GiB  at most 0.40" in table
    assert "0.40 USD a month at most in us-east-1, by prices of 2026-05-01 or later." in table


def test_what_a_living_stack_manages_is_not_shown(ledger: Ledger, run: Run) -> None:
    bucket()
    bundle_at("web")
    key, physical_id = living()
    put_bundle(ledger, key, physical_id, "web")
    image(key, "one")
    snapshot(key)
    image(replace(key, request_id="r0", logical_id="Other"), "of one the ledger does not have")

    assert shown(run) == []


def test_what_a_living_stack_does_not_have_any_more_is_shown(ledger: Ledger, run: Run) -> None:
    bucket()
    key, physical_id = living()
    removed, before = replace(key, logical_id="Removed"), replace(key, request_id="r0")
    released, kept = replace(key, request_id="r8"), replace(key, request_id="r9")
    for prefix, maker, id_ in (
        ("now", key, physical_id),
        ("before", before, "bun-0"),
        ("removed", removed, "bun-1"),
        ("released", released, "bun-8"),
        ("kept", kept, "bun-9"),
    ):
        bundle_at(prefix)
        put_bundle(ledger, maker, id_, prefix)
    ledger.bundles.release(released, "bun-8")
    retain(ledger, kept, "bun-9")

    assert ids(run) == {
        "s3://images/before": "replaced",
        "s3://images/kept": "retained",
        "s3://images/released": "released",
        "s3://images/removed": "resource removed",
    }


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_that_may_return_to_an_image_manages_it(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    bucket()
    bundle_at("before")
    key, physical_id = living()
    put_bundle(ledger, key, physical_id, "now")
    put_bundle(ledger, replace(key, request_id="r0"), "bun-0", "before")
    assert ids(run) == {"s3://images/before": "replaced"}

    _set_status(monkeypatch, status)

    assert ids(run) == {}


def _set_status(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Have CloudFormation describe all stacks in this status."""

    class Session(boto3.Session):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.events.register("after-call.cloudformation.DescribeStacks", change)

    def change(parsed: dict[str, Any], **_: Any) -> None:
        for stack in parsed.get("Stacks", []):
            stack["StackStatus"] = status

    monkeypatch.setattr(boto3, "Session", Session)


def test_objects_that_a_living_stack_has_written_where_others_were_are_not_shown(
    ledger: Ledger, run: Run
) -> None:
    bucket()
    bundle_at("web")
    key, physical_id = living()
    put_bundle(ledger, GONE, "bun-0", "web")  # CloudFormation retained it, and sent no Delete
    put_bundle(ledger, key, physical_id, "web")

    assert shown(run) == []


def test_objects_that_two_deleted_stacks_had_are_shown_once(ledger: Ledger, run: Run) -> None:
    bucket()
    bundle_at("web")
    put_bundle(ledger, GONE, "bun-0", "web")
    put_bundle(ledger, replace(GONE, stack_id=GONE.stack_id + "2"), "bun-1", "web")

    assert [each["id"] for each in shown(run)] == ["s3://images/web"]


def test_a_stored_image_is_shown_with_its_object_although_the_ledger_is_empty(run: Run) -> None:
    bucket()
    ami = image(GONE, "web", stored_in="images")
    put(f"{ami}.bin", 100)

    assert ids(run) == {ami: "stack deleted", f"s3://images/{ami}.bin": "stack deleted"}


def test_an_object_is_known_by_its_claim_once_its_image_is_gone(ledger: Ledger, run: Run) -> None:
    bucket()
    put("ami-1.bin", 100)
    uri = "s3://images/ami-1.bin"
    location = Location("images", "web/Bundle/r1")
    made = bundle("ami-1", location=location, attributes={"S3Uri": uri, "Prefix": ""})
    ledger.bundles.put(GONE, made)
    retain(ledger, GONE, "ami-1")

    assert ids(run) == {uri: "stack deleted"}


def test_a_stored_image_of_a_living_stack_is_known_without_the_ledger(run: Run) -> None:
    bucket()
    key, _ = living()
    ami = image(key, "web", stored_in="images")
    put(f"{ami}.bin", 100)

    assert shown(run) == []


def test_images_of_other_accounts_and_regions_and_of_nobody_are_not_shown(run: Run) -> None:
    other = GONE.stack_id.replace("us-east-1", "eu-west-1")
    image(replace(GONE, stack_id=other), "copied")
    image(None, "mine")
    snapshot(None)

    assert shown(run) == []


def test_work_in_flight_is_not_shown(ledger: Ledger, run: Run) -> None:
    record, _ = ledger.receive(request(), lease=30)
    image(record.key, "web")

    assert shown(run) == []


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("eu-west-1", "the bucket elsewhere is in eu-west-1, and bundles are in us-east-1"),
        (None, "s3:ListObjectsV2: AccessDenied: No"),
    ],
)
def test_a_bucket_that_can_not_be_listed_makes_a_cost_unknown(
    ledger: Ledger,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    where: str | None,
    why: str,
) -> None:
    bucket("elsewhere", where or "us-east-1")
    made = bundle(location=Location("elsewhere", "web"), attributes={})
    ledger.bundles.put(GONE, made)
    snap = snapshot(GONE)
    if where is None:
        refuse(monkeypatch, "AccessDenied", "No", "s3.ListObjectsV2")

    found = {each["id"]: each for each in shown(run)}

    assert found[snap]["unknown"] is None
    assert found["s3://elsewhere/web"]["unknown"] == why
    assert found["s3://elsewhere/web"]["usdPerMonth"] is None
    assert total(run)["unknown"] == 1
    table = run("orphans").output
    assert "unknown" in table
    assert f"  s3://elsewhere/web: {why}." in table


def test_a_bucket_that_is_gone_has_no_objects(ledger: Ledger, run: Run) -> None:
    ledger.bundles.put(GONE, bundle())

    assert shown(run) == []


def test_a_storage_class_or_a_region_without_a_price_is_unknown(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket()
    bundle_at("web", storage_class="GLACIER")
    ledger.bundles.put(GONE, bundle(attributes={}))
    snapshot(GONE)
    monkeypatch.setitem(prices._tables()["snapshots"], "regions", {})

    found = {each["kind"]: each["unknown"] for each in shown(run)}

    assert found == {
        "objects": "prices.json has no price of the storage class GLACIER",
        "snapshot": "prices.json has no price of snapshots in us-east-1",
    }


def test_each_price_has_its_date_and_its_source() -> None:
    tables = json.loads(prices.FILE.read_text())

    for name in ("snapshots", "objects"):
        assert tables[name]["source"].startswith("https://pricing.us-east-1.amazonaws.com/")
        assert tables[name]["page"].startswith("https://aws.amazon.com/")
        for region, price in tables[name]["regions"].items():
            assert region.count("-") == 2
            assert 0 < price["usd"] < 1
            assert len(price["date"].split("-")) == 3
