"""What a check finds."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "unknown", "problem"]

Command = tuple[str, ...]
"""A program and its arguments."""

_WORST: Sequence[Verdict] = ("problem", "unknown", "warning", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, or that could not be read.

    Attributes:
        verdict: `problem` if something does not work or will not; `warning` if everything works
            without it; `unknown` if a call was refused.
        what: what is wrong, and where.
        why: why it matters, and what to do.
        commands: they correct it, or if only a person can, show more.
    """

    verdict: Verdict
    what: str
    why: str
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a check has found. name: the check's."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all findings."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in _WORST if verdict in found), "ok")

    def as_json(self, options: Command) -> Mapping[str, object]:
        """The fields that docs/command.md lists.

        Args:
            options: of AWS CLI, for each of its commands.
        """
        return {
            "check": self.name,
            "verdict": self.verdict,
            "findings": [
                {
                    "verdict": finding.verdict,
                    "what": finding.what,
                    "why": finding.why,
                    "commands": [typed(command, options) for command in finding.commands],
                }
                for finding in self.findings
            ],
        }


def lines(result: Result, options: Command) -> Iterator[str]:
    """What a person reads of a check's findings, and types.

    Args:
        result: the check's.
        options: of AWS CLI, for each of its commands.
    """
    for finding in result.findings:
        yield f"{finding.verdict} in {result.name}: {finding.what}"
        yield f"  {finding.why}"
        yield from (f"    {typed(command, options)}" for command in finding.commands)


def problem(what: str, why: str, *commands: Command) -> Finding:
    """Something does not work, or will not."""
    return Finding("problem", what, why, commands)


def warning(what: str, why: str, *commands: Command) -> Finding:
    """Everything works without it."""
    return Finding("warning", what, why, commands)


def unknown(what: str, why: str) -> Finding:
    """A call was refused."""
    return Finding("unknown", what, why)


def aws(*arguments: str) -> Command:
    """A command of AWS CLI."""
    return ("aws", *arguments)


def typed(command: Command, options: Command) -> str:
    """A command as a person types it in a POSIX shell; AWS CLI's with options."""
    program, *arguments = command
    return shlex.join([program, *arguments, *(options if program == "aws" else ())])
