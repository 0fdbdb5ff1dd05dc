"""AWS CLI packages and deploys the application, and takes the stacks of examples/ through life."""

import json
import re
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from instance_bundle import __version__
from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION
from sandbox.deployment import STACK_NAME
from tests.stacks.support import Aws
from tools.release import contents

from .deployment import FUNCTIONS, check_code, deployed_digest, digest
from .tool import Tool

LATER = "99.0.0"
"""The version of a later release."""
MADE = ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
"""The events of a resource: it is started, it has a physical ID, it is complete."""


@dataclass(frozen=True)
class Stack:
    """A stack, as it is made by AWS CLI.

    Attributes:
        sandbox: where the stack is, to read the result of a command.
    """

    name: str
    aws: Tool
    sandbox: Aws

    def ask(self, command: str, *more: str) -> Any:
        """What a command of CloudFormation's says; None if nothing."""
        said = self.aws.run("cloudformation", *command.split(), "--stack-name", self.name, *more)
        return json.loads(said) if said else None

    def create(self, example: str, **given: str) -> None:
        """Begin to create the stack of an example."""
        body = ("--template-body", f"file://examples/{example}")
        self.ask("create-stack", *body, "--capabilities", "CAPABILITY_IAM", *parameters(given))

    def wait(self, operation: str, stack_id: str | None = None) -> None:
        """Wait until it is complete: `create`, `update` or `delete`, after which only its ID is."""
        self.ask(f"wait stack-{operation}-complete")
        status = self.sandbox.stack(stack_id or self.name)["StackStatus"]
        self.aws.see(status)
        assert status == f"{operation.upper()}_COMPLETE"

    def outputs(self) -> dict[str, str]:
        said = self.ask("describe-stacks", "--query", "Stacks[0].Outputs")
        outputs = {output["OutputKey"]: output["OutputValue"] for output in said}
        self.aws.see(", ".join(sorted(outputs)))
        return outputs

    def events(self) -> list[list[str]]:
        """Logical ID, status, physical ID and reason of each event, oldest first."""
        members = "LogicalResourceId,ResourceStatus,PhysicalResourceId,ResourceStatusReason"
        found: list[list[str]] = self.ask(
            "describe-stack-events", "--query", f"reverse(StackEvents)[].[{members}]"
        )
        self.aws.see(f"{len(found)} events")
        return found

    def delete(self) -> None:
        stack_id = self.sandbox.stack(self.name)["StackId"]
        self.ask("delete-stack")
        self.wait("delete", stack_id)


def parameters(given: Mapping[str, str]) -> list[str]:
    """The option that gives a stack its parameters."""
    pairs = [f"ParameterKey={key},ParameterValue={value}" for key, value in given.items()]
    return ["--parameters", *pairs] if pairs else []


def check_created(stack: Stack, logical_id: str, output: str) -> None:
    """Check that the stack is complete, by its events and by the output that names a resource."""
    stack.wait("create")
    events = stack.events()
    stack_id = stack.sandbox.stack(stack.name)["StackId"]
    [physical_id] = {event[2] for event in events if event[:2] == [logical_id, "CREATE_COMPLETE"]}
    assert events[0] == [stack.name, "CREATE_IN_PROGRESS", stack_id, "User Initiated"]
    assert events[-1] == [stack.name, "CREATE_COMPLETE", stack_id, None]
    assert [event[1] for event in events if event[0] == logical_id] == MADE
    assert stack.outputs()[output].endswith(physical_id)


@pytest.fixture
def stack(application: dict[str, str], sandbox: Aws, aws: Tool) -> Stack:
    """A stack that can be made once the application is there."""
    assert application
    return Stack(f"web-{uuid.uuid4().hex[:8]}", aws, sandbox)


