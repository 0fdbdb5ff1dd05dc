"""Keeping secrets out of what people read: AWS's messages may repeat what was sent."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from instance_bundle.request import Request

CONCEALED = "[concealed]"

# Base64 of an HMAC-SHA1: an upload policy's signature, whoever made it.
_SIGNATURE = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{27}=(?!=)")


def conceal(text: str, request: Request) -> str:
    """A text without the secrets of a request: its ResponseURL, upload policy and signature."""
    for secret in sorted(_secrets(request), key=len, reverse=True):
        text = text.replace(secret, CONCEALED)
    return _SIGNATURE.sub(CONCEALED, text)


def _secrets(request: Request) -> Iterable[str]:
    yield request.response_url
    yield urlsplit(request.response_url).query or request.response_url
    s3: Any = request.properties
    for name in ("Storage", "S3"):
        s3 = s3.get(name) if isinstance(s3, Mapping) else None
    if isinstance(s3, Mapping):
        for name in ("UploadPolicy", "UploadPolicySignature"):
            if isinstance(s3.get(name), str) and s3[name]:
                yield s3[name]
