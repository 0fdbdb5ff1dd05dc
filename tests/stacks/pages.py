"""The commands of a page of docs/, typed into a shell as they are there."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS
from tests.fixtures import PATIENCE

from .examples import environment
from .support import Aws

_SECTION = re.compile(r"^#+ (.+)\n((?:(?!^#+ ).*\n)*)", re.MULTILINE)
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, list[str]]:
    """The blocks of commands of a page of docs/, by their headings, without the prompts."""
    text = (REPOSITORY / "docs" / page).read_text()
    # A comment in a block is no heading.
    fenced = _FENCED.sub(lambda match: match[0].replace("\n#", "\n #"), text)
    found = {
        heading: [re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in _BLOCK.findall(body)]
        for heading, body in _SECTION.findall(fenced)
    }
    return {heading: commands for heading, commands in found.items() if commands}


@dataclass
class Operator:
    """Someone who types what a page says.

    Attributes:
        aws: the sandbox.
        page: the page's name.
        directory: where they type it, and their home.
        typed: the headings and numbers of the blocks that were typed.
    """

    aws: Aws
    page: str
    directory: Path
    typed: set[tuple[str, int]] = field(default_factory=set)

    def type(self, heading: str, block: int = 0, **variables: str) -> str:
        """Type a block, after that of "Before you start"; what it prints.

        Args:
            heading: the block's.
            block: its number below the heading, from 0 on.
            variables: their own names, instead of those of the page.
        """
        self.typed.add((heading, block))
        return self.run(blocks(self.page)[heading][block], **variables)

    def run(self, commands: str, **variables: str) -> str:
        """Type commands; what they print."""
        before = blocks("operating.md")["Before you start"][0]
        names = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", f"{before}\n{names}\n{commands}"],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """The programs, by names that lead to those of this repository, and the sandbox.

        `aws sqs` of AWS CLI 1 ignores AWS_ENDPOINT_URL.
        """
        programs = self.directory / "bin"
        programs.mkdir(exist_ok=True)
        path = os.pathsep.join(map(str, (self.directory, REPOSITORY / "functions", REPOSITORY)))
        aws = f"{Path(sys.executable).parent / 'aws'} --endpoint-url {self.aws.clients.endpoint}"
        command = f"env PYTHONPATH={path} {sys.executable} -P -m cli"
        for name, program in (("aws", aws), ("instance-bundle", command)):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            script.chmod(0o755)
        inherited = environment(self.aws, self.directory)
        return {**inherited, **CREDENTIALS, "PATH": f"{programs}:{inherited['PATH']}"}
