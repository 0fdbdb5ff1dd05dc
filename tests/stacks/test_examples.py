"""The stacks of `examples/`: each is deployed, does what it is for, and is deleted."""

import io
import json
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import CREDENTIALS, REGION

from .examples import (
    EXAMPLES,
    Machines,
    complete,
    deleted,
    deployed,
    environment,
    may,
    read,
    trusts,
    updated,
)
from .examples import stacks as stacks_named
from .pipelines import Execution, react
from .support import Aws, json_of, side_by_side, wait_for
from .workflows import Run

SOON = {"image_seconds": "1", "store_seconds": "1"}


def new_name() -> str:
    """The name of a stack."""
    return f"web-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def name() -> str:
    return new_name()


def images(aws: Aws, name: str) -> dict[str, str]:
    """The account's images whose names begin so: their names, by ID."""
    found = aws.clients.ec2.describe_images(Owners=["self"])["Images"]
    return {
        image["ImageId"]: image["Name"] for image in found if image["Name"].startswith(f"{name}/")
    }


def published(aws: Aws, parameter: str) -> tuple[str, str]:
    """Value and data type of a parameter in Systems Manager."""
    found = aws.clients.client("ssm").get_parameter(Name=parameter)["Parameter"]
    return found["Value"], found["DataType"]


def test_the_read_me_names_each_example() -> None:
    read_me = read("README.md")
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.y*ml")}

    assert {file for file in files if f"]({file})" not in read_me} == set()


def test_each_example_of_one_stack_does_what_it_is_for(aws: Aws) -> None:
    side_by_side(
        *(
            partial(story, aws, new_name())
            for story in (
                _bundle_with_an_event_to_a_queue,
                _stored_image,
                _published_image,
                _long_running,
                _long_running_work_that_fails,
            )
        )
    )


# One resource


def _bundle_with_an_event_to_a_queue(aws: Aws, name: str) -> None:
    bucket = aws.ready["bucket"]
    given = {"InstanceId": aws.instance(seconds="1"), "Bucket": bucket}

    outputs = deployed(aws, name, "on-bundle-complete.yaml", **given)
    other = deployed(aws, f"other-{name}", "bundle.yaml", **given)

    assert other == {
        "BundleId": other["BundleId"],
        "S3Uri": f"s3://{bucket}/other-{name}/windows",
        "ManifestLocation": f"{bucket}/other-{name}/windows.manifest.xml",
    }
    received = list[dict[str, str]]()
    wait_for(lambda: _is_complete(aws, outputs["QueueUrl"], received) or None, "the event")
    assert {detail["StackName"] for detail in received} == {name}
    assert {detail["BundleId"] for detail in received} == {outputs["BundleId"]}
    deleted(aws, name, f"other-{name}")


def _is_complete(aws: Aws, queue_url: str, received: list[dict[str, str]]) -> bool:
    """Whether the event of a complete bundle has come; what comes is received."""
    messages = aws.clients.client("sqs").receive_message(QueueUrl=queue_url).get("Messages", [])
    received += [json.loads(message["Body"])["detail"] for message in messages]
    return "complete" in {detail["State"] for detail in received}


def _stored_image(aws: Aws, name: str) -> None:
    instance, bucket = aws.ebs_instance(**SOON), aws.ready["bucket"]
    given = {"InstanceId": instance, "Bucket": bucket, "OnDelete": "Delete"}

    described = {"ImageDescription": "The web server", "Project": "shop"}
    outputs = deployed(aws, name, "store-image.yaml", **given, ImageName=f"{name}/web", **described)

    image_id = outputs["ImageId"]
    assert outputs == {"ImageId": image_id, "S3Uri": f"s3://{bucket}/{image_id}.bin"}
    assert images(aws, name) == {image_id: f"{name}/web"}
    [image] = aws.clients.ec2.describe_images(ImageIds=[image_id])["Images"]
    assert image["Description"] == "The web server"
    assert {"Key": "Project", "Value": "shop"} in image["Tags"]
    assert aws.keys(image_id) == [f"{image_id}.bin"]
    deleted(aws, name)
    assert images(aws, name) == {}
    assert aws.keys(image_id) == []


