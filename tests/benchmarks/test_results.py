"""docs/limits-and-costs.md has the figures that were measured last, and no others."""

import re

import pytest

from benchmarks import summary
from sandbox.artifact import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
MEASURED = (RESULTS / "README.md").read_text()
PAGE = summary.PAGE.read_text()
SECTION = PAGE.partition("\n## How fast it is")[2]


def test_the_figures_of_the_page_are_those_of_the_results() -> None:
    assert len([*summary.tables(SECTION)]) == 3
    assert summary.updated(PAGE, MEASURED) == PAGE


def test_new_results_change_their_rows_the_date_and_the_versions() -> None:
    row = "| this application | 1 | 3.7 | 14.5 | 0% | 117.6 |"
    results = MEASURED.replace(row, "| this application | 1 | 2.9 | 14.5 | 0% | 98.1 |")
    results = re.sub(r"^- Date: \S+", "- Date: 2027-01-15", results, flags=re.MULTILINE)
    results = re.sub(r"functions on \S+", "functions on 3.14.2", results)
    results = re.sub(r"page, in \d+ minutes", "page, in 11 minutes", results)

    found = summary.updated(PAGE, results)

    changed = set(found.splitlines()) - set(PAGE.splitlines())
    assert "| this application | 1 | 2.9 | 14.5 | 98.1 | 0.592 |" in changed
    assert "measured on 2027-01-15 " in found
    assert "functions on 3.14.2, in 11 minutes" in " ".join(found.split())
    assert len(changed) <= 4


def test_a_row_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="No table of the results"):
        summary.updated(PAGE.replace("| crhelper, every 2 min |", "| crhelper, daily |"), MEASURED)


def test_each_plot_of_the_page_is_a_result() -> None:
    plots = re.findall(r"\]\(\.\./benchmarks/results/(\w[\w-]*\.png)\)", SECTION)

    assert len(plots) == 8
    assert [plot for plot in plots if not (RESULTS / plot).is_file()] == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (r"time until all were at rest, s \| (\d+)", "all end correctly after {} seconds"),
        (r"Lambda that waits \| 100 \|[^|]+\|[^|]+\| (\d+%)", "leaves {} unanswered"),
        (
            r"crhelper, as it is \|[^|]+\|[^|]+\| (\d+)",
            "crhelper can't have more than {} requests in progress",
        ),
        (
            r"this application \| writes of a new on-demand table \|[^|]+\| ([\d,]+)",
            "it is reached at {} bundles",
        ),
    ],
)
def test_the_prose_has_figures_of_the_results(row: str, sentence: str) -> None:
    measured = re.search(row, MEASURED)

    assert measured is not None
    assert sentence.format(measured[1]) in " ".join(SECTION.split())
