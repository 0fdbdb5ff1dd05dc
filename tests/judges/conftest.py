"""The suites' results, gathered for the table. A test file's `SUITE` says which suite it is."""

from pathlib import Path

import pytest

from . import table
from .table import Suite

_SUITES: dict[Path, Suite] = {}
_OF_TEST: dict[str, Suite] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here needs the others' software."""
    for item in items:
        if Path(__file__).parent in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.judges)
            suite: Suite = item.module.SUITE
            _SUITES[item.path] = _OF_TEST[item.nodeid] = suite


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember how each case ends; a failure anywhere in it counts."""
    if suite := _OF_TEST.get(report.nodeid):
        before = suite.outcomes.get(report.nodeid, "passed")
        suite.outcomes[report.nodeid] = report.outcome if before == "passed" else before


def pytest_terminal_summary() -> None:
    """Show the table."""
    if _SUITES:
        table.show(_SUITES.values())
