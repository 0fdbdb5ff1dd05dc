"""Requests to a sandbox, written by hand and signed: what no SDK would send."""

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.clients import CREDENTIALS, REGION

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
"""Of the query protocol, and of EC2's."""


def target(name: str, version: str = "1.1") -> dict[str, str]:
    """The headers of the JSON protocol. name: such as `AWSEvents.PutRule`."""
    return {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": name}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was received. headers: their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    endpoint: str,
    service: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    path: str = "/",
    signed: bool = True,
) -> Answer:
    """Send a request.

    Args:
        service: by the name that signatures have, such as `monitoring`.
    """
    request = AWSRequest(method, f"{endpoint}{path}", headers=dict(headers or {}), data=body)
    if signed:
        keys = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        scheme = S3SigV4Auth if service == "s3" else SigV4Auth
        scheme(Credentials(*keys), service, REGION).add_auth(request)
    answer = urllib3.request(
        method,
        f"{endpoint}{path}",
        headers=dict(request.headers.items()),
        body=body,
        retries=False,
        timeout=60,
    )
    found = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, found, answer.data)
