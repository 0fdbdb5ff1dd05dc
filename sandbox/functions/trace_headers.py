"""The trace headers of SQS messages: those of requests, kept as AWSTraceHeader.

moto knows the message system attribute, where SendMessage names it, and no header.

https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from moto.sqs.models import Message, SQSBackend
from moto.sqs.responses import SQSResponse

from sandbox.functions.lineage import HEADER

ATTRIBUTE = "AWSTraceHeader"

_of_request: ContextVar[str | None] = ContextVar("_of_request", default=None)


@contextmanager
def kept() -> Iterator[None]:
    """Have moto's SendMessage and SendMessageBatch keep the trace header of the request.

    It goes to each message that names no AWSTraceHeader of its own.
    """
    with ExitStack() as patches:
        for action in ("send_message", "send_message_batch"):
            with_header = _with_header(getattr(SQSResponse, action))
            patches.enter_context(patch.object(SQSResponse, action, with_header))
        patches.enter_context(
            patch.object(SQSBackend, "send_message", _marked(SQSBackend.send_message))
        )
        patches.enter_context(
            patch.object(
                SQSBackend, "send_message_batch", _batch_marked(SQSBackend.send_message_batch)
            )
        )
        yield


def system_attributes(header: str) -> dict[str, dict[str, str]]:
    """A trace header, as the message system attributes that hold it."""
    return {ATTRIBUTE: {"DataType": "String", "StringValue": header}}


def header_of(message: Message) -> str | None:
    """The trace header of a message, if it has one."""
    header: str | None = message.system_attributes.get(ATTRIBUTE, {}).get("StringValue")
    return header


def _with_header(action: Callable[[SQSResponse], Any]) -> Callable[[SQSResponse], Any]:
    @functools.wraps(action)
    def act(response: SQSResponse) -> Any:
        headers = {name.lower(): value for name, value in dict(response.headers).items()}
        header = headers.get(HEADER.lower())
        token = _of_request.set(None if header is None else unquote(header))
        try:
            return action(response)
        finally:
            _of_request.reset(token)

    return act


def _marked(send: Callable[..., Message]) -> Callable[..., Message]:
    @functools.wraps(send)
    def send_marked(
        backend: SQSBackend,
        *args: Any,
        system_attributes: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Message:
        given = dict(system_attributes or {})
        return send(backend, *args, system_attributes=_of_this_request() | given, **kwargs)

    return send_marked


def _batch_marked(send: Callable[..., Any]) -> Callable[..., Any]:
    """moto drops the system attributes of a batch's entries."""

    @functools.wraps(send)
    def send_marked(
        backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
    ) -> Any:
        own = {
            entry["Id"]: entry["MessageSystemAttributes"]
            for entry in entries.values()
            if entry.get("MessageSystemAttributes")
        }
        with backend.get_queue(queue_name)._messages_lock:  # nobody receives them before
            messages, failed = send(backend, queue_name, entries)
            for message in messages:
                message.system_attributes |= own.get(message.user_id, {})
        return messages, failed

    return send_marked


def _of_this_request() -> dict[str, dict[str, str]]:
    header = _of_request.get()
    return system_attributes(header) if header else {}
