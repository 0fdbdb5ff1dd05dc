"""docs/architecture.md names lines and tests that exist."""

import re

import pytest

from sandbox.artifact import REPOSITORY

TEXT = (REPOSITORY / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"^\| [A-Za-z, ]+ \| ([^|]+) \| (.*`) \| `(tests/[^`]+)` \|$", TEXT, re.MULTILINE)
PACKAGE = REPOSITORY / "functions" / "instance_bundle"


def test_there_is_a_table_of_guarantees() -> None:
    assert len(ROWS) >= 25


@pytest.mark.parametrize(("guarantee", "place", "test"), ROWS, ids=[row[0] for row in ROWS])
def test_each_guarantee_names_its_line_and_its_test(guarantee: str, place: str, test: str) -> None:
    *file, line = re.findall(r"`([^`]+)`", place.replace("\\|", "|"))
    [path] = PACKAGE.glob(f"*/{file[0] if file else 'next_step.py'}")
    assert line in path.read_text()

    module, _, name = test.partition("::")
    assert f"def {name}(" in (REPOSITORY / module).read_text()
