"""SAM CLI deploys the application, and what it is good for afterwards, to the sandbox."""

import json
import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from sandbox.deployment import STACK_NAME
from tests.stacks.support import Aws

from .deployment import FUNCTIONS, check_code
from .tool import Tool

DEPLOY = ("deploy", "--no-confirm-changeset")


def statuses(sandbox: Aws, stack: str) -> list[str]:
    """The statuses that a stack itself has had, oldest first."""
    return [
        event["ResourceStatus"]
        for event in sandbox.events(stack)
        if event["PhysicalResourceId"] == event["StackId"]
    ]


def shown_outputs(said: str) -> set[str]:
    return set(re.findall(r"^Key +(\w+)", said, re.MULTILINE))


def retention(sandbox: Aws, log_group: str) -> int:
    [found] = sandbox.clients.client("logs").describe_log_groups(logGroupNamePrefix=log_group)[
        "logGroups"
    ]
    days: int = found["retentionInDays"]
    return days


def test_what_is_deployed_runs_out_of_s3(
    bare_sandbox: Aws, sam: Tool, project: Path, tmp_path: Path
) -> None:
    source, marker = tmp_path / "source", f"marker-{uuid.uuid4().hex}"
    shutil.copytree(project, source)
    with (source / ".aws-sam/build/InstanceBundleFunction/instance_bundle/app.py").open("a") as app:
        app.write(f"\nprint({marker!r})\n")

    said = replace(sam, directory=source).run(*DEPLOY, "--resolve-s3")
    sam.see(f"CREATE_COMPLETE, {check_code(bare_sandbox)}")
    shutil.rmtree(source)

    created = ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert statuses(bare_sandbox, STACK_NAME) == created
    assert bare_sandbox.stack(STACK_NAME)["ChangeSetId"] in said
    for name in FUNCTIONS:
        assert re.search(rf"^\+ Add +{name} +AWS::Lambda::Function ", said, re.MULTILINE)
        assert re.search(rf"^CREATE_COMPLETE +AWS::Lambda::Function +{name} ", said, re.MULTILINE)
    assert shown_outputs(said) == {
        "Version",
        "ServiceToken",
        "ExportedServiceToken",
        "ServiceTokenParameter",
        "InstanceBundleLogGroup",
        "LedgerTable",
        "OperatorsPolicy",
    }
    managed = bare_sandbox.stack("aws-sam-cli-managed-default")
    assert managed["StackStatus"] == "CREATE_COMPLETE"
    assert bare_sandbox.outputs(managed)["SourceBucket"] in said

    check_the_example_is_deployed(bare_sandbox, sam)
    assert marker in sam.run("logs", "--stack-name", STACK_NAME, seen="what only the zip prints")


def check_the_example_is_deployed(sandbox: Aws, sam: Tool) -> None:
    bucket = sandbox.ready["bucket"]
    given = (f"InstanceId={sandbox.instance(seconds='1')}", f"Bucket={bucket}")

    said = sam.run(
        *(*DEPLOY, "--template-file", "examples/bundle.yaml"),
        *("--stack-name", "web", "--parameter-overrides", *given),
    )

    stack = sandbox.stack("web")
    outputs = sandbox.outputs(stack)
    keys = sandbox.keys("web/windows.")
    sam.see(f"{stack['StackStatus']}, {outputs['BundleId']}, {len(keys)} objects")
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs["BundleId"].startswith("bun-")
    assert outputs["BundleId"] in said
    assert shown_outputs(said) == {"BundleId", "S3Uri", "ManifestLocation"}
    assert "web/windows.manifest.xml" in keys
    sam.run("delete", "--stack-name", "web", "--no-prompts", "--region", "us-east-1")
    assert statuses(sandbox, stack["StackId"])[-1] == "DELETE_COMPLETE"
    sam.see("DELETE_COMPLETE, the bundle is kept")
    assert sandbox.keys("web/windows.") == keys