def test_the_application_is_packaged_deployed_and_invoked(
    bare_sandbox: Aws, aws: Tool, built: Path, tmp_path: Path
) -> None:
    bucket, packaged = f"artifacts-{uuid.uuid4().hex[:12]}", "packaged.yaml"
    aws.run("s3", "mb", f"s3://{bucket}")
    aws.run(
        *("cloudformation", "package", "--template-file", ".aws-sam/build/template.yaml"),
        *("--s3-bucket", bucket, "--output-template-file", packaged),
    )
    # It is longer than what a request may have (AWS CloudFormation User Guide, quotas).
    aws.run("s3", "cp", packaged, f"s3://{bucket}/{packaged}")
    url = ("--template-url", f"https://{bucket}.s3.us-east-1.amazonaws.com/{packaged}")
    valid = json.loads(aws.run("cloudformation", "validate-template", *url))
    assert {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"} == {*valid["Capabilities"]}
    assert "LogRetentionInDays" in {each["ParameterKey"] for each in valid["Parameters"]}
    aws.see(f"{', '.join(valid['Capabilities'])}, {len(valid['Parameters'])} parameters")

    deploy = (
        *("cloudformation", "deploy", "--stack-name", STACK_NAME, "--template-file", packaged),
        *("--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM"),
    )
    assert "Successfully created/updated stack" in aws.run(*deploy)
    assert bare_sandbox.stack(STACK_NAME)["StackStatus"] == "CREATE_COMPLETE"
    aws.see(f"CREATE_COMPLETE, {check_code(bare_sandbox)}")

    said = aws.run(*deploy, "--no-fail-on-empty-changeset", seen="No changes to deploy")
    assert "No changes to deploy" in said

    function = bare_sandbox.clients.cloudformation.describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId=FUNCTIONS[0]
    )["StackResourceDetail"]["PhysicalResourceId"]
    result = tmp_path / "result.json"
    said = aws.run(
        *("lambda", "invoke", "--function-name", function),
        *("--payload", "fileb://events/not-an-event.json", str(result)),
    )
    assert json.loads(said) == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert json.loads(result.read_text()) is None
    aws.see("200, null: refused")


def test_a_bundle_is_created_changed_replaced_and_deleted(stack: Stack, project: Path) -> None:
    sandbox, example = stack.sandbox, project / "examples/bundle.yaml"
    given = {"InstanceId": sandbox.instance(seconds="1"), "Bucket": sandbox.ready["bucket"]}
    stack.create("bundle.yaml", **given)
    check_created(stack, "Bundle", "BundleId")
    first = stack.outputs()
    assert first["S3Uri"] == f"s3://{given['Bucket']}/{stack.name}/windows"

    kept = "      InstanceId: !Ref InstanceId\n"
    changed = example.read_text().replace(kept, f"{kept}      OnDelete: Delete\n")
    update(stack, project, changed, given)
    assert stack.outputs() == first
    stack.aws.see("the same bundle")
    assert len(sandbox.tasks(given["InstanceId"])) == 1

    given |= {"InstanceId": sandbox.instance(seconds="1")}
    update(stack, project, changed.replace("/windows", "/windows-2"), given)
    second = stack.outputs()
    stack.aws.see(f"{second['BundleId']}, before {first['BundleId']}")
    assert second["BundleId"] != first["BundleId"]
    assert second["S3Uri"] == f"s3://{given['Bucket']}/{stack.name}/windows-2"
    assert [event[1:3] for event in stack.events() if event[0] == "Bundle"][-2:] == [
        ["DELETE_IN_PROGRESS", first["BundleId"]],
        ["DELETE_COMPLETE", first["BundleId"]],
    ]
    assert sandbox.keys(f"{stack.name}/windows.") == []
    assert sandbox.keys(f"{stack.name}/windows-2.") != []

    stack.delete()
    assert sandbox.keys(stack.name) == []


def update(stack: Stack, project: Path, template: str, given: Mapping[str, str]) -> None:
    """Update a stack to a template's text."""
    (project / "changed.yaml").write_text(template)
    stack.ask("update-stack", "--template-body", "file://changed.yaml", *parameters(given))
    stack.wait("update")


