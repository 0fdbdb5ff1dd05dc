"""docs/command.md shows what the commands write, and names each field."""

import json
import re
from dataclasses import replace

import boto3
import pytest

from cli import change_sets, stacks
from cli.change_sets import Change, ChangeSet
from cli.main import instance_bundle
from cli.stacks import BUNDLE, Failure, Member, Stack
from instance_bundle.methods import Bundle, Task
from instance_bundle.request import Location, Request, RequestKey, Target
from instance_bundle.state import Ledger, Tombstone
from sandbox.artifact import REPOSITORY
from tests.fixtures import Clock
from tests.unit.test_lifecycle import request

from .conftest import Run
from .things import bucket, bundle_at, image, put, snapshot

TEXT = (REPOSITORY / "docs" / "command.md").read_text()
TRANSCRIPTS = re.findall(r"```console\n\$ instance-bundle (.+)\n((?:[^`\n].*\n)+)```", TEXT)
STACKS = {
    "desktop": "CREATE_IN_PROGRESS",
    "database": "UPDATE_ROLLBACK_FAILED",
}
"""The stacks that CloudFormation describes, and their status."""
OF_STACKS = ("doctor",)
"""The commands whose transcripts need the whole application, as in tests/stacks/test_doctor.py."""
OF_THE_LEDGER = [each for each in TRANSCRIPTS if not each[0].startswith(OF_STACKS)]
ARN = "arn:aws:cloudformation:us-east-1:123456789012:stack/{}/0a1b2c3d"


def sent(stack: str, kind: str, request_id: str, physical_id: str = "") -> Request:
    event = request(kind, request_id, physical_id).as_event()
    return Request.parse(event | {"StackId": ARN.format(stack)})


def described(clock: Clock, name: str) -> Stack:
    """A stack as `stacks.read` returns it: moto's are always complete."""
    members = [Member("Bundle", "Custom::InstanceBundle", "UPDATE_FAILED", "No.")]
    reason = "Storage.S3.Prefix: there is a bundle at s3://images/database already."
    failure = Failure("Bundle", "UPDATE_FAILED", reason, clock.now - 600)
    is_failed = STACKS[name].endswith("FAILED")
    return Stack(
        *(ARN.format(name), name, STACKS[name]),
        members=members if is_failed else [],
        failure=failure if is_failed else None,
    )


def planned() -> ChangeSet:
    """A change set as `change_sets.read` returns it: moto's have no values."""
    asked = request().properties
    prefixes = [{"Storage": {"S3": {"Bucket": "images", "Prefix": each}}} for each in "ab"]
    before, after = (asked | each for each in prefixes)
    known = Change("Bundle", "Modify", BUNDLE, "bun-01a2b3c4d5e6f7a8b", before, after, after)
    new = {"InstanceId": "i-0fffffffffffffff0"}
    later = Change("Second", "Add", BUNDLE, "", {}, after | new, after | new, ("InstanceId",))
    return ChangeSet("next", ARN.format("web"), "web", "", [known, later])


