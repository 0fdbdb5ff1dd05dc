"""The list of the whole-stack tests that only `make nightly` runs, against the tests themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sandbox.artifact import REPOSITORY
from tests.stacks.nightly import COVERED_BY

STACKS = REPOSITORY / "tests" / "stacks"


def marked(file: Path) -> Iterator[tuple[str, set[str]]]:
    """The node ID of each test in a file, and the names of its marks."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            yield f"{file.relative_to(REPOSITORY)}::{node.name}", marks


def test_the_list_has_each_nightly_test_and_no_other() -> None:
    nightly = {
        test
        for file in STACKS.glob("test_*.py")
        for test, marks in marked(file)
        if "pytest.mark.nightly" in marks and "pytest.mark.faults" not in marks
    }

    assert {*COVERED_BY} == nightly


def test_what_covers_a_nightly_test_is_run_by_make_test() -> None:
    covering = {name for names in COVERED_BY.values() for name in names}
    not_in_make_test = {f"pytest.mark.{mark}" for mark in ("nightly", "faults", "clients")}
    run = {
        test
        for name in covering
        for test, marks in marked(REPOSITORY / name.partition("::")[0])
        if not marks & not_in_make_test
    }

    assert all(COVERED_BY.values())
    assert covering - run == set()
