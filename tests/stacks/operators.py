"""What an operator types about the sandbox: this project's command, and AWS CLI."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, REGION

from .support import Aws, wait_for

_OWN = [sys.executable, "-P", "-m", "cli"]
_AWS = [str(REPOSITORY / ".venv" / "bin" / "aws")]
_ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    **CREDENTIALS,
    "AWS_DEFAULT_REGION": REGION,
    "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "functions"), str(REPOSITORY))),
}


def asked(aws: Aws, *arguments: str) -> tuple[int, Any]:
    """What a command of this project exits with, and its JSON."""
    options = ["--output", "json", "--endpoint-url", aws.ready["endpoint"]]
    done = _run([*_OWN, *arguments, *options])
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def typed(command: str, *, again: str = "") -> str:
    """Type a command that was shown, as it is, which succeeds; what it writes.

    Args:
        again: an error for which it is typed again, such as that of an ID that is new.
    """
    program, *arguments = shlex.split(command)

    def ended() -> "subprocess.CompletedProcess[str] | None":
        done = _run([*{"aws": _AWS, "instance-bundle": _OWN}[program], *arguments])
        return None if again and again in done.stderr else done

    done = wait_for(ended, f"{command} to end without {again}")
    assert done.returncode in (0, 1 if program == "instance-bundle" else 0), done.stderr
    assert done.stderr == ""
    return done.stdout


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
