"""docs/fidelity.md names sources, modules and tests that exist, in rows of one form."""

import ast
import re
from functools import cache

from sandbox.artifact import REPOSITORY
from tools.fidelity import areas, counted

TEXT = (REPOSITORY / "docs" / "fidelity.md").read_text()
HEADER = ["Behaviour", "AWS page", "Sandbox", "Test", "Evidence"]
SOURCES = ("https://docs.aws.amazon.com/", "https://aws.amazon.com/", "https://github.com/")
TABLES = [
    [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
    for table in re.findall(r"(?:^\|.*\n)+", TEXT[TEXT.index("## ") :], re.MULTILINE)
]
ROWS = [row for table in TABLES for row in table[2:]]


@cache
def functions_of(file: str) -> set[str]:
    """The functions of a test file, found without importing it."""
    tree = ast.parse((REPOSITORY / "tests" / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_each_section_is_a_table_of_the_same_columns() -> None:
    assert [table[0] for table in TABLES] == [HEADER] * len(re.findall(r"^## ", TEXT, re.MULTILINE))
    assert [row for row in ROWS if len(row) != len(HEADER) or "" in row] == []


def test_no_behaviour_has_two_rows() -> None:
    behaviours = [row[0] for row in ROWS]

    assert [each for each in behaviours if behaviours.count(each) > 1] == []


def test_each_row_links_to_its_source() -> None:
    links = {row[0]: re.findall(r"\]\(([^)]+)\)", row[1]) for row in ROWS}

    assert [
        row for row, urls in links.items() if not any(u.startswith(SOURCES) for u in urls)
    ] == []


def test_each_row_names_modules_of_the_sandbox() -> None:
    modules = {row[0]: [name for name in quoted(row[2]) if ".py" in name] for row in ROWS}

    assert [row[0] for row in ROWS if not modules[row[0]] and not row[2].startswith("moto")] == []
    named = {name for names in modules.values() for name in names}
    assert {name for name in named if not (REPOSITORY / "sandbox" / name).is_file()} == set()


def test_each_row_names_tests_that_exist() -> None:
    tests = {row[0]: quoted(row[3]) for row in ROWS}

    assert [row for row, named in tests.items() if not named] == []
    for test in {test for named in tests.values() for test in named}:
        file, _, name = test.partition("::")
        assert name.startswith("test_"), test
        assert name in functions_of(file), test


def test_each_row_says_how_its_behaviour_is_known() -> None:
    assert [
        row[4] for row in ROWS if not re.match(r"(documented|recorded|assumed)\b", row[4])
    ] == []


def test_the_counts_are_those_of_the_rows() -> None:
    assert counted(TEXT) == TEXT


def test_a_row_counts_for_each_kind_of_its_evidence() -> None:
    [area] = areas(
        "## Area\n\n| B | P | S | T | E |\n|---|---|---|---|---|\n"
        "| a \\| b | p | s | t | documented; its message: recorded |\n| c | p | s | t | assumed |\n"
    )

    assert area.row() == "| Area | 2 | 1 | 1 | 1 |"
