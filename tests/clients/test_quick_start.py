"""A reader with only README.md and what it prints: from a clone to a StoreImage stack.

The environment is made as `make` makes it, with the caches of the machine.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.artifact import REPOSITORY
from tests.fixtures import PATIENCE
from tests.stacks.pages import block
from tests.stacks.support import wait_for
from tests.typed import claimed

from .table import Row
from .tool import without_account

README, OF_SANDBOX = "README.md", "sandbox/README.md"
_SET_UP = 900
"""Seconds that the first `make` may take, with cold caches."""


@dataclass
class Reader:
    """Somebody in a terminal.

    Attributes:
        rows: where the commands are put down.
        directory: where they are.
        environment: what they have exported, too.
        own: their own IDs and names, by those of the page.
        typed: the places of the blocks that were typed.
        began: by the monotonic clock.
    """

    rows: list[Row]
    directory: Path
    environment: dict[str, str] = field(default_factory=without_account)
    own: dict[str, str] = field(default_factory=dict)
    typed: set[tuple[str, str, int]] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def follow(self, page: str, heading: str, number: int = 0) -> str:
        """Type a block of a page; what it prints."""
        return self.type(self._read(page, heading, number))

    def type(self, command: str) -> str:
        """Type a command; what it prints."""
        done = subprocess.run(
            ["/bin/bash", "-euc", self._put_down(command)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SET_UP,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def another_terminal(self, page: str, heading: str, log: Path) -> Iterator[None]:
        """Type a block in another terminal, until Ctrl-C."""
        command = self._put_down(self._read(page, heading, 0))
        with log.open("w") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-euc", f"exec {command}"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=PATIENCE)

    def _read(self, page: str, heading: str, number: int) -> str:
        found = block(page, heading, number)
        self.typed.add(found.place)
        text = found.typed.strip()
        for name, own in self.own.items():
            text = text.replace(name, own)
        return text

    def _put_down(self, command: str) -> str:
        self.rows.append(Row("reader", "", command))
        return command

    def see_the_count(self) -> None:
        """Show how many commands were typed so far, and how long they took."""
        minutes = (time.monotonic() - self.began) / 60
        count = sum(row.client == "reader" for row in self.rows)
        self.rows[-1].seen = f"{count} commands, {minutes:.1f} minutes"


def test_from_a_clone_to_a_stack_with_only_the_pages(rows: list[Row], tmp_path: Path) -> None:
    reader = Reader(rows, tmp_path)

    reader.type(f"git clone --quiet {REPOSITORY} clone")
    reader.directory = tmp_path / "clone"
    shown = reader.follow(README, "Quick start")
    [image_id] = {*re.findall(r"ami-[0-9a-f]{17}", shown)}
    assert f"s3://instance-bundles/{image_id}.bin" in shown

    log = tmp_path / "sandbox.log"
    with reader.another_terminal(OF_SANDBOX, "The sandbox", log):
        printed = wait_for(lambda: _usage(log), "the sandbox")
        exports = re.findall(r"(AWS_\w+)=(\S+)", printed["export"])
        reader.rows.append(Row("reader", "", printed["export"]))
        # The environment that make has made has the AWS CLI.
        path = f"{reader.directory / '.venv/bin'}:{reader.environment['PATH']}"
        reader.environment |= {**dict(exports), "PATH": path}
        reader.own = {
            "i-1234567890abcdef0": printed["EBS instance"],
            "my-images": printed["bucket"],
        }
        reader.follow(README, "Quick start", 2)
        outputs = reader.type(printed["outputs"])
        reader.see_the_count()
        [made] = {*re.findall(r"ami-[0-9a-f]{17}", outputs)}
        assert f"s3://{printed['bucket']}/{made}.bin" in outputs
    assert reader.typed == claimed("test_from_a_clone_to_a_stack_with_only_the_pages")


def _usage(log: Path) -> Mapping[str, str] | None:
    """What the sandbox prints once it is up; None before."""
    text = log.read_text()
    if "Ctrl-C ends the sandbox." not in text:
        assert "is in use" not in text, text
        return None
    named = dict(re.findall(r"^  (bucket|EBS instance) +(\S+)", text, re.MULTILINE))
    [export] = re.findall(r"^  (export .+)$", text, re.MULTILINE)
    [outputs] = re.findall(r"^  (.+ describe-stacks .+)$", text, re.MULTILINE)
    return {**named, "export": export, "outputs": outputs}
