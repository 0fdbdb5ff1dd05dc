"""Handlers that try what the user may do who runs the sandbox."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as problem:
        return type(problem).__name__
    return "done"


def attempts(event: Any, context: Any) -> dict[str, str]:
    """How it ends to read, list, write, remove and signal what the event names."""
    file, directory = Path(event["file"]), Path(event["directory"])
    return {
        "read": outcome(file.read_bytes),
        "list": outcome(lambda: list(directory.iterdir())),
        "write": outcome(lambda: file.write_text("other")),
        "make": outcome(lambda: (directory / "made").touch()),
        "remove": outcome(file.unlink),
        "signal": outcome(lambda: os.kill(event["process"], signal.SIGTERM)),
        "environment": outcome(Path(f"/proc/{event['process']}/environ").read_bytes),
        "tmp": outcome(lambda: Path("/tmp", event["name"]).write_text("own")),  # noqa: S108
        "task root": outcome(lambda: list(Path(os.environ["LAMBDA_TASK_ROOT"]).iterdir())),
        "write to the task root": outcome(Path(os.environ["LAMBDA_TASK_ROOT"], "new").touch),
    }
