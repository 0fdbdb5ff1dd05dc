"""The sandbox's access key, and requests that are signed with it.

AWS Signature Version 4, in the header or in the query:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.calls.api_calls import read_body

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,\s]+),\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = 900
"""Seconds by which the date of a signed request may differ from now, as S3 has it
(https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html)."""
_CREDENTIAL_PARTS = 5


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of AWS's form.

    Attributes:
        key_id: 20 letters and digits, beginning with AKIA.
        secret: 40 characters.
    """

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> AccessKey:
        """A key that nobody can guess."""
        key_id = "AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16))
        return cls(key_id, secrets.token_urlsafe(30))


@dataclass(frozen=True, slots=True)
class _Signature:
    """A signature, where a request has it.

    Attributes:
        credential: the ID of the key, then date, Region, service and `aws4_request`.
        headers: the names of the signed headers, in lower case.
        value: 64 hexadecimal digits.
        moment: when it was signed, as the request says.
        lifetime: seconds for which it counts.
        query: the query of the URL that is signed.
        in_query: whether the query has the signature, and not a header.
    """

    credential: tuple[str, ...]
    headers: tuple[str, ...]
    value: str
    moment: str
    lifetime: float
    query: str
    in_query: bool


def is_signed(environ: dict[str, Any], key: AccessKey) -> bool:
    """Whether a request (a WSGI environ) is signed with a key, and the signature is right and new.

    A body that has to be read is put back. That of a request to S3 is not compared with its hash,
    which is signed.
    """
    signature = _in_header(environ) or _in_query(environ)
    if signature is None or len(signature.credential) != _CREDENTIAL_PARTS:
        return False
    if signature.credential[0] != key.key_id:
        return False
    if not _is_new(signature) or "host" not in signature.headers:
        return False
    return hmac.compare_digest(_expected(environ, signature, key), signature.value)


def _in_header(environ: Mapping[str, Any]) -> _Signature | None:
    found = _AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        return None
    return _Signature(
        tuple(found["credential"].split("/")),
        tuple(found["headers"].split(";")),
        found["signature"],
        environ.get("HTTP_X_AMZ_DATE", ""),
        _SKEW,
        environ.get("QUERY_STRING", ""),
        in_query=False,
    )


def _in_query(environ: Mapping[str, Any]) -> _Signature | None:
    query = environ.get("QUERY_STRING", "")
    members = dict(parse_qsl(query))
    try:
        return _Signature(
            tuple(members["X-Amz-Credential"].split("/")),
            tuple(members["X-Amz-SignedHeaders"].split(";")),
            members["X-Amz-Signature"],
            members["X-Amz-Date"],
            float(members["X-Amz-Expires"]),
            "&".join(each for each in query.split("&") if not each.startswith("X-Amz-Signature=")),
            in_query=True,
        )
    except (KeyError, ValueError):
        return None


def _is_new(signature: _Signature) -> bool:
    try:
        signed = datetime.strptime(signature.moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    age = time.time() - signed.timestamp()
    return -_SKEW <= age <= signature.lifetime


def _expected(environ: dict[str, Any], signature: _Signature, key: AccessKey) -> str:
    """The signature that the request has if it was signed with the key."""
    _, _, region, service, _ = signature.credential
    credentials = Credentials(key.key_id, key.secret)
    if service != "s3":
        signer = SigV4Auth(credentials, service, region)
    elif signature.in_query:
        signer = S3SigV4QueryAuth(credentials, service, region)
    else:
        signer = S3SigV4Auth(credentials, service, region)
    path = environ["REQUEST_URI"].partition("?")[0]
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{environ['HTTP_HOST']}{path}?{signature.query}",
        headers={name: _header(environ, name) for name in signature.headers},
        data=b"" if service == "s3" else read_body(environ),
    )
    request.context["timestamp"] = signature.moment
    canonical = signer.canonical_request(request)
    expected: str = signer.signature(signer.string_to_sign(request, canonical), request)
    return expected


def _header(environ: Mapping[str, Any], name: str) -> str:
    variable = name.upper().replace("-", "_")
    plain = variable in ("CONTENT_TYPE", "CONTENT_LENGTH")
    return str(environ.get(variable if plain else f"HTTP_{variable}", ""))
