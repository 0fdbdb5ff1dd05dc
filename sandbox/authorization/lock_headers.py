"""The headers about Object Lock in answers to HeadObject and GetObject.

"This header is only returned if the requester has the s3:GetObjectRetention permission" (Amazon S3
API Reference, HeadObject, https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.faults.faulty_app import Wsgi

_ACTIONS = {
    "x-amz-object-lock-mode": "s3:GetObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:GetObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:GetObjectLegalHold",
}


def shown(app: Wsgi, may: Callable[[str], bool]) -> Wsgi:
    """What serves the request, and leaves out what the caller may not see.

    Args:
        may: whether the caller may do an action to the object.
    """

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            actions = {_ACTIONS[name.lower()] for name, _ in headers if name.lower() in _ACTIONS}
            hidden = {action for action in actions if not may(action)}
            kept = [each for each in headers if _ACTIONS.get(each[0].lower()) not in hidden]
            return start_response(status, kept, *more)

        return app(environ, start)

    return serve
