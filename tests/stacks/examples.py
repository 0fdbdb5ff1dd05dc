"""The stacks of `examples/`: how they are deployed, and the machines of their instances."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION
from tests.fixtures import PATIENCE

from .support import Aws

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

EXAMPLES = REPOSITORY / "examples"


def read(example: str) -> str:
    return (EXAMPLES / example).read_text()


def parameters(given: Mapping[str, str]) -> "list[ParameterTypeDef]":
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


def deployed(aws: Aws, name: str, example: str, **given: str) -> dict[str, str]:
    """The outputs of a new stack of an example."""
    aws.clients.cloudformation.create_stack(
        StackName=name,
        TemplateBody=read(example),
        Parameters=parameters(given),
        Capabilities=["CAPABILITY_IAM"],
    )
    return complete(aws, name, "CREATE_COMPLETE")


def updated(aws: Aws, name: str, body: str, **given: str) -> "StackTypeDef":
    """The stack, at rest after its update to a template's text."""
    aws.clients.cloudformation.update_stack(
        StackName=name, TemplateBody=body, Parameters=parameters(given)
    )
    return aws.at_rest(name)


def complete(aws: Aws, name: str, status: str) -> dict[str, str]:
    """The outputs of a stack that comes to rest with this status."""
    stack = aws.at_rest(name)
    assert stack["StackStatus"] == status, aws.events(name)
    return aws.outputs(stack) if "Outputs" in stack else {}


def deleted(aws: Aws, *names: str) -> None:
    """Delete stacks, one after the other."""
    for name in names:
        stack_id = aws.stack(name)["StackId"]
        aws.clients.cloudformation.delete_stack(StackName=name)
        assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE", aws.events(stack_id)


def stacks(aws: Aws, prefix: str) -> set[str]:
    """The names of the stacks that there are whose names begin so."""
    pages = aws.clients.cloudformation.get_paginator("describe_stacks").paginate()
    return {
        stack["StackName"]
        for page in pages
        for stack in page["Stacks"]
        if stack["StackName"].startswith(prefix)
    }


def may(aws: Aws, role_arn: str, action: str, resource: str) -> bool:
    """Whether a role's policies allow an action on a resource; it ignores conditions."""
    iam, role = aws.clients.client("iam"), role_arn.rpartition("/")[2]
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in policy["Statement"]:
            actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
            if action in actions and any(fnmatchcase(resource, each) for each in resources):
                return True
    return False


def trusts(aws: Aws, role_arn: str, service: str) -> bool:
    """Whether a service may take a role."""
    role = aws.clients.client("iam").get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    return bool(statement["Principal"] == {"Service": service})


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def patch_sleep(directory: Path) -> None:
    """Make a directory that, in PYTHONPATH, has the AWS CLI sleep half a second at most.

    The CLI's waiters poll every 30 seconds, which nothing shortens but a shorter sleep.
    """
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(
        "import time\nsleep = time.sleep\ntime.sleep = lambda seconds: sleep(min(seconds, 0.5))\n"
    )


def environment(aws: Aws, directory: Path) -> dict[str, str]:
    """What programs need to reach the sandbox, but credentials; the directory is their home."""
    patch_sleep(directory)
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(directory),
        "PYTHONPATH": str(directory),
        "AWS_ENDPOINT_URL": aws.clients.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass
class Machines:
    """The machines of a pipeline's instances, which boot here: the sandbox has none.

    A machine runs its instance's user data. `/opt/source` is its disk; one whose image was made of
    another machine's instance has what that one's disk held.

    Attributes:
        stacks: the machines are those of stacks whose names begin so.
        directory: where the disks are.
        said: what the user data printed, by instance.
    """

    aws: Aws
    stacks: str
    directory: Path
    environment: Mapping[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def boot(self) -> None:
        """Boot the machines that have not booted yet."""
        # By tags: an answer has a hundred instances at most, and other tests run more.
        found = self.aws.clients.ec2.describe_instances(
            Filters=[
                {"Name": "instance-state-name", "Values": ["running"]},
                {"Name": "tag:aws:cloudformation:stack-name", "Values": [f"{self.stacks}*"]},
            ]
        )
        for reservation in found["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["InstanceId"] not in self.said:
                    self.said[instance["InstanceId"]] = self._run(instance)

    def _run(self, instance: "InstanceTypeDef") -> str:
        disk = self._disk(instance)
        user_data = self.aws.clients.ec2.describe_instance_attribute(
            InstanceId=instance["InstanceId"], Attribute="userData"
        )["UserData"]["Value"]
        script = self.directory / f"{instance['InstanceId']}.sh"
        text = base64.b64decode(user_data).decode()
        assert text.startswith("#!/bin/bash\n")
        script.write_text(text.replace("/opt/source", str(disk)))
        run = subprocess.run(
            ["/bin/bash", str(script)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return run.stdout

    def _disk(self, instance: "InstanceTypeDef") -> Path:
        disk = self.directory / instance["InstanceId"]
        [image] = self.aws.clients.ec2.describe_images(ImageIds=[instance["ImageId"]])["Images"]
        source = self.directory / image["Name"].rpartition("/")[2]
        if image["Name"].startswith(self.stacks) and source.is_dir():
            shutil.copytree(source, disk)
        return disk
