"""A client of AWS, run as a process, as it is typed."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures import PATIENCE

from .table import Row


@dataclass(frozen=True)
class Tool:
    """A command-line client, where it is run.

    Attributes:
        name: what people call it.
        version: its version.
        program: the program, by its path.
        directory: where it is run.
        rows: where its commands are put down.
        environment: all of its environment.
    """

    name: str
    version: str
    program: Path
    directory: Path
    rows: list[Row]
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *arguments: str, status: int = 0, seen: str = "") -> str:
        """What the command prints on its standard output; where it has to fail, also its complaint.

        Args:
            arguments: the command's.
            status: the exit status that it has to end with.
            seen: what its row shows in addition to the outcome; `see` can set it later.
        """
        typed = self._put_down(arguments, seen)
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == status, (
            f"{typed}\n{done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout if status == 0 else done.stdout + done.stderr

    @contextmanager
    def running(self, *arguments: str, log: Path) -> Iterator[subprocess.Popen[str]]:
        """A command that serves until SIGTERM, which it gets at the end."""
        self._put_down(arguments, "")
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.program, *arguments],
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)

    def see(self, what: str) -> None:
        """Show the result in the last command's row."""
        self.rows[-1].seen = what

    def _put_down(self, arguments: Iterable[str], seen: str) -> str:
        typed = shlex.join([self.program.name, *arguments])
        self.rows.append(Row(self.name, self.version, typed, seen=seen))
        return typed


def without_account(**more: str) -> dict[str, str]:
    """The environment of somebody who has no AWS account: no variables, and no files of AWS's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAM_CLI_")) or name == "AWS_CA_BUNDLE"
    }
    return {
        **inherited,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "SAM_CLI_TELEMETRY": "0",
        **more,
    }


def of_sandbox(ready: Mapping[str, str]) -> dict[str, str]:
    """What is to be exported for a client of a sandbox, as its ready file has it."""
    return {
        "AWS_ENDPOINT_URL": ready["endpoint"],
        "AWS_DEFAULT_REGION": ready["region"],
        "AWS_ACCESS_KEY_ID": ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
    }


def version_of(program: Path) -> str:
    """What a client says of its version."""
    said = subprocess.run(
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env=without_account(),
    )
    return said.stdout.split()[0].partition("/")[2] or said.stdout.split()[-1]
