"""The account and Region that a run is made in, and the name that all its stacks share."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config

TAG = "instance-bundle-recorder"
"""The key of the tag of all that a run makes; the value is the run's ID."""

PREFIX = "cfn-recorder"
"""How the names of all that a run makes begin."""

_AWS = re.compile(r"(^|\.)amazonaws\.com(\.cn)?$")
_RETRIES = Config(retries={"mode": "adaptive", "max_attempts": 12}, max_pool_connections=64)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place.

    Attributes:
        account: the account's ID.
        arn: who makes the calls.
        region: where.
        source: `aws`, `sandbox`, or `other`: who answers the calls.
    """

    account: str
    arn: str
    region: str
    source: str
    _session: Any = field(repr=False)

    @classmethod
    def found(cls, session: Any = None) -> Site:
        """The site that the environment names: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and so on.

        Raises:
            botocore.exceptions.BotoCoreError: there are no credentials, or there is no Region.
            botocore.exceptions.ClientError: the credentials are refused.
        """
        session = session or boto3.Session()
        meta = session.client("cloudformation").meta
        caller = session.client("sts").get_caller_identity()
        source = source_of(meta.endpoint_url)
        return cls(caller["Account"], caller["Arn"], meta.region_name, source, session)

    def client(self, service: str) -> Any:
        """A client of the service, which tries throttled calls again."""
        return _client(self._session, service)


@cache
def _client(session: Any, service: str) -> Any:
    return session.client(service, config=_RETRIES)


def source_of(endpoint: str) -> str:
    """Who answers at this endpoint."""
    parts = urlsplit(endpoint)
    if _AWS.search(parts.hostname or ""):
        return "aws"
    try:
        answer = urllib3.request("GET", f"{parts.scheme}://{parts.netloc}/sandbox/faults")
    except urllib3.exceptions.HTTPError:
        return "other"
    return "sandbox" if answer.status == 200 else "other"


def new_run() -> str:
    """A new run's ID, eight hexadecimal digits."""
    return uuid.uuid4().hex[:8]


def tags(run: str) -> list[dict[str, str]]:
    """The tags of all that a run makes."""
    return [{"Key": TAG, "Value": run}]
