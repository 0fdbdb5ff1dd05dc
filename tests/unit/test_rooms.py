"""Each room has a door: other rooms import the names that its `__init__.py` exports.

The direction of the imports is import-linter's, in `make lint`.
"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY

PACKAGE = REPOSITORY / "functions" / "instance_bundle"
COMMAND = REPOSITORY / "cli"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
SANDBOX = REPOSITORY / "sandbox"
LONGEST = {PACKAGE: 350, SANDBOX: 400}
"""Lines of a file below these directories."""


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports of rooms: the module that it is imported from, and the name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def room(path: Path) -> str:
    return path.parent.name if path.parent not in (PACKAGE, COMMAND) else ""


@pytest.mark.parametrize(
    "path", sorted((*PACKAGE.rglob("*.py"), *COMMAND.rglob("*.py"))), ids=lambda p: p.stem
)
def test_a_room_is_entered_by_its_door(path: Path) -> None:
    for module, name in imports(path):
        _, _, inside = module.partition("instance_bundle.")
        entered, _, below = inside.partition(".")
        if entered in ROOMS and entered != room(path):
            assert below == ""
            assert name in importlib.import_module(module).__all__


@pytest.mark.parametrize("name", ROOMS)
def test_a_door_says_what_its_room_guarantees_and_shows_an_example(name: str) -> None:
    said = importlib.import_module(f"instance_bundle.{name}").__doc__ or ""

    assert "This room guarantees that" in said
    assert "Example:" in said


@pytest.mark.parametrize("name", ROOMS)
def test_a_door_exports_nothing_that_no_other_room_uses(name: str) -> None:
    used = {
        imported
        for path in (*PACKAGE.rglob("*.py"), *COMMAND.rglob("*.py"))
        if room(path) != name
        for module, imported in imports(path)
        if module == f"instance_bundle.{name}"
    }
    clients = {"calling", "cloudformation", "dynamodb", "ec2", "ec2_once", "events", "s3"}
    clients |= {"secretsmanager", "sqs"}

    exported = set(importlib.import_module(f"instance_bundle.{name}").__all__)
    assert exported - used <= (clients | {"FILTER_VALUES"} if name == "aws" else set())


@pytest.mark.parametrize("directory", LONGEST, ids=lambda path: path.name)
def test_no_file_is_longer_than_a_reader_keeps_in_mind(directory: Path) -> None:
    long = {
        str(path.relative_to(directory))
        for path in directory.rglob("*.py")
        if len(path.read_text().splitlines()) > LONGEST[directory]
    }
    assert long == set()
