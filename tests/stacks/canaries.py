"""Secrets whose every appearance counts, and the search for them."""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

_HEAD = 20
"""Characters that identify a random text: of a text that was cut, the beginning may be left."""

_SHORTEST = 16

_AROUND = 160


@dataclass
class Canaries:
    """Texts that must appear nowhere, by names that may."""

    _texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str) -> str:
        """Search for this text as a whole, and return it."""
        assert len(text) >= _SHORTEST, f"{name} is too short to differ from other text"
        self._texts.setdefault(text, name)
        return text

    def add_random(self, name: str, text: str) -> str:
        """Search for the beginning of this text, of which no part is like another's; return it."""
        self.add(name, text[:_HEAD])
        return text

    def found_in(self, texts: Mapping[str, str]) -> list[str]:
        """Which canaries appear in which texts, in any form; shows where each is first."""
        return [
            f"{name} in {place}: {text[max(0, at - _AROUND) : at + _AROUND]}"
            for secret, name in self._texts.items()
            for written in [forms(secret)]
            for place, text in texts.items()
            if (at := max(text.find(form) for form in written)) >= 0
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def forms(secret: str) -> set[str]:
    """How a text may be written: as it is, in a URL, JSON, XML, or within what is base64."""
    plain = {secret, *_in_urls(secret), html.escape(secret), _in_json(secret)}
    return plain | {_in_json(text) for text in plain} | {*_in_base64(secret.encode())}


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_urls(text: str) -> Iterable[str]:
    once = {quote(text), quote(text, safe=""), quote_plus(text)}
    return once | {quote(encoded, safe="") for encoded in once}


def _in_base64(text: bytes) -> Iterator[str]:
    """What base64 makes of a text, whatever is around it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text).decode()
        # Only characters all of whose six bits are the text's own.
        own = encoded[-(-8 * before // 6) : 8 * (before + len(text)) // 6]
        yield own
        yield own.replace("+", "-").replace("/", "_")
