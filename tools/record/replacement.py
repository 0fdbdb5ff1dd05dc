"""Replaces what identifies an account, a stack, a request or a machine by placeholders.

The same text has the same placeholder within one recording, and different texts have different
ones, numbered as they come: what belongs together can still be seen. Signatures and keys are
replaced wherever they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

PLACEHOLDER = re.compile(r"\{[a-z]+(?:-\d+)?\}|\{time[+-]\d+\.\d{3}\}")

_TIME = (
    r"\d{4}-\d\d-\d\dT\d\d(?::|%3A)\d\d(?::|%3A)\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d|%2B\d\d%3A\d\d)"
)
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_PARAMETER = r"(?<=[?&]){}=[^&\s\"]+"

SECRET_PARAMETERS: Mapping[str, str] = {
    "X-Amz-Credential": "credential",
    "X-Amz-Signature": "signature",
    "X-Amz-Security-Token": "token",
    "X-Amz-Date": "date",
    "AWSAccessKeyId": "key",
    "Signature": "signature",
    "x-amz-security-token": "token",
    "Expires": "date",
}
"""The parameters of a pre-signed URL that are replaced, with the kinds of their placeholders
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html; of version 2,
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html)."""

KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("uuid", re.compile(_UUID)),
    ("key", re.compile(r"(?<![A-Z0-9])A[A-Z]{2}A[A-Z0-9]{16,17}(?![A-Z0-9])")),
    ("account", re.compile(r"(?<!\d)\d{12}(?!\d)")),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")),
    ("ip", re.compile(r"(?<![0-9a-fA-F:])(?:[0-9a-fA-F]{1,4}:){4,7}(?::?[0-9a-fA-F]{1,4})+")),
    ("suffix", re.compile(r"(?<=-)(?=[A-Z]*\d|[A-Z]{12,13}\b)[A-Z0-9]{12,13}(?![A-Za-z0-9_-])")),
)
"""What is replaced wherever it is, by kind: identifiers of stacks and requests; access keys and the
unique IDs of IAM (IAM User Guide, IAM identifiers); accounts; addresses of IPv4 and IPv6; the ends
of names that CloudFormation makes up. The first that matches counts."""

_PORT = re.compile(r"(?<=\}):\d{2,5}(?=/)")


class Replacement:
    """The placeholders of one recording.

    Args:
        known: texts that are replaced wherever they are, and their placeholders.
        began: the moment that times are counted from, in seconds.
    """

    def __init__(self, known: Mapping[str, str], began: datetime) -> None:
        self._known = sorted(known.items(), key=lambda pair: len(pair[0]), reverse=True)
        self._began = began
        self._given: dict[str, dict[str, str]] = {}

    def of(self, value: Any) -> Any:
        """The same JSON, with placeholders; in the names of members, too."""
        match value:
            case str():
                return self._text(value)
            case dict():
                return {self._text(name): self.of(member) for name, member in value.items()}
            case list():
                return [self.of(member) for member in value]
        return value

    def _text(self, text: str) -> str:
        for parameter, kind in SECRET_PARAMETERS.items():
            text = re.sub(
                _PARAMETER.format(parameter),
                lambda found, kind=kind: (  # type: ignore[misc]
                    f"{found[0].partition('=')[0]}={self._named(kind, found[0].partition('=')[2])}"
                ),
                text,
            )
        for secret, placeholder in self._known:
            for form in _forms(secret):
                text = text.replace(form, placeholder)
        text = re.sub(_TIME, self._since, text)
        for kind, pattern in KINDS:
            text = pattern.sub(lambda found, kind=kind: self._named(kind, found[0]), text)  # type: ignore[misc]
        return _PORT.sub(":{port}", text)

    def _named(self, kind: str, text: str) -> str:
        if PLACEHOLDER.fullmatch(text):
            return text
        given = self._given.setdefault(kind, {})
        return given.setdefault(text, f"{{{kind}-{len(given) + 1}}}")

    def _since(self, found: re.Match[str]) -> str:
        text = found[0].replace("%3A", ":").replace("%2B", "+")
        moment = datetime.fromisoformat(text)
        return f"{{time{(moment - self._began).total_seconds():+.3f}}}"


def _forms(text: str) -> Iterable[str]:
    """The text, and how it is written in a URL."""
    return dict.fromkeys((text, quote(text, safe="")))
