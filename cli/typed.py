"""Commands for a person to copy, with the options that the person gave."""

import shlex
from dataclasses import dataclass

from cli.installation import Installation


@dataclass(frozen=True, slots=True)
class Way:
    """A command that frees what waits.

    Attributes:
        command: for a POSIX shell.
        does: what happens then.
        left: what is left after it.
    """

    command: str
    does: str
    left: str


@dataclass(frozen=True, slots=True)
class Typed:
    """How commands are typed for an installation: with the profile, Region and endpoint given."""

    installation: Installation

    def aws(self, *words: str) -> str:
        """A command of AWS CLI."""
        return shlex.join(["aws", *words, *self.installation.account.options()])

    def own(self, *words: str) -> str:
        """A command of this program."""
        application = ["--application", self.installation.stack]
        options = self.installation.account.options()
        return shlex.join(["instance-bundle", *words, *application, *options])
