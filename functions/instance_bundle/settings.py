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
        response_origin: `scheme://host:port` that answers may go to beside CloudFormation's
            buckets; the template never sets it, a sandbox does.
    """

    ledger_table: str
    poll_queue_url: str
    limits: Limits
    response_origin: str | None


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
            stores_images=os.environ.get("ALLOW_STORE_IMAGE", "true") == "true",
        ),
        response_origin=os.environ.get("SANDBOX_RESPONSE_ORIGIN"),
    )


def _list(variable: str) -> tuple[str, ...]:
    """The members of a list that the template joins by commas."""
    members = (member.strip() for member in os.environ.get(variable, "").split(","))
    return tuple(member for member in members if member)