def test_a_changed_parameter_is_an_update_and_no_change_is_none(
    sandbox: Aws, application: dict[str, str], sam: Tool
) -> None:
    before = len(statuses(sandbox, STACK_NAME))
    log_group = application["InstanceBundleLogGroup"]
    assert retention(sandbox, log_group) == 30
    changed = ("--parameter-overrides", "LogRetentionInDays=7")

    said = sam.run(*DEPLOY, *changed)

    [first, *_, last] = statuses(sandbox, STACK_NAME)[before:]
    assert (first, last) == ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    assert re.search(
        r"^\* Modify +InstanceBundleLogGroup +AWS::Logs::LogGroup ", said, re.MULTILINE
    )
    assert "+ Add" not in said
    assert sandbox.stack(STACK_NAME)["ChangeSetId"] in said
    assert retention(sandbox, log_group) == 7
    sam.see("UPDATE_COMPLETE, logs are kept for 7 days")

    after = statuses(sandbox, STACK_NAME)
    said = sam.run(*DEPLOY, *changed, status=1, seen="No changes to deploy, exit status 1")
    assert "No changes to deploy" in said
    said = sam.run(*DEPLOY, *changed, "--no-fail-on-empty-changeset", seen="No changes to deploy")
    assert "No changes to deploy" in said
    assert statuses(sandbox, STACK_NAME) == after


def test_what_is_not_executed_is_to_be_reviewed_and_what_fails_is_rolled_back(
    sandbox: Aws, application: dict[str, str], sam: Tool
) -> None:
    own, name = f"own-{uuid.uuid4().hex[:12]}", f"second-{uuid.uuid4().hex[:8]}"
    sandbox.clients.s3.create_bucket(Bucket=own)

    elsewhere = (
        *("--stack-name", name, "--no-resolve-s3", "--s3-bucket", own),
        *("--parameter-overrides", f"FunctionName={name}"),
    )
    said = sam.run(*DEPLOY, *elsewhere, "--no-execute-changeset")

    objects = sandbox.clients.s3.list_objects_v2(Bucket=own)["Contents"]
    sam.see(f"REVIEW_IN_PROGRESS, {len(objects)} objects in the bucket")
    assert statuses(sandbox, name) == ["REVIEW_IN_PROGRESS"]
    assert "Changeset created successfully" in said
    assert any(item["Size"] > 1_000_000 for item in objects)
    assert any(item["Key"].endswith(".template") for item in objects)

    said = sam.run(*DEPLOY, *elsewhere, status=1)

    assert f"Failed to create/update the stack: {name}" in said
    assert statuses(sandbox, name)[-2:] == ["ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    [reason] = {
        event["ResourceStatusReason"]
        for event in sandbox.events(name)
        if event["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"
    }
    assert "cfn-instance-bundle-ServiceToken" in reason
    assert STACK_NAME in reason
    sam.see("exit status 1, ROLLBACK_COMPLETE: the export's name is taken")
    sandbox.clients.cloudformation.delete_stack(StackName=name)


def test_the_deployed_application_is_listed_invoked_and_deleted(
    sandbox: Aws, application: dict[str, str], sam: Tool
) -> None:
    stack, json_wanted = ("--stack-name", STACK_NAME), ("--output", "json")
    outputs = json.loads(sam.run("list", "stack-outputs", *stack, *json_wanted))
    assert {each["OutputKey"]: each["OutputValue"] for each in outputs} == application
    sam.see(f"{len(outputs)} outputs")

    resources = json.loads(sam.run("list", "resources", *stack, *json_wanted))
    found = sandbox.clients.cloudformation.list_stack_resources(StackName=STACK_NAME)
    there = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in found["StackResourceSummaries"]
    }
    listed = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    assert {name: listed[name] for name in listed if listed[name] != "-"} == there
    sam.see(f"{len(there)} resources, {len(listed) - len(there)} whose condition is false")

    event = ("--event-file", "events/not-an-event.json")
    assert json.loads(sam.run("remote", "invoke", FUNCTIONS[0], *stack, *event)) is None
    sam.see("null: refused")
    said = sam.run("logs", *stack, "--name", FUNCTIONS[0], "--filter", "Refused")
    assert "Refused an event that is not a custom resource event" in said
    sam.see("Refused an event that is not a custom resource event")

    stack_id = sandbox.stack(STACK_NAME)["StackId"]
    sam.run("delete", "--no-prompts", "--region", "us-east-1")
    assert statuses(sandbox, stack_id)[-1] == "DELETE_COMPLETE"
    table = sandbox.clients.client("dynamodb").describe_table(TableName=application["LedgerTable"])
    assert table["Table"]["TableStatus"] == "ACTIVE"
    sam.see("DELETE_COMPLETE, the ledger is kept")
