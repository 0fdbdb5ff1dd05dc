"""URLs as Amazon S3 pre-signs them, and the PUTs that come to them: CloudFormation is told by these
what became of custom resources, and what wait conditions wait for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode


def signed_query(*, region: str, signed: float, lifetime: int, signature: str) -> str:
    """The query of a pre-signed URL, in AWS Signature Version 4.

    signed: epoch seconds. lifetime: seconds.
    """
    moment = datetime.fromtimestamp(signed, UTC)
    scope = f"{moment:%Y%m%d}/{region}/s3/aws4_request"
    return urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": f"{moment:%Y%m%dT%H%M%SZ}",
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Expires": lifetime,
            "X-Amz-Credential": f"AKIAIOSFODNN7EXAMPLE/{scope}",
            "X-Amz-Signature": signature,
        }
    )


def signature_of(query: str) -> str:
    """The signature in a query; empty where there is none."""
    return parse_qs(query).get("X-Amz-Signature", [""])[0]


def refusal(headers: Mapping[str, str], *, known: bool, expired: bool) -> str | None:
    """The body with which S3 refuses a PUT, with status 403; None where it takes it.

    known: whether the signature is one that was made for the object. expired: whether its time is
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
