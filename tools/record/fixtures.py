"""The files of recordings. docs/recording.md describes their format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
"""Of the files; another one if a reader of these could not read them."""


class NotARecording(ValueError):
    """A file has no recording, or one in another format."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What was seen of one phase.

    Attributes:
        source: who was recorded: `aws`, `sandbox`, or `other`.
        recorded: the day, ISO 8601.
        region: where.
        phase: its name in `phases.py`.
        summary: what happens in it.
        entries: calls, requests, answers and what the stack was at rest, in the order in which they
            were seen.
        events: all stack events, oldest first, by the stack's name.
        finished: whether all steps were made.
    """

    source: str
    recorded: str
    region: str
    phase: str
    summary: str
    entries: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]
    finished: bool
    format: int = FORMAT

    def write(self, directory: Path) -> Path:
        """Write it as `<phase>.json`."""
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{self.phase}.json"
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return file


def read(file: Path) -> Recording:
    """The recording in a file.

    Raises:
        NotARecording: it is none.
    """
    try:
        written = json.loads(file.read_text())
        recording = Recording(**written)
    except (ValueError, TypeError) as problem:
        raise NotARecording(f"{file} is not a recording: {problem}") from problem
    if recording.format != FORMAT:
        raise NotARecording(f"{file} has format {recording.format}, not {FORMAT}")
    return recording


def read_all(directory: Path) -> Iterator[Recording]:
    """The recordings in a directory, by name."""
    return (read(file) for file in sorted(directory.glob("*.json")))
