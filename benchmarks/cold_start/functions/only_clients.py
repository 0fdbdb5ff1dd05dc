"""A function that makes boto3 clients and calls nothing: no function that calls AWS takes less.

The variable CLIENTS names the clients; `_once` at a name's end asks for one that repeats no call.
"""

import os

import boto3
from botocore.config import Config

# As in functions/instance_bundle/aws/clients.py.
_PATIENT = Config(
    connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
_ONCE = _PATIENT.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

clients: dict[str, object] = {}
"""Those that were made, by their names."""


def handler(event: object, context: object) -> None:  # noqa: ARG001  Lambda's signature
    """Make the clients."""
    for name in os.environ["CLIENTS"].split():
        service, _, once = name.partition("_")
        config = _ONCE if once else _PATIENT
        clients[name] = boto3.client(service, config=config)  # type: ignore[call-overload]
