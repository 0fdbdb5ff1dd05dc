"""Stacks that are moved from an installation to another one, as docs/installations.md says."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .installations import install
from .pages import Operator
from .support import Aws, created, deleted, side_by_side

Template = Callable[..., dict[str, Any]]

FIRST, SECOND = "moved-from", "moved-to"


def test_a_stack_that_is_moved_makes_a_bundle_of_its_own(
    aws: Aws, template: Template, tmp_path: Path
) -> None:
    for name in (FIRST, SECOND):
        stack_id = install(aws, name, {"FunctionName": name, "ExportName": ""})
        assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)

    side_by_side(
        partial(_keeps_the_earlier, aws, template, tmp_path / "kept"),
        partial(_removes_the_earlier, aws, template, tmp_path / "removed"),
    )


def _keeps_the_earlier(aws: Aws, template: Template, home: Path) -> None:
    operator = _operator(aws, home)
    instance = aws.instance(seconds="1")
    body = _of(FIRST, template(instance, "moved/kept", OnDelete="Delete"))
    stack_id, outputs = created(aws, body)
    stack = stack_id.split("/")[1]

    body["Resources"]["Bundle"] |= {"DeletionPolicy": "Retain"}
    body["Resources"]["Bundle"]["Properties"]["ServiceTimeout"] = 3599
    (home / "retained.yaml").write_text(json.dumps(body))
    operator.type("Move a stack", 0, STACK=stack)
    assert aws.outputs(aws.stack(stack)) == outputs
    _move(operator, stack, template(instance, "moved/kept-two", OnDelete="Delete"))

    assert len(aws.bundle_requests(instance)) == 2
    assert aws.keys("moved/kept.manifest") != []
    assert [_owned(operator, name, stack_id) for name in (FIRST, SECOND)] == [
        [("Bundle", "managed")],
        [("Moved", "managed")],
    ]
    deleted(aws, stack_id)
    assert aws.keys("moved/kept-two") == []
    assert aws.keys("moved/kept.manifest") != []


def _removes_the_earlier(aws: Aws, template: Template, home: Path) -> None:
    operator = _operator(aws, home)
    instance = aws.instance(seconds="1")
    body = _of(FIRST, template(instance, "moved/removed", OnDelete="Delete"))
    stack_id, _ = created(aws, body)

    _move(operator, stack_id.split("/")[1], template(instance, "moved/removed-two"))

    assert aws.keys("moved/removed.") == []
    assert aws.keys("moved/removed-two.manifest") != []


def _operator(aws: Aws, home: Path) -> Operator:
    home.mkdir()
    return Operator(aws, "docs/installations.md", home)


def _move(operator: Operator, stack: str, body: dict[str, Any]) -> None:
    """Deploy the stack with a resource of another logical ID, of the second installation."""
    body = _of(SECOND, body)
    moved = {"Resources": {"Moved": body["Resources"]["Bundle"]}}
    (operator.directory / "moved.yaml").write_text(json.dumps(moved))
    operator.type("Move a stack", 1, STACK=stack)


def _of(installation: str, body: dict[str, Any]) -> dict[str, Any]:
    """The template, for an installation."""
    token = f"{{{{resolve:ssm:/instance-bundle/{installation}/ServiceToken}}}}"
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
    return body


def _owned(operator: Operator, installation: str, stack_id: str) -> list[tuple[str, str]]:
    """What an installation has of a stack."""
    command = f"instance-bundle owned {stack_id} --application {installation} --output json"
    found = json.loads(operator.run(command))["bundles"]
    return [(each["logicalId"], each["custody"]) for each in found]
