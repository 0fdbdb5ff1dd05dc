"""The suites' results, gathered for the table. A test file's `SUITE` says which suite it is."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.cloudformation.serving import Served

from . import providers, table
from .table import Suite

_HERE = Path(__file__).parent
_SUITES: dict[str, Suite] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here needs the others' software."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.judges)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember how each case ends, also in another process; a failure anywhere in it counts."""
    file = Path(report.nodeid.partition("::")[0])
    if file.parent.name != _HERE.name:
        return
    if file.stem not in _SUITES:
        _SUITES[file.stem] = importlib.import_module(f".{file.stem}", __package__).SUITE
    outcomes = _SUITES[file.stem].outcomes
    before = outcomes.get(report.nodeid, "passed")
    outcomes[report.nodeid] = report.outcome if before == "passed" else before


def pytest_terminal_summary() -> None:
    """Show the table."""
    if _SUITES:
        table.show(_SUITES[name] for name in sorted(_SUITES))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A sandbox for the custom resources of one package."""
    with providers.sandbox() as served:
        yield served
