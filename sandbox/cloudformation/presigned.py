"""URLs as Amazon S3 pre-signs them, and the PUTs to them: CloudFormation receives the answers of
custom resources and the signals to wait conditions by these."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

SIGNATURE_VERSIONS = (2, 4)
"""Of AWS's signatures that Amazon S3 takes in a URL."""

_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"  # AWS's own example


def signed_query(version: int, *, region: str, signed: float, lifetime: int) -> str:
    """The query of a URL that is pre-signed now, with a signature that no other has.

    version: one of SIGNATURE_VERSIONS. Version 4 says when the URL was signed
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html), version 2 only
    when it expires
    (https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html).
    signed: epoch seconds. lifetime: seconds.
    """
    if version == 2:
        return urlencode(
            {
                "AWSAccessKeyId": _ACCESS_KEY,
                "Expires": int(signed) + lifetime,
                "Signature": base64.b64encode(secrets.token_bytes(20)).decode(),
            }
        )
    moment = datetime.fromtimestamp(signed, UTC)
    scope = f"{moment:%Y%m%d}/{region}/s3/aws4_request"
    return urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": f"{moment:%Y%m%dT%H%M%SZ}",
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Expires": lifetime,
            "X-Amz-Credential": f"{_ACCESS_KEY}/{scope}",
            "X-Amz-Signature": secrets.token_hex(32),
        }
    )


def signature_of(query: str) -> str:
    """The signature in a query; empty where there is none."""
    members = parse_qs(query)
    return [*members.get("X-Amz-Signature", []), *members.get("Signature", []), ""][0]


def is_the_signed(query: str, signed: str) -> bool:
    """Whether a query is the signed one: the signature is right, and nothing is added."""
    return parse_qs(query) == parse_qs(signed)


def refusal(headers: Mapping[str, str], *, known: bool, expired: bool) -> str | None:
    """The body with which S3 refuses a PUT, with status 403; None where it takes it.

    known: whether the URL was signed so for the object. expired: whether its time is
    over. A Content-Type, which the URL was not signed for, has to be empty or absent.
    """
    content_type = {name.lower(): value for name, value in headers.items()}.get("content-type")
    if not known or content_type:
        return _error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )
    return _error("AccessDenied", "Request has expired") if expired else None


def readable(body: bytes) -> Any:
    """The body parsed, or as text where it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def on_record(
    place: Mapping[str, str], body: bytes, *, moment: float, status: int, taken: bool
) -> dict[str, Any]:
    """A PUT, as the server lists it.

    place: what it is about. moment: when it came, in epoch seconds. status: HTTP's, of the answer.
    taken: whether CloudFormation makes something of it.
    """
    return {
        **place,
        "received": datetime.fromtimestamp(moment, UTC).isoformat(),
        "statusCode": status,
        "body": readable(body),
        "taken": taken,
    }


def _error(code: str, message: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
