"""The list of the whole-stack tests that only `make nightly` runs, against the tests themselves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sandbox.artifact import REPOSITORY
from tests.stacks.nightly import COVERED_BY

STACKS = REPOSITORY / "tests" / "stacks"


def marked(file: Path) -> Iterator[tuple[str, set[str]]]:
    """The node ID of each test in a file, and the names of its marks, its module's included."""
    body = ast.parse(file.read_text()).body
    of_module = {
        mark
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for mark in _marks(node.value)
    }
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            of_test = {mark for decorator in node.decorator_list for mark in _marks(decorator)}
            yield f"{file.relative_to(REPOSITORY)}::{node.name}", of_module | of_test


def _marks(node: ast.expr) -> set[str]:
    return set(re.findall(r"\bpytest\.mark\.(\w+)", ast.unparse(node)))


def test_the_list_has_each_nightly_test_and_no_other() -> None:
    nightly = {
        test
        for file in STACKS.glob("test_*.py")
        for test, marks in marked(file)
        if "nightly" in marks and "faults" not in marks
    }

    assert {*COVERED_BY} == nightly


def test_what_covers_a_nightly_test_is_run_by_make_test() -> None:
    covering = {name for names in COVERED_BY.values() for name in names}
    run = {
        test
        for name in covering
        for test, marks in marked(REPOSITORY / name.partition("::")[0])
        if marks.isdisjoint({"nightly", "faults", "clients"})
    }

    assert all(COVERED_BY.values())
    assert covering - run == set()
