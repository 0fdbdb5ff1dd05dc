"""What a command ends with: exit codes, and the errors that people read."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from botocore.exceptions import BotoCoreError, ClientError

FINE = 0
TO_DO = 1
"""There is something to do, or what was asked for was not found."""
USAGE = 2
"""The command was typed wrongly, or the profile or Region is missing."""
REFUSED = 3
"""AWS refused a call, or did not answer."""


class NotFound(click.ClickException):
    """What was asked for does not exist."""

    exit_code = TO_DO


class Unsafe(click.ClickException):
    """A change was asked for that would do harm, or was not confirmed; nothing was changed."""

    exit_code = TO_DO


class Misused(click.ClickException):
    """The session can't be made: the profile, the Region or the URL is wrong."""

    exit_code = USAGE


class Refused(click.ClickException):
    """AWS refused a call, or did not answer."""

    exit_code = REFUSED


@contextmanager
def calling(action: str) -> Iterator[None]:
    """Say which call failed.

    Args:
        action: as IAM spells it, such as `dynamodb:Scan`.

    Raises:
        Refused: with AWS's code and message.
    """
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        raise Refused(f"{action}: {said['Code']}: {said['Message']}") from error
    except BotoCoreError as error:
        raise Refused(f"{action}: {error}") from error
