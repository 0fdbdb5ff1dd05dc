"""The policies for template authors of docs/security.md, with IAM evaluated."""

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION
from tests.fixtures import PATIENCE

from .examples import EXAMPLES, environment
from .support import Aws, json_of, wait_for

ROLE, FUNCTION = "arn:aws:iam::123456789012:role/image-stacks", "cfn-instance-bundle"


@dataclass(frozen=True)
class Author:
    """Somebody who deploys stacks by AWS CLI, with these variables alone."""

    environment: dict[str, str]

    def type(self, *arguments: str, refused: str = "") -> None:
        """Type a command of AWS CLI, which succeeds, or lacks an action."""
        done = self.typed(*arguments)
        assert (done.returncode == 0) is not bool(refused), done.stdout + done.stderr
        assert refused in done.stderr

    def typed(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """What a command of AWS CLI ends with."""
        return subprocess.run(
            [Path(sys.executable).parent / "aws", *arguments],
            cwd=EXAMPLES,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def author(aws: Aws, tmp_path: Path) -> Author:
    """The role of the stacks, and a session of an author's."""
    page = (REPOSITORY / "docs/security.md").read_text()
    section = page.partition("## A policy for template authors\n")[2].partition("\n## ")[0]
    of_stacks, of_authors = re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    _role(aws, "image-stacks", of_stacks, {"Service": "cloudformation.amazonaws.com"})
    _role(aws, "image-authors", of_authors, {"AWS": "arn:aws:iam::123456789012:root"})
    session = aws.clients.client("sts").assume_role(
        RoleArn=ROLE.replace("stacks", "authors"), RoleSessionName="kim"
    )["Credentials"]
    credentials = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
        "AWS_DEFAULT_REGION": REGION,
    }
    return Author({**environment(aws, tmp_path), **credentials})


def _role(aws: Aws, name: str, policy: str, principal: dict[str, Any]) -> None:
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam = aws.clients.client("iam")
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    iam.put_role_policy(RoleName=name, PolicyName="of-the-page", PolicyDocument=policy)


def test_an_author_deploys_images_by_the_role_of_the_stacks_and_nothing_else(
    aws: Aws, author: Author
) -> None:
    name = f"images-{uuid.uuid4().hex[:8]}"
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")
    deploy = (
        *("cloudformation", "deploy", "--template-file", "store-image.yaml", "--stack-name"),
        *(name, "--role-arn", ROLE, "--parameter-overrides", "OnDelete=Delete"),
        *(f"InstanceId={instance}", f"Bucket={aws.ready['bucket']}"),
    )
    another = [each.replace(name, f"other-{name}") for each in deploy]
    of_authors = [each.replace("image-stacks", "image-authors") for each in deploy]

    # Policies count some seconds after they were put.
    reads = ("cloudformation", "describe-stacks", "--stack-name", name)
    wait_for(lambda: "does not exist" in author.typed(*reads).stderr or None, "the policies")
    author.type(*another, refused="cloudformation:")
    author.type(*of_authors, refused="iam:PassRole")
    author.type("lambda", "invoke", "--function-name", FUNCTION, "-", refused="AccessDenied")
    done = author.typed(*deploy)
    reasons = [each.get("ResourceStatusReason") for each in aws.events(name)]
    assert done.returncode == 0, " // ".join(filter(None, reasons))
    image = aws.outputs(aws.stack(name))["ImageId"]
    author.type(*deploy, "ImageDescription=changed")
    assert aws.outputs(aws.stack(name))["ImageId"] == image
    author.type("cloudformation", "delete-stack", "--stack-name", name)
    author.type("cloudformation", "wait", "stack-delete-complete", "--stack-name", name)

    asked = json_of(f"{aws.clients.endpoint}/sandbox/authorizations")
    by_role = [each for each in asked if each["function"] == "AWSCloudFormation"]
    assert {each["action"] for each in by_role} == {"lambda:InvokeFunction"}
    assert all(each["allowed"] for each in by_role)
