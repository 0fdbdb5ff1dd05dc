"""The function's environment variables, read once."""

import os
from dataclasses import dataclass
from functools import cache

from instance_bundle.limits import Limits, Tag


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` tells the function.

    Attributes:
        ledger_table: name of the DynamoDB table.
        poll_queue_url: URL of the SQS queue that carries the polls.
        limits: what stacks may ask for.
        event_bus: name or ARN of the EventBridge bus that hears of work that has ended; empty for
            none.
    """

    ledger_table: str
    poll_queue_url: str
    limits: Limits
    event_bus: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls AWS, as far as the environment tells.

    Attributes:
        function: its name.
        role: the name of its role.
        installation: the name of the application's stack.
    """

    function: str
    role: str
    installation: str

    def __str__(self) -> str:
        of = f" {self.function}" if self.function else ""
        at = f" (application {self.installation})" if self.installation else ""
        return f"the role{self.role and f' {self.role}'} of the function{of}{at}"


@cache
def identity() -> Identity:
    """The identity of this process."""
    return Identity(
        function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        role=os.environ.get("ROLE", ""),
        installation=os.environ.get("INSTALLATION", ""),
    )


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        KeyError: a variable of the template is missing.
    """
    return Settings(
        ledger_table=os.environ["LEDGER_TABLE"],
        poll_queue_url=os.environ["POLL_QUEUE_URL"],
        limits=Limits(
            buckets=_list("ALLOWED_BUCKETS"),
            instance_tag=Tag.parse(os.environ.get("ALLOWED_INSTANCE_TAG", "")),
            upload_secrets=_list("UPLOAD_SECRET_ARNS"),
            deletes_objects=os.environ.get("ALLOW_OBJECT_DELETION", "true") == "true",
            makes_images=os.environ.get("ALLOW_IMAGES", "true") == "true",
            response_origin=os.environ.get("SANDBOX_RESPONSE_ORIGIN"),
        ),
        event_bus=os.environ.get("EVENT_BUS", ""),
    )


def _list(variable: str) -> tuple[str, ...]:
    """The members of a list that the template joins by commas."""
    members = (member.strip() for member in os.environ.get(variable, "").split(","))
    return tuple(member for member in members if member)
