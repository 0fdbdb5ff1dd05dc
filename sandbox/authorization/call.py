"""An API call of a role, as far as its authorization depends on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

IF_MATCH = "if-match"
BYPASS_RETENTION = "x-amz-bypass-governance-retention"

_BUCKET_IN_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-][\w.-]*amazonaws\.com")


@dataclass(frozen=True, slots=True)
class Call:
    """An API call.

    Attributes:
        name: `service:Action`, as `api_calls.call_name` has it.
        account: ID of the account of the role that calls.
        parameters: of a call in JSON, its members; of others, those of the query and the form, by
            their names there, such as `Tag.1.Key`.
        bucket: Amazon S3's only; empty for others.
        key: the same.
        body: of the request; empty where nothing depends on it.
        headers: of those that change what a call needs, the ones that the request has.
    """

    name: str
    account: str
    region: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bucket: str = ""
    key: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """IAM's name of the service, such as `sqs`."""
        return self.name.partition(":")[0]

    @property
    def action(self) -> str:
        """The call's name without the service."""
        return self.name.partition(":")[2]

    def numbered(self, name: str) -> Iterator[str]:
        """The members of a list in the query protocol: of `ResourceId`, `ResourceId.1` and on."""
        number = 1
        while (value := self.parameters.get(f"{name}.{number}")) is not None:
            yield value
            number += 1


def read(
    name: str,
    account: str,
    region: str,
    *,
    host: str,
    path: str,
    query: str,
    content_type: str,
    body: bytes,
    headers: Mapping[str, str] = {},
) -> Call:
    """A call as a request of HTTP.

    Args:
        path: with no characters quoted.
        headers: `IF_MATCH` and `BYPASS_RETENTION`, if the request has them.
    """
    if name.startswith("s3:"):
        bucket, key = _place(host, path)
        parameters: Mapping[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
        kept = body if name == "s3:DeleteObjects" else b""
        return Call(name, account, region, parameters, bucket, key, kept, headers)
    if "json" in content_type:
        return Call(name, account, region, json.loads(body or b"{}"))
    form = f"{query}&{body.decode(errors='replace')}"
    return Call(name, account, region, dict(parse_qsl(form, keep_blank_values=True)))


def _place(host: str, path: str) -> tuple[str, str]:
    """The bucket and the key, of a host or a path that names the bucket."""
    in_host = _BUCKET_IN_HOST.fullmatch(host)
    path = path.removeprefix("/")
    if in_host:
        return in_host["bucket"], path
    bucket, _, key = path.partition("/")
    return bucket, key
