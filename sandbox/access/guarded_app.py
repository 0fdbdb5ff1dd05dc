"""The server's requests; those of who may not call the sandbox are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug import Response

from sandbox.access import keys, names, peers
from sandbox.access.keys import AccessKey
from sandbox.calls.api_calls import ServiceError, call_name, error_answer
from sandbox.cloudformation.custom_resources import RESPONSE_PATH
from sandbox.cloudformation.signals import SIGNAL_PATH
from sandbox.faults.faulty_app import Wsgi

OWN_RESPONSES = "/sandbox/responses/"
"""Where the answers to hand-made events are put."""

_PUT_BY_ANYBODY = (RESPONSE_PATH, SIGNAL_PATH, OWN_RESPONSES)
"""A PUT to the first two has a signature of its own, as on AWS. One to the third is only listed."""

_OF_OTHERS = (
    "The sandbox was started by another user, or this request comes from a container or another "
    "machine: use the access key that the sandbox printed when it started."
)


_UNKNOWN_KEY_OF: Mapping[str, tuple[int, str]] = {
    "ec2": (401, "AuthFailure"),
    "s3": (403, "InvalidAccessKeyId"),
    "lambda": (403, "UnrecognizedClientException"),
}
_UNKNOWN_KEY = (403, "InvalidClientTokenId")
_UNKNOWN_KEY_IN_JSON = (400, "UnrecognizedClientException")
"""HTTP status and code of AWS's errors for a key that AWS does not know."""


class GuardedApp:
    """A WSGI application that answers the user who runs the sandbox, and those who have its key.

    Args:
        app: what answers.
        host: where the sandbox listens.
        key: with which all others have to sign their requests.
    """

    def __init__(self, app: Wsgi, host: str, key: AccessKey) -> None:
        self._app = app
        self._is_own_name = names.own_names(host)
        self._key = key

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        refusal = names.refusal(environ, self._is_own_name)
        if refusal is not None:
            return Response(f"{refusal}\n", status=403)(environ, start_response)
        if not self._may_call(environ):
            return _refused(environ)(environ, start_response)
        return self._app(environ, start_response)

    def _may_call(self, environ: dict[str, Any]) -> bool:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].startswith(_PUT_BY_ANYBODY):
            return True
        if peers.is_own(environ["werkzeug.socket"]):
            return True
        return keys.is_signed(environ, self._key)


def _refused(environ: dict[str, Any]) -> Response:
    """What AWS answers to a request with a key that it does not know, and the way to the key."""
    name = call_name(environ)
    if name is None:
        return Response(f"{_OF_OTHERS}\n", status=403)
    service = name.partition(":")[0]
    usual = _UNKNOWN_KEY_IN_JSON if "HTTP_X_AMZ_TARGET" in environ else _UNKNOWN_KEY
    status, code = _UNKNOWN_KEY_OF.get(service, usual)
    return error_answer(environ, name, ServiceError(status, code, _OF_OTHERS))
