"""The example of the AWS CDK: its types are checked; it is synthesized, linted and deployed."""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS
from tests.fixtures import PATIENCE

from .examples import EXAMPLES, complete, deleted, environment, read
from .support import Aws

BIN = REPOSITORY / ".venv-cdk" / "bin"
EXAMPLE = EXAMPLES / "cdk"
CFN_LINT = Path(sys.executable).with_name("cfn-lint")


@pytest.fixture(scope="module", autouse=True)
def _set_up() -> None:
    if not BIN.exists():
        pytest.fail("the AWS CDK is missing: `make test` sets it up")


@pytest.fixture
def node() -> Path:
    """The directory of Node.js, which the CDK runs on."""
    found = shutil.which("node")
    if found is None:
        reason = "no `node` on the PATH; the AWS CDK needs Node.js"
        (pytest.fail if os.environ.get("REQUIRE_NODE") else pytest.skip)(reason)
    return Path(found).parent


def commands(section: str) -> str:
    """The commands of a section of examples/README.md, as a script."""
    text = read("README.md").split(f"## {section}\n")[1].split("\n## ")[0]
    [block] = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.sub(r"^\$ ", "", block, flags=re.MULTILINE)


def test_the_commands_of_the_read_me_deploy_the_stack(aws: Aws, node: Path, tmp_path: Path) -> None:
    name, bucket = f"web-{uuid.uuid4().hex[:8]}", aws.ready["bucket"]
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")
    script = commands("With the AWS CDK")
    for example, own in {
        "i-1234567890abcdef0": instance,
        "my-images": bucket,
        "--stack-name web ": f"--stack-name {name} ",
    }.items():
        assert example in script
        script = script.replace(example, own)
    project, home = tmp_path / "project", tmp_path / "home"
    shutil.copytree(EXAMPLES, project / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    variables = environment(aws, home)

    done = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=project,
        env={
            **variables,
            **CREDENTIALS,
            "PATH": os.pathsep.join([str(BIN), str(node), variables["PATH"]]),
            "JSII_RUNTIME_PACKAGE_CACHE": "disabled",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert not (home / ".cache").exists()
    [template] = (project / "cdk.out").glob("*.template.json")
    linted = subprocess.run(
        [CFN_LINT, template],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
    synthesized = json.loads(template.read_text())
    assert synthesized.keys() == {"Parameters", "Resources", "Outputs"}  # no rule of a bootstrap
    assert synthesized["Parameters"].keys() == {"InstanceId", "Bucket"}
    types = {each["Type"] for each in synthesized["Resources"].values()}
    assert types == {"Custom::InstanceBundle"}
    outputs = complete(aws, name, "CREATE_COMPLETE")
    image_id = outputs["ImageId"]
    assert outputs == {"ImageId": image_id, "S3Uri": f"s3://{bucket}/{image_id}.bin"}
    [image] = aws.clients.ec2.describe_images(ImageIds=[image_id])["Images"]
    assert image["Description"] == "The web server"
    deleted(aws, name)
    assert aws.clients.ec2.describe_images(ImageIds=[image_id])["Images"] == []
    assert aws.keys(image_id) == []


WRONG = """\
from aws_cdk import Stack
from bundle import InstanceBundle

stack = Stack()
InstanceBundle(stack, "A", method="StoreImages", instance_id="i-1", bucket="b")
InstanceBundle(stack, "B", method="StoreImage", instance_id="i-1", bucket="b", on_delete="Keep")
InstanceBundle(stack, "C", method="StoreImage", instance_id="i-1", bucket="b", image={"Nam": "n"})
InstanceBundle(stack, "D", method="StoreImage", bucket="b")
number: int = InstanceBundle(stack, "E", method="StoreImage", instance_id="", bucket="").image_id
"""


def test_the_types_are_right_and_find_what_is_wrong(tmp_path: Path) -> None:
    """mypy does not follow the CDK's packages of services, which take it minutes."""
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "wrong.py").write_text(WRONG)
    [library] = BIN.parent.glob("lib/python*/site-packages/aws_cdk")
    services = [path.name for path in library.iterdir() if (path / "__init__.py").exists()]
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = true\ncache_dir = {tmp_path / 'cache'}\n"
        f"[mypy-{','.join(f'aws_cdk.{name}.*' for name in services if name != '_jsii')}]\n"
        "follow_imports = skip\n"
    )

    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", settings),
            *("--python-executable", BIN / "python", "--no-pretty", "."),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    found = re.findall(r"^(\S+):(\d+): error: .*\[(\S+)\]$", done.stdout, re.MULTILINE)
    assert found == [
        ("wrong.py", "5", "arg-type"),
        ("wrong.py", "6", "arg-type"),
        ("wrong.py", "7", "arg-type"),
        ("wrong.py", "8", "call-arg"),
        ("wrong.py", "9", "assignment"),
    ], done.stdout + done.stderr
