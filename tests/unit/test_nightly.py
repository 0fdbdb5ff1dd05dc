"""What `make nightly` runs, and its table."""

import io
import sys

import pytest
from rich.console import Console

from tools.nightly import PARTS, Part, Result, cases, main, run, table

CLOSED = "===== 1 failed, 12 passed, 3 skipped in 4.56s =====\n"


def printing(text: str, status: int = 0) -> Part:
    """A part that prints a text and exits."""
    return Part("one", (sys.executable, "-c", f"import sys; print({text!r}); sys.exit({status})"))


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([CLOSED], "1 failed, 12 passed, 3 skipped"),
        (["===== 3257 passed in 436.16s (0:07:16) =====\n"], "3257 passed"),
        (["12 passed in 4.56s\n"], "12 passed"),
        (["== 5 deselected in 0.10s ==\n"], "5 deselected"),
        (["12 passed in 4.56s\n", CLOSED], "1 failed, 12 passed, 3 skipped"),
        (["   60 sequences,   81 s\n", "Found 0 errors in 4.56s\n"], ""),
        ([], ""),
    ],
)
def test_cases_are_the_counts_of_the_last_closing_line(lines: list[str], expected: str) -> None:
    assert cases(lines) == expected


def test_a_part_is_run_and_its_output_is_passed_on() -> None:
    lines: list[str] = []

    result = run(printing(CLOSED, 3), lines.append)

    assert (result.name, result.cases, result.status) == (
        "one",
        "1 failed, 12 passed, 3 skipped",
        3,
    )
    assert lines == [CLOSED, "\n"]


def test_the_table_has_a_row_for_each_part() -> None:
    shown = console()

    shown.print(table([Result("test", "12 passed", 0, 1234.5), Result("lint", "", 2, 1.0)]))

    cells = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in printed(shown).splitlines()
    ]
    assert ["test", "12 passed", "passed", "1,234"] in cells
    assert ["lint", "", "FAILED (2)", "1"] in cells


def test_a_failure_does_not_stop_the_rest_and_fails_the_whole() -> None:
    shown = console()

    status = main([printing("first [1]", 1), printing("second")], shown)

    assert status == 1
    assert "first [1]\n" in printed(shown)
    assert "second\n" in printed(shown)


def test_passes_if_all_parts_pass() -> None:
    assert main([printing("first"), printing("second")], console()) == 0


def test_each_part_has_a_name_of_its_own() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
