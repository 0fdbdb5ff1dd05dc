"""`plan`: what is read of a change set, and what is said where not all is known."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr
from botocore.stub import Stubber

from cli import change_sets, plan
from cli.change_sets import Change
from cli.errors import NotFound
from cli.installation import Account, Installation, find
from instance_bundle.request import Properties
from instance_bundle.state import Ledger, Tombstone, inspection
from tests.unit.test_lifecycle import HANDLE, POLICY_UNTIL_2028, STACK, request

from .conftest import Run
from .test_owned import bundle

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
ASKED = request().properties

Describe = Callable[..., Change]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """CloudFormation, with answers that a test gives."""
    client = boto3.client("cloudformation", region_name="us-east-1")
    monkeypatch.setattr(Account, "cloudformation", lambda _: client)
    with Stubber(client) as stubber:
        yield stubber


def context(properties: Mapping[str, Any], **policies: str) -> str:
    return json.dumps({"Properties": properties, **policies})


def page(*changes: Mapping[str, Any], **more: str) -> dict[str, Any]:
    found = {"ChangeSetName": "later", "StackId": STACK, "StackName": "web"}
    resources = [{"Type": "Resource", "ResourceChange": change} for change in changes]
    return {**found, "ExecutionStatus": "AVAILABLE", "Changes": resources, **more}


def modify(before: Mapping[str, Any], after: Mapping[str, Any], **policies: str) -> dict[str, Any]:
    return {
        "Action": "Modify",
        "LogicalResourceId": "Bundle",
        "PhysicalResourceId": "bun-1",
        "ResourceType": "Custom::InstanceBundle",
        "BeforeContext": context(before, **policies),
        "AfterContext": context(after, **policies),
    }


@pytest.fixture
def described(stub: Stubber) -> Describe:
    """The one change of a change set."""

    def describe(before: Mapping[str, Any], after: Mapping[str, Any], **policies: str) -> Change:
        stub.add_response("describe_change_set", page(modify(before, after, **policies)))
        [change] = change_sets.read(Account(), "web", "later").changes
        return change

    return describe


def test_secrets_are_dropped(described: Describe) -> None:
    asked = ASKED | {"Storage": POLICY_UNTIL_2028, "CompletionHandle": HANDLE}

    change = described(asked, asked | {"UploadCredentials": "arn"})

    kept = {"Bucket": "images", "Prefix": "web"}
    assert change.before["Storage"]["S3"] == change.after["Storage"]["S3"] == kept
    assert not {"CompletionHandle", "UploadCredentials"} & {*change.before, *change.after}


def test_what_is_not_known_is_as_before_or_something_else(described: Describe) -> None:
    before = ASKED | {"InstanceId": "i-00000000000000001", "Image": {"Tags": [{"Value": "a"}]}}
    after = before | {"InstanceId": UNKNOWN, "Image": {"Tags": [{"Value": f"x-{UNKNOWN}"}]}}

    change = described(before, after)

    assert change.unknown == ("InstanceId", "Image.Tags.0.Value")
    assert change.hidden == ()
    assert change.after == before
    assert change.otherwise["InstanceId"] == "i-0fffffffffffffff0"
    assert change.otherwise["Image"] == {"Tags": [{"Value": "known-after-apply"}]}


def test_what_is_hidden_may_change_unseen(described: Describe) -> None:
    before = ASKED | {"InstanceId": "****", "OnDelete": "****"}

    assert described(before, before).hidden == ("InstanceId",)


def test_a_policy_of_the_template_keeps_what_is_replaced(described: Describe) -> None:
    assert described(ASKED, ASKED, UpdateReplacePolicy="Retain").keeps
    assert not described(ASKED, ASKED, DeletionPolicy="Retain").keeps


def test_all_pages_are_read_and_an_obstacle_is_named(stub: Stubber) -> None:
    stub.add_response("describe_change_set", page(modify(ASKED, ASKED), NextToken="2"))
    last = page(
        modify(ASKED, ASKED), ExecutionStatus="UNAVAILABLE", StatusReason="No changes in it."
    )
    stub.add_response("describe_change_set", last)

    found = change_sets.read(Account(), "web", "later")

    assert (len(found.changes), found.obstacle) == (2, "No changes in it.")


def test_a_change_set_that_is_missing_is_not_found(stub: Stubber) -> None:
    stub.add_client_error("describe_change_set", "ChangeSetNotFound", "ChangeSet [x] is missing")

    with pytest.raises(NotFound, match="is missing"):
        change_sets.read(Account(), "web", "x")


@pytest.fixture
def planned(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Change, Mapping[str, str]], plan.Row]:
    """What is said of a change, in an application with parameters."""
    identity = Properties.parse(ASKED).identity
    ledger.bundles.put(request().key, bundle(on_delete="Delete", identity=identity))
    table = find(Account(), "cfn-instance-bundle").table

    def read(change: Change, parameters: Mapping[str, str]) -> plan.Row:
        found = change_sets.ChangeSet("later", STACK, "web", "", [change])
        monkeypatch.setattr(change_sets, "read", lambda *_: found)
        here = Installation("mine", Account(), table, parameters=parameters)
        [row] = plan.read(here, "web", "later").rows
        return row

    return read


CHANGED = ASKED | {"Storage": {"S3": {"Bucket": "images", "Prefix": "other"}}}
CHANGE = Change(
    *("Bundle", "Modify", "Custom::InstanceBundle", "bun-1"),
    before=ASKED,
    after=CHANGED,
    otherwise=CHANGED,
)
REMOVE = replace(CHANGE, action="Remove", after={}, otherwise={})


@pytest.mark.parametrize(
    ("change", "parameters", "does", "problem"),
    [
        (CHANGE, {}, "replace", ""),
        (CHANGE, {"Paused": "true"}, "fail", "paused"),
        (CHANGE, {"AllowObjectDeletion": "false"}, "replace", "AllowObjectDeletion is false"),
        (REMOVE, {}, "delete", ""),
        (REMOVE, {"Paused": "true"}, "delete", "waits"),
        (replace(REMOVE, keeps=True), {}, "not asked", ""),
    ],
)
def test_parameters_of_the_application_and_policies_count(
    planned: Callable[..., plan.Row],
    change: Change,
    parameters: Mapping[str, str],
    does: str,
    problem: str,
) -> None:
    row = planned(change, parameters)

    assert (row.same.does, row.other) == (does, None)
    assert problem in " ".join(row.same.problems)
    assert bool(problem) == bool(row.same.problems)
    shown = "\n".join(row.lines())
    assert problem in shown
    assert ("Bundles i-1234567890abcdef0 to s3://images/other." in shown) == (does == "replace")


def test_both_are_said_where_it_depends_on_what_is_not_known(
    planned: Callable[..., plan.Row],
) -> None:
    change = replace(
        CHANGE,
        after=ASKED,
        otherwise=ASKED | {"InstanceId": "i-0fffffffffffffff0"},
        unknown=("InstanceId",),
    )

    row = planned(change, {})

    assert [*row.lines()] == [
        "Bundle: InstanceId is known after apply.",
        "  If it is as before: nothing.",
        "    The bundle bun-1 stays.",
        "  If it is changed: replace.",
        "    Bundles [known after apply] to s3://images/web. EC2 shuts the instance down for that.",
        "    Then bun-1 at s3://images/web is removed (OnDelete: Delete).",
    ]


def test_plan_says_that_no_bundle_changes(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(CHANGE, type="AWS::CloudFormation::Stack")
    found = change_sets.ChangeSet("later", STACK, "web", "", [other])
    monkeypatch.setattr(change_sets, "read", lambda *_: found)

    assert run("plan", "web", "later").output.splitlines() == [
        "The change set later of stack web can be executed.",
        "It changes no bundle.",
        "Bundle: a nested stack, of which nothing is known here.",
    ]


def test_a_resource_is_read_as_the_function_reads_it(ledger: Ledger) -> None:
    record, _ = ledger.receive(request("Update", "r2", "bun-1"), lease=30)
    for physical_id in ("bun-1", "bun-2", "bun-3"):
        ledger.bundles.put(record.key, bundle(physical_id))
    ledger.bundles.release(record.key, "bun-2")
    stone = Tombstone("bun-3", "20270115T080000Z", unseen=False)
    ledger.bundles.leave_tombstone(record.key, stone)
    items = find(Account(), "cfn-instance-bundle").items(Attr("resource").exists())

    seen, known = inspection.resource(items), ledger.resource(record.key)

    assert (seen.bundles, seen.released) == (known.bundles, known.released)
    assert seen.tombstones == known.tombstones == (stone,)
    assert [each.key for each in seen.requests] == [each.key for each in known.requests]
