"""Answers of status 200 whose body no SDK can read.

EC2 was seen to answer with nothing, or half of an answer (https://github.com/boto/boto3/issues/1961,
https://github.com/boto/boto3/issues/717), and a proxy may answer in the place of a service
(https://github.com/boto/botocore/pull/2463).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug import Response

EMPTY = "empty"
"""No body. The call is carried out."""
TRUNCATED = "truncated"
"""The first half of the answer, and no sign that it is half. The call is carried out."""
CUT_SHORT = "cut-short"
"""The first half of the answer, then the connection is closed. The call is carried out."""
UNREADABLE = "unreadable"
"""A page of HTML, such as a proxy's. The call has not reached the service."""

BODIES = (EMPTY, TRUNCATED, CUT_SHORT, UNREADABLE)

_PAGE = (
    "<!DOCTYPE html><html><head><title>Gateway</title></head>"
    "<body><p>Please wait while your request is being verified<br></body></html>"
)


def garbled(
    app: Callable[[dict[str, Any], Any], Iterable[bytes]], environ: dict[str, Any], body: str
) -> Response:
    """What a call (a WSGI environ) is answered instead of what the application answers.

    body: one of BODIES.
    """
    if body == UNREADABLE:
        return Response(_PAGE, content_type="text/html")
    answer = Response.from_app(app, environ, buffered=True)
    answer.status_code = 200
    whole = answer.get_data()
    half = whole[: len(whole) // 2]
    match body:
        case "empty":
            answer.set_data(b"")
        case "truncated":
            answer.set_data(half)
        case _:
            answer.response = _cut_short(half)
            answer.content_length = len(whole)
    return answer


def _cut_short(half: bytes) -> Iterator[bytes]:
    yield half
    raise ConnectionAbortedError("half of the answer is all that comes")