@pytest.mark.parametrize(
    ("example", "logical_id", "output", "more"),
    [
        ("published-image.yaml", "Published", "ParameterName", {"ParameterName": "/images/cli"}),
        ("long-running.yaml", "Bundle", "BundleId", {"Timeout": "300"}),
    ],
)
def test_an_image_is_stored_by_each_example(
    stack: Stack, example: str, logical_id: str, output: str, more: Mapping[str, str]
) -> None:
    check_image_is_stored(stack, example, logical_id, output, **more)


def check_image_is_stored(
    stack: Stack, example: str, logical_id: str, output: str, **more: str
) -> str:
    """Create the stack of an example, check its image, and delete the stack; the image's ID."""
    sandbox = stack.sandbox
    instance = sandbox.ebs_instance(image_seconds="1", store_seconds="1")
    stack.create(example, InstanceId=instance, Bucket=sandbox.ready["bucket"], **more)

    check_created(stack, logical_id, output)

    outputs = sandbox.outputs(sandbox.stack(stack.name))
    [image] = sandbox.clients.ec2.describe_images(ImageIds=[outputs["ImageId"]])["Images"]
    assert image["State"] == "available"
    assert sandbox.keys(outputs["ImageId"]) == [f"{outputs['ImageId']}.bin"]
    stack.delete()
    return outputs["ImageId"]


def test_a_queue_receives_events_of_bundles(stack: Stack) -> None:
    sandbox = stack.sandbox
    given = {"InstanceId": sandbox.instance(seconds="1"), "Bucket": sandbox.ready["bucket"]}
    stack.create("on-bundle-complete.yaml", **given)
    check_created(stack, "Queue", "QueueUrl")
    stack.delete()


def test_the_base_of_a_pipeline_is_created_and_deleted(stack: Stack) -> None:
    subnet = stack.sandbox.clients.ec2.describe_subnets()["Subnets"][0]
    place = {"VpcId": subnet["VpcId"], "SubnetId": subnet["SubnetId"]}
    stack.create("pipeline/base.yaml", **place, ImageBucket=stack.sandbox.ready["bucket"])
    check_created(stack, "SourceBucket", "SourceBucket")

    account = f"{REGION}:123456789012"
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    connection = f"arn:aws:codeconnections:{account}:connection/{uuid.uuid4()}"
    repository = {"Name": stack.name, "Repository": "owner/web"}
    on_it = {
        "promote": ("Promoted", "ParameterName", {"ImageId": "ami-0123456789abcdef0"}),
        "github-role": ("WorkflowRole", "RoleArn", {**repository, "ProviderArn": provider}),
        "codepipeline": ("Pipeline", "Pipeline", {**repository, "ConnectionArn": connection}),
    }
    for example, (logical_id, output, given) in on_it.items():
        other = Stack(f"{stack.name}-{example}", stack.aws, stack.sandbox)
        other.create(f"pipeline/{example}.yaml", **{"Name": stack.name, **given})
        check_created(other, logical_id, output)
        other.delete()
    stack.delete()


