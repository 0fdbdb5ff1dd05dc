"""`doctor` about a stack alone; tests/stacks/test_doctor.py is about the rest."""

import re
from typing import Any

import pytest

from cli.doctor import stack
from cli.doctor.findings import Finding, Result, aws, problem, typed, unknown, warning
from cli.doctor.site import Reader, Site
from cli.doctor.template import Place, Template
from cli.installation import Account
from instance_bundle import __version__
from sandbox.artifact import REPOSITORY

ARN = "arn:aws:cloudformation:us-east-1:123456789012:stack/app/1"


def site(status: str = "UPDATE_COMPLETE", version: str = __version__, **parameters: str) -> Site:
    described: dict[str, Any] = {
        "StackStatus": status,
        "Outputs": [{"OutputKey": "Version", "OutputValue": version}],
        "Capabilities": ["CAPABILITY_IAM"],
    }
    place = Place("aws", "us-east-1", "123456789012")
    template = Template({"Resources": {}}, "app", place, parameters, {})
    return Site(Reader(Account().client), described, template, "ledger")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("CREATE_COMPLETE", "ok"),
        ("UPDATE_ROLLBACK_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warning"),
        ("ROLLBACK_COMPLETE", "problem"),
        ("UPDATE_ROLLBACK_FAILED", "problem"),
        ("DELETE_FAILED", "problem"),
    ],
)
def test_the_last_operation_is_judged_by_its_status(status: str, verdict: str) -> None:
    assert Result("stack", tuple(stack.status(site(status)))).verdict == verdict


def test_a_rollback_that_failed_is_continued() -> None:
    [finding] = stack.status(site("UPDATE_ROLLBACK_FAILED"))

    assert typed(finding.commands[1], ()) == (
        "aws cloudformation continue-update-rollback --stack-name app"
    )


@pytest.mark.parametrize(
    ("version", "program"), [(__version__, None), ("0.0.9", "sam"), ("999.0.0", "pipx")]
)
def test_the_older_of_application_and_command_is_to_be_replaced(
    version: str, program: str | None
) -> None:
    findings = [*stack.version(site(version=version))]

    assert [finding.commands[0][0] for finding in findings] == ([program] if program else [])


def test_a_parameter_is_changed_and_the_others_are_kept() -> None:
    [finding] = stack.pause(site(Paused="true", FunctionName="app"))

    assert typed(finding.commands[0], ("--region", "eu-west-1")) == (
        "aws cloudformation update-stack --stack-name app --use-previous-template"
        " --capabilities CAPABILITY_IAM --parameters ParameterKey=Paused,ParameterValue=false"
        " ParameterKey=FunctionName,UsePreviousValue=true --region eu-west-1"
    )
    assert [*stack.pause(site(Paused="false"))] == []


def test_a_command_is_quoted_for_a_shell_and_has_the_options_of_aws_cli() -> None:
    options = Account("mine", None, "http://127.0.0.1:4580").options()

    assert typed(aws("s3", "mb", "s3://it's"), options) == (
        """aws s3 mb 's3://it'"'"'s' --profile mine --endpoint-url http://127.0.0.1:4580"""
    )
    assert typed(("sam", "build"), options) == "sam build"


def test_the_verdict_is_the_worst() -> None:
    findings: list[Finding] = [warning("a", "b"), problem("a", "b"), unknown("a", "b")]

    assert Result("check", tuple(findings)).verdict == "problem"
    assert Result("check", (findings[0], findings[2])).verdict == "unknown"
    assert Result("check", ()).verdict == "ok"


def test_the_actions_that_it_needs_are_documented() -> None:
    code = "".join(path.read_text() for path in (REPOSITORY / "cli" / "doctor").glob("*.py"))
    text = (REPOSITORY / "docs" / "command.md").read_text()

    read = re.findall(r'\.read\(\s*"(\w+:\w+)"', code)

    assert re.findall(r"^([a-z0-9]+:[A-Z]\w+)$", text, re.MULTILINE) == sorted(
        {*read}, key=str.lower
    )
