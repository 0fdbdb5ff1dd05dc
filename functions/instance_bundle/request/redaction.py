"""Removes secrets from texts for people: AWS's messages may repeat what was sent."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from instance_bundle.request import upload_policy
from instance_bundle.request.event import Request
from instance_bundle.request.properties import completion_handle

CONCEALED = "[concealed]"

_SHORTEST = 16
"""Characters: a shorter value is not a secret but a mistake, and removing it everywhere would make
the text unreadable."""

# Base64 of an HMAC-SHA1, URL-encoded or not: any upload policy's signature.
_SIGNATURE = re.compile(r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]|%2[BFbf]){27}(?:=|%3[Dd])(?!=)")


def conceal(text: str, request: Request) -> str:
    """A text without the secrets of a request: its ResponseURL, its handle's URL, its upload policy
    and the signature of that."""
    secrets = {secret for secret in _secrets(request) if len(secret) >= _SHORTEST}
    secrets |= {quote(secret, safe="", errors="surrogatepass") for secret in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, CONCEALED)
    return _SIGNATURE.sub(CONCEALED, text)


def _secrets(request: Request) -> Iterator[str]:
    for url in (request.response_url, completion_handle(request.properties)):
        if url is not None:
            yield url
            yield url.partition("?")[2]
    s3: Any = request.properties
    for name in ("Storage", "S3"):
        s3 = s3.get(name) if isinstance(s3, Mapping) else None
    for name in ("UploadPolicy", "UploadPolicySignature"):
        given = s3.get(name) if isinstance(s3, Mapping) else None
        if isinstance(given, str):
            yield given
            yield from _other_forms(given)


def _other_forms(policy: str) -> Iterator[str]:
    """A policy as JSON and as the base64 that is sent."""
    try:
        document = upload_policy.read_document(policy)
        yield base64.b64encode(document).decode()
        yield document.decode()
    except ValueError:
        return
