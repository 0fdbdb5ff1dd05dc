"""A reader with only README.md and what it prints: from a clone to a StoreImage stack.

The environment is made as `make` makes it, with the caches of the machine.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY
from tests.fixtures import PATIENCE
from tests.stacks.pages import block
from tests.stacks.support import wait_for
from tests.typed import claimed

from .table import Row
from .tool import Tool, without_account

README, LOCAL, DEPLOYING = "README.md", "docs/local.md", "docs/deploying.md"
OF_SANDBOX = "sandbox/README.md"
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

    def follow(self, page: str, heading: str, number: int = 0, *, answers: str = "") -> str:
        """Type a block of a page, and what it asks for; what it prints."""
        return self.type(self._read(page, heading, number), answers=answers)

    def type(self, command: str, *, answers: str = "") -> str:
        """Type a command, and what it asks for; what it prints."""
        done = subprocess.run(
            ["/bin/bash", "-euc", self._put_down(command)],
            cwd=self.directory,
            env=self.environment,
            input=answers,
            capture_output=True,
            text=True,
            timeout=_SET_UP,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def another_terminal(
        self, page: str, heading: str, log: Path, *, number: int = 0
    ) -> Iterator[None]:
        """Type a block in another terminal, until Ctrl-C."""
        command = self._put_down(self._read(page, heading, number))
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

    def knows(self, page: str, heading: str) -> bool:
        """Whether the commands of a block have been typed already."""
        found = block(page, heading)
        self.typed.add(found.place)
        return {*found.commands} <= {row.command for row in self.rows}

    def _read(self, page: str, heading: str, number: int) -> str:
        found = block(page, heading, number)
        self.typed.add(found.place)
        text = "\n".join(found.commands) or found.typed.strip()
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


def test_from_a_clone_to_a_stack_with_only_the_pages(
    rows: list[Row], sam_without_account: Tool, tmp_path: Path
) -> None:
    reader = Reader(rows, tmp_path)

    reader.type(f"git clone --quiet {REPOSITORY} clone")
    reader.directory = tmp_path / "clone"
    shown = reader.follow(README, "Quick start")
    [image_id] = {*re.findall(r"ami-[0-9a-f]{17}", shown)}
    assert f"s3://instance-bundles/{image_id}.bin" in shown

    log = tmp_path / "sandbox.log"
    with reader.another_terminal(OF_SANDBOX, "Getting started", log):
        printed = wait_for(lambda: _usage(log), "the sandbox")
        exports = re.findall(r"(AWS_\w+)=(\S+)", printed["export"])
        reader.rows.append(Row("reader", "", printed["export"]))
        # The environment that make has made has the AWS CLI.
        path = f"{reader.directory / '.venv/bin'}:{sam_without_account.environment['PATH']}"
        reader.environment |= {**sam_without_account.environment, **dict(exports), "PATH": path}
        reader.own = {
            "i-1234567890abcdef0": printed["EBS instance"],
            "my-images": printed["bucket"],
        }
        deployed = reader.follow(README, "Quick start", 1, answers=_guided())
        assert "Successfully created/updated stack - cfn-instance-bundle in us-east-1" in deployed
        assert reader.knows(DEPLOYING, "With SAM CLI")
        reader.follow(README, "Quick start", 2)
        outputs = reader.type(printed["outputs"])
        reader.see_the_count()
        [made] = {*re.findall(r"ami-[0-9a-f]{17}", outputs)}
        assert f"s3://{printed['bucket']}/{made}.bin" in outputs
        assert json.loads(reader.follow(OF_SANDBOX, "Faults"))["call"] == "ec2:BundleInstance"

    limited = tmp_path / "limited.log"
    with reader.another_terminal(OF_SANDBOX, "Getting started", limited, number=1):
        wait_for(lambda: _usage(limited), "the sandbox")
        [stack] = json.loads(reader.type("aws cloudformation describe-stacks"))["Stacks"]
        given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        assert given["AllowObjectDeletion"] == "false"
        assert given["AllowedBuckets"] == "one,two"
    assert "s3://instance-bundles/web/windows" in reader.follow(LOCAL, "See it work")
    assert reader.typed == claimed("test_from_a_clone_to_a_stack_with_only_the_pages")


def _guided() -> str:
    """What `sam deploy --guided` asks for: Enter accepts what it suggests.

    The stack's name, the Region, each parameter; whether to confirm, to create roles, to disable
    rollback and to save that; the file and its environment. Then, whether to deploy.
    """
    template: dict[str, Any] = yaml_parse((REPOSITORY / "template.yaml").read_text())
    return "\n" * (2 + len(template["Parameters"]) + 6) + "y\n"


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
