"""The commands of the pages, typed into a shell as they are there."""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS
from tests.fixtures import PATIENCE

from .examples import environment
from .support import Aws

PAGES = (
    *sorted(
        str(path.relative_to(REPOSITORY))
        for pattern in ("README.md", "SECURITY.md", "docs/**/*.md", "examples/**/*.md")
        for path in REPOSITORY.glob(pattern)
    ),
    "events/README.md",
    "sandbox/README.md",
)
"""The pages for users, by their paths from the repository's root."""

SHELLS = ("console", "bash", "sh", "shell")
"""The languages of blocks of commands."""

INDENTED = "indented"
"""The language of a block that no fence encloses."""

_FENCE = re.compile(r" *(?P<fence>```+|~~~+) *(?P<language>\w*)")
_HEADING = re.compile(r"#+ (.+)")
_INDENTED = re.compile(
    r"(?: {4,}|\t)\s*(?:\$ |(?:aws|curl|git|instance-bundle|make|pip|pipx|sam) )"
)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes:
        page: its path from the repository's root.
        heading: the one above it.
        number: which one it is of the blocks of commands below this heading, from 0 on; -1 of
            other blocks.
        language: of its fence, or `INDENTED`.
        text: without the indentation that it has in a list.
    """

    page: str
    heading: str
    number: int
    language: str
    text: str

    @property
    def place(self) -> tuple[str, str, int]:
        """What no other block of commands has."""
        return self.page, self.heading, self.number

    @property
    def typed(self) -> str:
        """The text, without the prompts."""
        return re.sub(r"^\$ ", "", self.text, flags=re.MULTILINE)

    @property
    def commands(self) -> list[str]:
        """The commands behind prompts, each as one line, without comments and what they print."""
        lines = re.sub(r" *\\\n *", " ", self.text).splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [re.sub(r" +# .*", "", line) for line in prompted]


@cache
def blocks_of_code(page: str) -> tuple[Block, ...]:
    """All blocks of code of a page, in their order."""
    numbers = Counter[str]()
    found = []
    for heading, language, text in _pieces((REPOSITORY / page).read_text()):
        number = -1
        if language in (*SHELLS, INDENTED) or re.search(r"^\$ ", text, re.MULTILINE):
            number, numbers[heading] = numbers[heading], numbers[heading] + 1
        found.append(Block(page, heading, number, language, text))
    return tuple(found)


def _pieces(text: str) -> Iterator[tuple[str, str, str]]:
    """Heading, language and text of each block of code."""
    heading, lines = "", iter(text.splitlines())
    for line in lines:
        if opened := _FENCE.match(line):
            body = takewhile(lambda inside: inside.strip() != opened["fence"], lines)
            yield heading, opened["language"], dedent("".join(f"{each}\n" for each in body))
        elif found := _HEADING.match(line):
            heading = found[1]
        elif _INDENTED.match(line):
            yield heading, INDENTED, f"{line.strip()}\n"


def block(page: str, heading: str, number: int = 0) -> Block:
    """A block of commands."""
    [found] = [each for each in blocks_of_code(page) if each.place == (page, heading, number)]
    return found


def blocks(page: str) -> dict[str, list[str]]:
    """The blocks of commands of a page, by their headings, without the prompts."""
    found: dict[str, list[str]] = {}
    for each in blocks_of_code(page):
        if each.number >= 0:
            found.setdefault(each.heading, []).append(each.typed)
    return found


@dataclass
class Operator:
    """Someone who types what a page says, with what it stands for replaced by their own.

    Attributes:
        aws: the sandbox.
        page: the page's path.
        directory: where they type it, and their home.
        before: what they have typed before.
        own: their own IDs and names, by those of the page.
        typed: the headings and numbers of the blocks that were typed.
    """

    aws: Aws
    page: str
    directory: Path
    before: str = field(default_factory=lambda: blocks(RUNBOOK)["Before you start"][0])
    own: Mapping[str, str] = field(default_factory=dict)
    typed: set[tuple[str, int]] = field(default_factory=set)

    def type(self, heading: str, number: int = 0, **variables: str) -> str:
        """Type a block; what it prints.

        Args:
            heading: the block's.
            number: its number below the heading, from 0 on.
            variables: their own names, instead of those of the page.
        """
        self.typed.add((heading, number))
        return self.run(block(self.page, heading, number).typed, **variables)

    def run(self, commands: str, **variables: str) -> str:
        """Type commands; what they print."""
        for name, own in self.own.items():
            commands = commands.replace(name, own)
        names = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", f"{self.before}\n{names}\n{commands}"],
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


RUNBOOK = "docs/operating.md"
"""The page for operators, whose first block defines what its others need."""
