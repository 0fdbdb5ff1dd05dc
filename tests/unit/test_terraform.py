"""The HCL of docs/terraform.md: it is parsed, and what it names exists."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY

PAGE = REPOSITORY / "docs" / "terraform.md"
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```hcl\n(.*?)^ *```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
]
TYPE = "aws_cloudformation_stack"

ARGUMENTS = frozenset(
    {
        *("name", "template_body", "template_url", "capabilities", "disable_rollback"),
        *("notification_arns", "on_failure", "parameters", "policy_body", "policy_url"),
        *("tags", "iam_role_arn", "timeout_in_minutes", "region", "timeouts"),
        *("depends_on", "lifecycle", "provider", "count", "for_each"),
    }
)
"""What the resource may have: its arguments in the Terraform AWS provider's documentation,
aws_cloudformation_stack, and Terraform's own."""


def resources(type_: str) -> dict[str, dict[str, Any]]:
    """The resources of a type on the page, by name."""
    return {
        name.strip('"'): body
        for block in BLOCKS
        for resource in hcl2.loads(block).get("resource", [])
        for quoted, named in resource.items()
        if quoted == f'"{type_}"'
        for name, body in named.items()
    }


STACKS = resources(TYPE)


def literal(value: Any) -> str | None:
    """The text of a quoted string without interpolation; None for any other expression."""
    is_literal = isinstance(value, str) and re.fullmatch(r'"[^"$]*"', value)
    return str(value).strip('"') if is_literal else None


def text(stack: dict[str, Any]) -> str:
    """The template of a stack, as Terraform would send it."""
    body: str = stack.get("template_body") or stack["template_url"]
    if heredoc := re.fullmatch(r'"<<-YAML\n(.*)\n *YAML"', body, re.DOTALL):
        return textwrap.dedent(heredoc[1]).replace("$${", "${")
    if "aws_s3_object.application" in body:
        return (REPOSITORY / "template.yaml").read_text()
    [file] = re.findall(r'file\("\$\{path\.module\}/([\w-]+\.yaml)"\)', body)
    example: str = (REPOSITORY / "examples" / file).read_text()
    if replaced := re.search(r'"/(\(.*\)1)/",\s*"\$\$\{1\}\$\{var\.image_number\}"', body):
        example, count = re.subn(replaced[1], r"\g<1>2", example)
        assert count
    return example


@cache
def template(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse(text(STACKS[name]))
    return parsed


def references() -> Iterator[tuple[str, str]]:
    """Each output of a stack that is read on the page: the stack's name, and the output's."""
    for block in BLOCKS:
        yield from re.findall(rf'{TYPE}\.(\w+)\.outputs\["(\w+)"\]', block)


each_stack = pytest.mark.parametrize("name", STACKS)


def test_the_page_has_stacks_of_each_kind() -> None:
    assert STACKS.keys() == {"application", "image", "windows", "large_image"}
    assert all(hcl2.loads(block) for block in BLOCKS)


@each_stack
def test_a_stack_has_arguments_and_values_that_the_provider_takes(name: str) -> None:
    stack = {key: value for key, value in STACKS[name].items() if key != "__is_block__"}

    assert stack.keys() - ARGUMENTS == set()
    assert len(stack.keys() & {"template_body", "template_url"}) == 1
    assert not {"on_failure", "disable_rollback"} <= stack.keys()
    assert literal(stack["name"])
    assert literal(stack.get("on_failure", '"DELETE"')) in {"DO_NOTHING", "ROLLBACK", "DELETE"}
    for timeouts in stack.get("timeouts", []):
        given = {key: literal(value) for key, value in timeouts.items() if key != "__is_block__"}
        assert given.keys() <= {"create", "update", "delete"}
        assert all(re.fullmatch(r"\d+[hm]", value or "") for value in given.values())


@each_stack
def test_a_stacks_parameters_are_those_of_its_template(name: str) -> None:
    declared: dict[str, Any] = template(name)["Parameters"]
    given: dict[str, Any] = STACKS[name]["parameters"]

    assert given.keys() - declared.keys() == set()
    assert {key for key, each in declared.items() if "Default" not in each} - given.keys() == set()
    for key, value in given.items():
        allowed = declared[key].get("AllowedValues")
        assert allowed is None or literal(value) in {str(each) for each in allowed}


def test_the_stacks_templates_are_valid(tmp_path: Path) -> None:
    """The application's own is linted by `make lint`."""
    for name in STACKS.keys() - {"application"}:
        (tmp_path / f"{name}.yaml").write_text(text(STACKS[name]))

    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *tmp_path.iterdir()],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_outputs_that_are_read_are_in_the_template_of_their_stack() -> None:
    read = set(references())

    assert {stack for stack, _ in read} == STACKS.keys()
    for stack, output in read:
        assert output in template(stack)["Outputs"], (stack, output)


def test_the_stack_of_a_new_image_number_has_a_new_handle_and_a_new_condition() -> None:
    found = template("large_image")["Resources"]

    assert found.keys() == {"Handle2", "Bundle", "Done2"}
    assert found["Bundle"]["Properties"]["CompletionHandle"] == {"Ref": "Handle2"}


def test_a_stack_that_imports_the_application_depends_on_it() -> None:
    for name, stack in STACKS.items():
        imports = "ImportValue" in text(stack) and name != "application"
        assert imports == (f"${{{TYPE}.application}}" in stack.get("depends_on", []))


def test_what_is_imported_is_on_the_page() -> None:
    [block] = [imported for each in BLOCKS for imported in hcl2.loads(each).get("import", [])]
    [name] = re.findall(rf"{TYPE}\.(\w+)", block["to"])

    assert literal(block["id"]) == literal(STACKS[name]["name"])
