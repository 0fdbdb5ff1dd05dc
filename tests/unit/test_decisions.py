"""The records of decisions: each has all parts, is in the index, and links to what exists."""

import re
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY

DOCS = REPOSITORY / "docs"
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PARTS = ["Context", "Decision", "Consequences", "Not chosen", "What would change this"]

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)


@each_record
def test_a_record_has_its_number_and_all_parts(record: Path) -> None:
    text = record.read_text()

    assert text.startswith(f"# {record.name[:4]}: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS


@each_record
def test_a_record_cites_what_it_rests_on(record: Path) -> None:
    assert "](https://docs.aws.amazon.com/" in record.read_text()


def test_the_index_has_each_record_in_order() -> None:
    rows = re.findall(
        r"^\| \[(\d+)\]\(([\w-]+\.md)\) \|", (DOCS / "decisions/index.md").read_text(), re.MULTILINE
    )

    assert rows == [(record.name[:4], record.name) for record in RECORDS]
    assert [number for number, _ in rows] == [f"{each:04}" for each in range(1, len(rows) + 1)]


@pytest.mark.parametrize(
    "page",
    [*RECORDS, DOCS / "decisions" / "index.md", DOCS / "pipelines.md", DOCS / "terraform.md"],
    ids=lambda path: path.stem,
)
def test_each_link_is_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https://)([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked.read_text()), target


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them of plain words."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_figures_of_the_benchmark_are_its_results() -> None:
    """The table of the record about SQS has columns of the benchmark's first table."""
    results = (REPOSITORY / "benchmarks" / "results" / "README.md").read_text()
    measured = {
        tuple(row[name] for name in ("design", "at once", "median s", "EC2 calls", "$"))
        for row in _rows(results)
    }
    record = RECORDS[0].read_text()
    table = re.findall(r"^\| (.* \| .* \| [\d.]+ \| [\d.]+ \| [\d.]+) \|$", record, re.MULTILINE)

    assert len(table) == 6
    assert {tuple(row.split(" | ")) for row in table} - measured == set()


def _rows(results: str) -> list[dict[str, str]]:
    """The rows of the first table, by design."""
    names = ("design", "at once", "median s", "p99 s", "unanswered", "EC2 calls", "polls", "$")
    found = re.findall(r"^\| (.*) \|$", results, re.MULTILINE)
    return [
        dict(zip(names, row.split(" | "), strict=False))
        for row in found
        if len(row.split(" | ")) == 10 and re.fullmatch(r"[\d,]+", row.split(" | ")[1])
    ]
