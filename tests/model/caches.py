"""Caches for encoded and decoded values; all of them are frozen.

Without the caches, half of a search's time is spent on encoding and decoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from instance_bundle.request import Request
from instance_bundle.state import Record, items, records, texts
from tests.model.table import Stored

_TEXTS = 4096


@contextmanager
def installed() -> Iterator[None]:
    """Encode each value and decode each text only once, until the context is left."""
    decode_record = items.record

    def record(item: Any, request: Request | None = None) -> Record:
        if type(item) is not Stored:
            return decode_record(item, request)
        if item.record is None:
            item.record = decode_record(item)
        is_asked = request is not None and item.record.undelivered
        return replace(item.record, request=request) if is_asked else item.record

    parse = lru_cache(_TEXTS)(lambda text: Request.parse(json.loads(text)))
    # `Texts` calls `json.loads` and then `Request.parse`. The text is the key of the cache, so
    # `loads` returns it unchanged.
    requests = SimpleNamespace(parse=parse)
    texts_json = SimpleNamespace(loads=_loads, dumps=json.dumps)
    date_of = Request._date.fget  # type: ignore[attr-defined]
    dates: dict[str, float | None] = {}

    def date(request: Request) -> float | None:
        url = request.response_url
        if url not in dates:
            dates[url] = date_of(request)
        return dates[url]

    with ExitStack() as patched:
        patched.enter_context(patch.object(Request, "_date", property(date)))
        for name in ("decode", "decode_answer", "decode_bundle", "encode", "encode_task"):
            cached = lru_cache(_TEXTS)(getattr(items, name))
            patched.enter_context(patch.object(items, name, cached))
        patched.enter_context(patch.object(items, "record", record))
        patched.enter_context(patch.object(texts, "Request", requests))
        patched.enter_context(patch.object(texts, "json", texts_json))
        patched.enter_context(patch.object(records, "parsed", lru_cache(_TEXTS)(records.parsed)))
        yield


def _loads(text: str) -> Any:
    """The value; for a request, its text."""
    return text if text.startswith('{"RequestType"') else json.loads(text)
