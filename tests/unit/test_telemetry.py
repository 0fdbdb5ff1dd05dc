"""What is logged, and what is not, whatever the levels are."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from instance_bundle import telemetry

ROOT = Path(__file__).parents[2]


class Received(logging.Handler):
    """What comes to the root logger's handlers; pytest's own listen to the libraries as well."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.levels.append(record.levelno)


@pytest.fixture
def received() -> Iterator[Received]:
    handler = Received()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("boto3.resources", [30, 40, 50]),
        ("botocore.endpoint", [30, 40, 50]),
        ("crhelper.utils", [50]),
        ("urllib3.connectionpool", [40, 50]),
    ],
)
def test_libraries_log_from_their_minimum_level_on_however_low_they_are_set(
    name: str, levels: list[int], received: Received
) -> None:
    assert telemetry.logger
    loggers = [logging.getLogger(each) for each in ("", name.partition(".")[0], name)]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        for level in (10, 20, 30, 40, 50):
            loggers[-1].log(level, "at %s", level)
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

    assert received.levels == levels


def emitted_metrics() -> set[str]:
    """The names of the metrics that the functions emit."""
    sources = [file.read_text() for file in (ROOT / "functions").rglob("*.py")]
    counted = {
        name for text in sources for name in re.findall(r'\b(?:count|measure)\("(\w+)"', text)
    }
    clients = (ROOT / "functions/instance_bundle/aws/clients.py").read_text()
    services = re.findall(r'boto3\.client\("(\w+)"', clients)
    return counted | {f"Throttled{name.title()}" for name in services}


def test_the_page_lists_the_metrics_that_are_emitted() -> None:
    section = (ROOT / "docs/monitoring.md").read_text().partition("## Metrics")[2]
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)

    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(emitted_metrics())