@pytest.fixture
def world(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stacks in flight; one of them has an image from before, and has left one. A third one is
    deleted, and its stored image was retained; of a fourth one, only a claim is left."""
    monkeypatch.setattr(stacks, "read", lambda _, name: described(clock, name))
    monkeypatch.setattr(change_sets, "read", lambda *_: planned())
    _with_ids(monkeypatch)
    bucket()
    for stack in ("web", "desktop"):
        body = '{"Resources": {"Bundle": {"Type": "AWS::SNS::Topic"}}}'
        boto3.client("cloudformation").create_stack(StackName=stack, TemplateBody=body)

    before = sent("web", "Create", "r0").key
    bundle_at("web/new")
    ami = image(before, "web")
    current = Bundle(
        *("bun-01a2b3c4d5e6f7a8b", "r0", Location("images", "web/new")),
        attributes={"ImageId": ami, "SnapshotIds": ""},
        on_delete="Retain",
    )
    ledger.bundles.put(before, current)
    old = sent("web", "Create", "r-old").key
    bundle_at("web/old")
    _retain(ledger, old, Bundle("bun-0b9a8f7e6d5c4b3a2", "r-old", Location("images", "web/old")))

    gone = sent("web-2025", "Create", "r3").key
    stored, _ = image(gone, "web-2025", stored_in="images"), snapshot(gone, 30)
    put(f"{stored}.bin", 4_500_000)
    at = Location("images", "web-2025/Bundle/r3")
    attributes = {"S3Uri": f"s3://images/{stored}.bin", "Prefix": ""}
    _retain(ledger, gone, Bundle(stored, "r3", at, attributes=attributes))
    removed = sent("web-2024", "Create", "r4").key
    at = Location("images", "web/2024")
    _retain(ledger, removed, Bundle("bun-0d1e2f3a4b5c6d7e8", "r4", at))

    asked, _ = ledger.receive(sent("desktop", "Create", "r1"), lease=30)
    target = Target("BundleInstance", "r1", "i-1", Location("images", "desktop"))
    asked, _ = ledger.save(asked, replace(asked, target=target, attempted_at=clock.now))
    task = Task("bun-0c1d2e3f4a5b6c7d8", "running", "storing", "80%", "", "")
    clock.advance(115)
    asked = ledger.merge_task(asked, task)
    ledger.receive(sent("web", "Delete", "r2", current.physical_id), lease=30)
    clock.advance(10)
    ledger.save_progress(asked, task, 1, due=clock.now + 12)


def _with_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have moto give the IDs that the docs show, but not to what it has at first."""
    boto3.client("ec2").describe_snapshots(OwnerIds=["self"])
    amis = iter(["ami-0a1b2c3d4e5f6a7b8", "ami-0f1e2d3c4b5a69788"])
    # moto gives each AMI a snapshot, which has no tags.
    snapshots = iter(["snap-1", "snap-2", "snap-0b1c2d3e4f5a6b7c8"])
    monkeypatch.setattr("moto.ec2.models.amis.random_ami_id", lambda: next(amis))
    store = "moto.ec2.models.elastic_block_store.random_snapshot_id"
    monkeypatch.setattr(store, lambda: next(snapshots))
    named = "moto.cloudformation.models.generate_stack_id"
    monkeypatch.setattr(named, lambda name, *_: ARN.format(name))


def _retain(ledger: Ledger, key: RequestKey, made: Bundle) -> None:
    """Store a bundle whose resource was deleted, and which was retained."""
    ledger.bundles.put(key, made)
    stone = Tombstone(made.physical_id, "20270115T070000Z", unseen=False)
    ledger.bundles.leave_tombstone(key, stone)


@pytest.mark.parametrize(("command", "shown"), OF_THE_LEDGER, ids=[c for c, _ in OF_THE_LEDGER])
def test_a_transcript_is_what_the_command_writes(
    world: None, run: Run, command: str, shown: str
) -> None:
    assert run(*command.split()).output == shown


def test_there_are_transcripts_of_all_commands() -> None:
    assert {command.split()[0] for command, _ in TRANSCRIPTS} == {*instance_bundle.commands}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["status"], "requests"),
        (["owned", "web"], "bundles"),
        (["orphans"], "orphans"),
    ],
)
def test_each_field_is_documented(world: None, run: Run, command: list[str], name: str) -> None:
    fields = {
        field
        for each in json.loads(run(*command, "--output", "json").output)[name]
        for field in each
    }

    assert fields == documented(f"`{name}`")


def test_each_field_of_why_is_documented(world: None, run: Run) -> None:
    of_work, of_failure = (
        json.loads(run("why", stack, "--output", "json").output) for stack in STACKS
    )

    assert {*of_work} == documented("`why`")
    [request] = of_work["requests"]
    assert {*request} == documented("`requests` of `why`")
    assert {*of_work["ways"][0]} == documented("`ways` of `why`")
    assert {*of_failure["lastFailure"]} == {"logicalId", "status", "reason", "at"}


def test_each_field_of_plan_is_documented(world: None, run: Run) -> None:
    shown = json.loads(run("plan", "web", "next", "--output", "json").output)

    assert {*shown} == documented("`plan`")
    [first, _] = shown["changes"]
    assert {*first} == documented("`changes` of `plan`")
    assert {*first["former"][0]} == documented("`former` of `plan`")


def documented(title: str) -> set[str]:
    """The fields in the table with this title."""
    _, _, table = TEXT.partition(f"| Field of {title} in JSON |")
    rows = re.findall(r"^\| (`.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    return {*re.findall(r"`(\w+)`", " ".join(rows))}