def test_a_stack_that_fails_says_why(stack: Stack) -> None:
    stack.create("bundle.yaml", InstanceId="i-0123456789abcdef0", Bucket="no.such/bucket")

    wait = ("cloudformation", "wait", "stack-create-complete", "--stack-name", stack.name)
    stack.aws.run(*wait, status=255, seen="exit status 255")

    assert stack.sandbox.at_rest(stack.name)["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = [event[3] for event in stack.events() if event[:2] == ["Bundle", "CREATE_FAILED"]]
    assert "Storage.S3.Bucket: " in reason
    stack.aws.see(reason)
    stack.delete()


def test_a_change_set_is_described_and_executed(stack: Stack) -> None:
    sandbox, change_set = stack.sandbox, ("--change-set-name", "first")
    given = {"InstanceId": sandbox.instance(seconds="1"), "Bucket": sandbox.ready["bucket"]}

    body = ("--template-body", "file://examples/bundle.yaml")
    kind = ("--change-set-type", "CREATE")
    stack.ask("create-change-set", *change_set, *kind, *body, *parameters(given))
    stack.ask("wait change-set-create-complete", *change_set)
    described = stack.ask("describe-change-set", *change_set)

    [change] = [each["ResourceChange"] for each in described["Changes"]]
    stack.aws.see(f"{change['Action']} {change['ResourceType']} {change['LogicalResourceId']}")
    assert (change["Action"], change["LogicalResourceId"]) == ("Add", "Bundle")
    assert change["ResourceType"] == "Custom::InstanceBundle"
    assert described["ExecutionStatus"] == "AVAILABLE"
    assert sandbox.tasks(given["InstanceId"]) == []

    stack.ask("execute-change-set", *change_set)
    stack.wait("create")
    [task] = sandbox.tasks(given["InstanceId"])
    assert stack.outputs()["BundleId"] == task["BundleId"]
    stack.delete()


@pytest.fixture
def shell(aws: Tool, tmp_path: Path) -> Tool:
    """A shell in the folder of a release, with AWS CLI and no other program on its PATH."""
    folder, programs = tmp_path / "release", tmp_path / "bin"
    folder.mkdir()
    for name, content in contents.files().items():
        (folder / name).write_bytes(content)
    programs.mkdir()
    (programs / "aws").symlink_to(aws.program)
    environment = {**aws.environment, "PATH": str(programs)}
    return replace(aws, program=Path("/bin/sh"), directory=folder, environment=environment)


def write_later_release(folder: Path) -> bytes:
    """Write a release with other code next to the one that is there; its code."""
    name = contents.NAME.replace(__version__, LATER)
    template = (folder / f"{contents.NAME}.yaml").read_text()
    (folder / f"{name}.yaml").write_text(template.replace(__version__, LATER))
    code = folder / f"{name}.zip"
    shutil.copyfile(folder / f"{contents.NAME}.zip", code)
    with zipfile.ZipFile(code, "a") as archive:
        archive.writestr("LATER", LATER)
    return code.read_bytes()


def commands(beginning: str, bucket: str) -> str:
    """The console block of docs/deploying.md that begins so, for this bucket."""
    text = (REPOSITORY / "docs" / "deploying.md").read_text()
    [block] = re.findall(rf"^```console\n(\$ {beginning}.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.sub(r"^\$ ", "", block, flags=re.MULTILINE).replace("amzn-s3-demo-bucket", bucket)


def test_a_release_is_deployed_with_aws_cli_alone_and_stores_an_image(
    bare_sandbox: Aws, shell: Tool, aws: Tool
) -> None:
    clients, bucket = bare_sandbox.clients, f"code-{uuid.uuid4().hex[:12]}"
    make_bucket, _, deploy = commands("aws s3 mb", bucket).partition("\n")
    shell.run("-c", f"set -e\n{make_bucket}\n{deploy}")
    assert bare_sandbox.stack(STACK_NAME)["StackStatus"] == "CREATE_COMPLETE"
    outputs = bare_sandbox.outputs(bare_sandbox.stack(STACK_NAME))
    code = (shell.directory / f"{contents.NAME}.zip").read_bytes()
    assert {deployed_digest(bare_sandbox, name) for name in FUNCTIONS} == {digest(code)}
    shell.see(f"CREATE_COMPLETE, version {outputs['Version']}")

    later = write_later_release(shell.directory)
    upgrade = deploy.replace(__version__, LATER).replace(f"CodeBucket={bucket}", "Dashboard=false")
    shell.run("-c", f"set -e\n{upgrade}")
    assert {deployed_digest(bare_sandbox, name) for name in FUNCTIONS} == {digest(later)}
    shell.see("UPDATE_COMPLETE, with the code of the later release")

    image = check_image_is_stored(
        Stack("web", aws, bare_sandbox), "store-image.yaml", "Bundle", "ImageId", OnDelete="Delete"
    )
    assert bare_sandbox.keys(image) == []

    shell.run("-c", f"set -e\n{commands('aws cloudformation delete-stack', bucket)}")
    assert clients.cloudformation.describe_stacks()["Stacks"] == []
    assert bucket not in {each["Name"] for each in clients.s3.list_buckets()["Buckets"]}