def _published_image(aws: Aws, name: str) -> None:
    """A stack follows the parameter, and launches an instance from the image."""
    parameter = f"/images/{name}"
    given = {"Bucket": aws.ready["bucket"], "ParameterName": parameter}
    first = deployed(
        aws, name, "published-image.yaml", **given, InstanceId=aws.ebs_instance(**SOON)
    )

    assert first["ParameterName"] == parameter
    assert published(aws, parameter) == (first["ImageId"], "aws:ec2:image")
    ec2 = aws.clients.ec2
    run = ec2.run_instances(ImageId=published(aws, parameter)[0], MinCount=1, MaxCount=1)
    assert run["Instances"][0]["ImageId"] == first["ImageId"]
    consumer = {
        "Parameters": {
            "Image": {
                "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
                "Default": parameter,
            }
        },
        "Resources": {
            "Instance": {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": {"Ref": "Image"}}}
        },
        "Outputs": {"ImageId": {"Value": {"Ref": "Image"}}},
    }
    consumer_id = aws.create_stack(consumer)
    assert complete(aws, consumer_id, "CREATE_COMPLETE") == {"ImageId": first["ImageId"]}

    updated(aws, name, read("published-image.yaml"), **given, InstanceId=aws.ebs_instance(**SOON))

    second = complete(aws, name, "UPDATE_COMPLETE")
    assert second["ImageId"] != first["ImageId"]
    assert published(aws, parameter) == (second["ImageId"], "aws:ec2:image")
    assert set(images(aws, name)) == {first["ImageId"], second["ImageId"]}
    deleted(aws, name, consumer_id)


# Longer than an hour


def signals(aws: Aws, name: str) -> list[dict[str, Any]]:
    """The signals that a stack's handles took, as they came."""
    stack_id = aws.stack(name)["StackId"]
    received = json_of(f"{aws.clients.endpoint}/sandbox/signals")
    return [signal for signal in received if signal["stackId"] == stack_id and signal["taken"]]


def _long_running(aws: Aws, name: str) -> None:
    """The stack waits for the signal, and outputs its Data."""
    bucket = aws.ready["bucket"]
    given = {"Bucket": bucket, "Timeout": "300"}
    body = read("long-running.yaml")
    first = deployed(aws, name, "long-running.yaml", **given, InstanceId=aws.ebs_instance(**SOON))

    [signal] = signals(aws, name)
    assert json.loads(first["Data"]) == {signal["body"]["UniqueId"]: signal["body"]["Data"]}
    image_id = first["ImageId"]
    assert image_id in images(aws, name)
    assert (first["BundleId"], first["S3Uri"]) == (image_id, f"s3://{bucket}/{image_id}.bin")
    answered, ended = _moments(aws, name, "Bundle"), _moments(aws, name, "Done1")
    assert answered["CREATE_COMPLETE"] < ended["CREATE_COMPLETE"]

    other = aws.ebs_instance(**SOON)
    refused = updated(aws, name, body, **given, InstanceId=other)
    assert refused["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.outputs(refused) == first
    [reason] = [
        event["ResourceStatusReason"]
        for event in aws.events(name)
        if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Bundle", "UPDATE_FAILED")
    ]
    assert "CompletionHandle" in reason

    renamed = body.replace("Handle1", "Handle2").replace("Done1", "Done2")
    updated(aws, name, renamed, **given, InstanceId=other)
    second = complete(aws, name, "UPDATE_COMPLETE")
    assert second["ImageId"] != image_id
    assert set(images(aws, name)) == {image_id, second["ImageId"]}
    assert second["S3Uri"] == f"s3://{bucket}/{second['ImageId']}.bin"
    deleted(aws, name)


def _moments(aws: Aws, name: str, logical_id: str) -> dict[str, Any]:
    return {
        event["ResourceStatus"]: event["Timestamp"]
        for event in aws.events(name)
        if event["LogicalResourceId"] == logical_id
    }


def _long_running_work_that_fails(aws: Aws, name: str) -> None:
    instance = aws.ebs_instance(
        image_seconds="1", image_outcome="failed", image_error="Client.InternalError: A volume"
    )
    given = {"InstanceId": instance, "Bucket": aws.ready["bucket"], "Timeout": "300"}

    aws.clients.cloudformation.create_stack(
        StackName=name,
        TemplateBody=read("long-running.yaml"),
        Parameters=[{"ParameterKey": key, "ParameterValue": given[key]} for key in given],
    )

    complete(aws, name, "ROLLBACK_COMPLETE")
    reason = aws.failure(name, "Done1")
    assert "Client.InternalError: A volume" in reason
    assert images(aws, name) == {}
    deleted(aws, name)


# An image for each commit


@dataclass(frozen=True)
class Base:
    """A stack of `pipeline/base.yaml`.

    Attributes:
        repository: a clone of a repository with a copy of the examples.
    """

    name: str
    outputs: Mapping[str, str]
    repository: Path
    machines: Machines

    def commit(self, **files: str) -> str:
        """A new commit that changes files in image/; its ID."""
        for file, content in files.items():
            (self.repository / "image" / f"{file}.sh").write_text(content)
        author = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
        self.git("add", ".")
        self.git(*author, "commit", "--quiet", "--allow-empty", "--message", "Change")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=self.repository,
            env=dict(self.machines.environment),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def archive(self) -> bytes:
        """The files of the last commit, as CodePipeline has them."""
        files = io.BytesIO()
        with zipfile.ZipFile(files, "w") as archive:
            for file in self.git("ls-files").splitlines():
                archive.write(self.repository / file, file)
        return files.getvalue()


FAILING = "#!/bin/bash\necho 'checking'\necho 'The greeting is rude'\nexit 1\n"


@pytest.fixture
def base(aws: Aws, name: str, tmp_path: Path) -> Iterator[Base]:
    """The base of a pipeline, and a repository with a commit of the example."""
    subnet = aws.clients.ec2.describe_subnets()["Subnets"][0]
    outputs = deployed(
        aws,
        name,
        "pipeline/base.yaml",
        VpcId=subnet["VpcId"],
        SubnetId=subnet["SubnetId"],
        ImageBucket=aws.ready["bucket"],
    )
    repository = tmp_path / "repository"
    for path in (EXAMPLES / "pipeline").rglob("*.*"):
        relative = path.relative_to(EXAMPLES / "pipeline")
        target = repository / (relative if "image" in relative.parts else "pipeline" / relative)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    machines = Machines(
        aws, name, tmp_path / "disks", {**environment(aws, tmp_path / "home"), **CREDENTIALS}
    )
    machines.directory.mkdir()
    made = Base(name, outputs, repository, machines)
    made.git("init", "--quiet")
    check_stack_role(aws, name, outputs["StackRoleArn"])
    yield made
    deleted(aws, name)


def check_stack_role(aws: Aws, name: str, role: str) -> None:
    """Check that CloudFormation's role may do what the stacks ask for."""
    assert trusts(aws, role, "cloudformation.amazonaws.com")
    here = f"{REGION}:123456789012"
    for action, resource in {
        "ec2:RunInstances": f"arn:aws:ec2:{here}:instance/*",
        "ec2:TerminateInstances": f"arn:aws:ec2:{here}:instance/i-0",
        "lambda:InvokeFunction": aws.ready["service_token"],
        "ssm:PutParameter": f"arn:aws:ssm:{here}:parameter/{name}/image",
        "ssm:DeleteParameter": f"arn:aws:ssm:{here}:parameter/{name}/image",
    }.items():
        assert may(aws, role, action, resource), (action, resource)


def run_workflow(aws: Aws, base: Base, commit: str, number: int = 1) -> Run:
    """A run of the workflow for a commit."""
    role = complete(aws, f"{base.name}-role", "CREATE_COMPLETE")["RoleArn"]

    def check_out(inputs: Mapping[str, str]) -> dict[str, str]:
        base.git("checkout", "--quiet", "--detach", commit)
        return {}

    def log_in(inputs: Mapping[str, str]) -> dict[str, str]:
        found = aws.clients.client("iam").get_role(RoleName=inputs["role-to-assume"].split("/")[1])
        assert int(inputs["role-duration-seconds"]) <= found["Role"]["MaxSessionDuration"]
        return {"AWS_REGION": inputs["aws-region"], **CREDENTIALS}

    run = Run(
        workspace=base.repository,
        temporary=base.repository.with_name(f"runner-{number}"),
        contexts={
            "vars": {"IMAGE_PIPELINE": base.name, "AWS_REGION": REGION, "AWS_ROLE_ARN": role},
            "github": {"sha": commit, "run_id": str(number), "run_attempt": "1"},
        },
        actions={
            "actions/checkout": check_out,
            "aws-actions/configure-aws-credentials": log_in,
        },
        meanwhile=base.machines.boot,
        environment=environment(aws, base.repository.with_name("home")),
    )
    run.carry_out(EXAMPLES / "pipeline" / "github-actions.yml")
    check_role(aws, base, role)
    return run


def check_role(aws: Aws, base: Base, role: str) -> None:
    """Check that the workflow's role may do what a run did."""
    pages = aws.clients.cloudformation.get_paginator("list_stacks").paginate()
    deployed_by_it = {
        stack["StackId"]
        for page in pages
        for stack in page["StackSummaries"]
        if stack["StackName"].startswith(f"{base.name}-")
        and not stack["StackName"].endswith("-role")
    }
    assert deployed_by_it
    for stack_id in deployed_by_it:
        for call in (
            *("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet"),
            *("DescribeStacks", "DescribeStackEvents", "DeleteStack"),
        ):
            assert may(aws, role, f"cloudformation:{call}", stack_id), (call, stack_id)
    base_id = aws.stack(base.name)["StackId"]
    assert may(aws, role, "cloudformation:DescribeStacks", base_id)
    assert may(aws, role, "iam:PassRole", base.outputs["StackRoleArn"])
    source = f"arn:aws:s3:::{base.outputs['SourceBucket']}/source/1.zip"
    assert may(aws, role, "s3:PutObject", source)


def deploy_role(aws: Aws, base: Base) -> None:
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    deployed(
        aws,
        f"{base.name}-role",
        "pipeline/github-role.yaml",
        Name=base.name,
        ProviderArn=provider,
        Repository="owner/web",
    )


def test_the_workflow_promotes_an_image_that_passes_its_test(aws: Aws, base: Base) -> None:
    deploy_role(aws, base)
    commit = base.commit()

    run = run_workflow(aws, base, commit)

    assert not run.failed, (run.log, base.machines.said)
    [(image_id, image)] = images(aws, base.name).items()
    assert image.startswith(f"{base.name}/{commit}/i-")
    assert published(aws, f"/{base.name}/image") == (image_id, "aws:ec2:image")
    left = {f"{base.name}-image-{commit}-1-1", f"{base.name}-promoted", f"{base.name}-role"}
    assert stacks_named(aws, f"{base.name}-") == left
    assert len(base.machines.said) == 2
    deleted(aws, *left)
    assert images(aws, base.name) == {}


@pytest.mark.nightly
def test_the_workflow_promotes_no_image_that_fails_its_test_and_keeps_the_one_before(
    aws: Aws, base: Base
) -> None:
    deploy_role(aws, base)
    before = "ami-0123456789abcdef0"
    promoted = f"{base.name}-promoted"
    deployed(aws, promoted, "pipeline/promote.yaml", Name=base.name, ImageId=before)
    commit = base.commit(test=FAILING)

    run = run_workflow(aws, base, commit)

    assert run.failed
    assert run.outcomes == {"builder": "success", "image": "success", "promote": "skipped"}
    assert "WaitCondition received failed message: 'The greeting is rude'" in run.log
    assert published(aws, f"/{base.name}/image") == (before, "aws:ec2:image")
    assert stacks_named(aws, f"{base.name}-") == {promoted, f"{base.name}-role"}
    assert images(aws, base.name) == {}
    deleted(aws, promoted, f"{base.name}-role")


@pytest.mark.nightly
def test_the_workflow_bundles_nothing_where_the_installation_fails(aws: Aws, base: Base) -> None:
    deploy_role(aws, base)
    commit = base.commit(install="#!/bin/bash\nexit 3\n")

    run = run_workflow(aws, base, commit)

    assert run.failed
    assert run.outcomes == {"builder": "failure", "image": "skipped", "promote": "skipped"}
    assert "of the user data failed: bash image/install.sh" in run.log
    assert stacks_named(aws, f"{base.name}-") == {f"{base.name}-role"}
    deleted(aws, f"{base.name}-role")


@pytest.fixture
def execute(aws: Aws, base: Base) -> Iterator[Callable[[str], Execution]]:
    """Carries out the pipeline for a commit, as it is deployed."""
    stack = f"{base.name}-pipeline"
    connection = f"arn:aws:codeconnections:{REGION}:123456789012:connection/{uuid.uuid4()}"
    outputs = deployed(
        aws,
        stack,
        "pipeline/codepipeline.yaml",
        Name=base.name,
        ConnectionArn=connection,
        Repository="owner/web",
    )
    [properties] = {
        event["ResourceProperties"]
        for event in aws.events(stack)
        if event["LogicalResourceId"] == "Pipeline" and "ResourceProperties" in event
    }

    def carry_out(commit: str) -> Execution:
        execution = Execution(
            aws=aws,
            id=str(uuid.uuid4()),
            pipeline=json.loads(properties),
            commit=(commit, base.archive()),
            meanwhile=base.machines.boot,
        )
        execution.carry_out()
        return execution

    def ended(execution: Execution) -> list[str]:
        return react(
            aws,
            {
                "source": "aws.codepipeline",
                "detail-type": "CodePipeline Pipeline Execution State Change",
                "detail": {
                    "pipeline": outputs["Pipeline"],
                    "execution-id": execution.id,
                    "state": "FAILED" if execution.failed else "SUCCEEDED",
                },
            },
        )

    def carry_out_and_react(commit: str) -> Execution:
        execution = carry_out(commit)
        removed = ended(execution)
        wait_for(
            lambda: True if stacks_named(aws, base.name).isdisjoint(removed) else None,
            f"{removed} to be deleted",
        )
        return execution

    yield carry_out_and_react
    deleted(aws, stack)


def test_the_pipeline_promotes_an_image_that_passes_its_test(
    aws: Aws, base: Base, execute: Callable[[str], Execution]
) -> None:
    commit = base.commit()

    execution = execute(commit)

    assert execution.failed is None, base.machines.said
    [(image_id, image)] = images(aws, base.name).items()
    assert image.startswith(f"{base.name}/{commit}/i-")
    assert published(aws, f"/{base.name}/image") == (image_id, "aws:ec2:image")
    left = [f"{base.name}-image-{execution.id}", f"{base.name}-promoted"]
    assert stacks_named(aws, f"{base.name}-") == {*left, f"{base.name}-pipeline"}
    assert len(base.machines.said) == 2
    deleted(aws, *left)


def test_the_pipeline_promotes_no_image_that_fails_its_test(
    aws: Aws, base: Base, execute: Callable[[str], Execution]
) -> None:
    commit = base.commit(test=FAILING)

    execution = execute(commit)

    assert execution.failed == "Test"
    assert stacks_named(aws, f"{base.name}-") == {f"{base.name}-pipeline"}
    assert images(aws, base.name) == {}
