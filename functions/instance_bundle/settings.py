"""The function's environment variables, read once."""

import os
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` tells the function.

    Attributes:
        ledger_table: name of the DynamoDB table.
        poll_queue_url: URL of the SQS queue that carries the polls.
        response_origin: `scheme://host:port` that answers may go to beside HTTPS; the template
            never sets it, a sandbox does.
    """

    ledger_table: str
    poll_queue_url: str
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
        response_origin=os.environ.get("SANDBOX_RESPONSE_ORIGIN"),
    )
