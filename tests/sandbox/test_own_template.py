"""`python -m sandbox serve --template` and `--empty`, as a user of another project types them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from tests.fixtures import PATIENCE
from tests.stacks.support import SandboxProcess

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting:
    Type: String
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code/
      Handler: app.handler
      Runtime: python3.13
  Inline:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: |
        def handler(event, context):
            return "inline"
      Handler: index.handler
      Runtime: python3.13
  Word:
    Type: Custom::Word
    Properties:
      ServiceToken: !GetAtt Fn.Arn
      Word: !Ref Greeting
Outputs:
  Said:
    Value: !GetAtt Word.Said
  Function:
    Value: !Ref Inline
"""

CODE = """\
import json
import urllib.request

from helper import said


def handler(event, context):
    answer = {
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        "PhysicalResourceId": "word",
        "Status": "SUCCESS",
        "Data": {"Said": said(event["ResourceProperties"]["Word"])},
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(request).close()
"""

HELPER = """\
def said(word):
    return f"said {word}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a template and the code of its function."""
    (tmp_path / "other.yaml").write_text(TEMPLATE)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(CODE)
    (tmp_path / "code" / "helper.py").write_text(HELPER)
    return tmp_path


@pytest.fixture
def sandbox(project: Path) -> Iterator[SandboxProcess]:
    process = SandboxProcess.start(
        project,
        {"Greeting": "hello"},
        options=("--template", str(project / "other.yaml"), "--stack-name", "words"),
    )
    try:
        yield process
    finally:
        status = process.end()
    assert status == 0


def typed(command: str, directory: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/bash", "-euc", command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_a_template_is_deployed_and_after_an_edit_updated(
    sandbox: SandboxProcess, project: Path
) -> None:
    ready: dict[str, Any] = sandbox.ready
    clients = Clients(ready["endpoint"])

    assert ready["stack_name"] == "words"
    assert ready["outputs"]["Said"] == "said hello"
    name = ready["outputs"]["Function"]
    answer = clients.functions.invoke(FunctionName=name)["Payload"].read()
    assert json.loads(answer) == "inline"
    shown = sandbox.log.read_text()
    assert "Said      said hello\n" in shown
    assert [each["StackName"] for each in clients.cloudformation.describe_stacks()["Stacks"]] == [
        "words"
    ]

    lines = [line.strip() for line in shown.splitlines()]
    [export] = [line for line in lines if line.startswith("export ")]
    update = [line for line in lines if line.startswith("aws ")]
    (project / "code" / "helper.py").write_text(HELPER.replace("said {word}", "shouted {word}"))
    (project / "other.yaml").write_text(TEMPLATE.replace("Word: !Ref", "Edit: 1\n      Word: !Ref"))
    programs = str(Path(sys.executable).parent)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(project)}
    typed("\n".join([export, *update]), project, environment)

    [stack] = clients.cloudformation.describe_stacks(StackName="words")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert (stack["StackStatus"], outputs["Said"]) == ("UPDATE_COMPLETE", "shouted hello")


def test_an_empty_sandbox_has_nothing_in_it(tmp_path: Path) -> None:
    process = SandboxProcess.start(tmp_path, options=("--empty",))
    try:
        ready: dict[str, Any] = process.ready
        clients = Clients(ready["endpoint"])
        assert (ready["stack_name"], ready["outputs"]) == (None, {})
        assert clients.cloudformation.describe_stacks()["Stacks"] == []
        assert clients.s3.list_buckets()["Buckets"] == []
        assert clients.ec2.describe_instances()["Reservations"] == []
        assert clients.functions.list_functions()["Functions"] == []
        mode = (tmp_path / "ready.json").stat().st_mode
        assert oct(mode & 0o777) == "0o600"
    finally:
        status = process.end()
    assert status == 0


def failed(project: Path, *options: str) -> str:
    """What `serve` prints of a template that can't be deployed."""
    command = [sys.executable, "-m", "sandbox", "serve", "--port", "0"]
    done = subprocess.run(
        [*command, "--template", str(project / "other.yaml"), *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, f"{shlex.join(options)}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def test_a_failed_deployment_shows_the_events_of_the_stack(project: Path) -> None:
    (project / "code" / "app.py").write_text(
        CODE.replace(
            '"Status": "SUCCESS"',
            '"Status": "FAILED" if event["RequestType"] == "Create" else "SUCCESS",'
            ' "Reason": "No such word."',
        )
    )

    shown = failed(project, "--parameter", "Greeting=hello")

    assert "Stack app of" in shown
    assert "ROLLBACK_COMPLETE:" in shown
    events = [line.split() for line in shown.splitlines()]
    [word] = [each for each in events if each[1:3] == ["CREATE_FAILED", "Word"]]
    assert word[3] == "Custom::Word"
    assert "No such word." in " ".join(word)
    assert events[-1][1:3] == ["ROLLBACK_COMPLETE", "app"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (TEMPLATE, "Parameters: [Greeting] must have values"),
        (TEMPLATE.replace("code/", "missing/"), "missing"),
        ("Resources: [", "other.yaml"),
    ],
)
def test_what_is_wrong_with_a_template_is_printed(project: Path, template: str, said: str) -> None:
    (project / "other.yaml").write_text(textwrap.dedent(template))

    assert said in failed(project)
