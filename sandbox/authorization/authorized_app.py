"""The server's calls; those by a role are carried out only if the role allows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.authorization import call as calls
from sandbox.authorization import (
    delete_objects,
    deregister_image,
    lock_headers,
    s3,
    sessions,
)
from sandbox.authorization.authorization import Authorization
from sandbox.authorization.call import Call
from sandbox.authorization.sessions import Caller
from sandbox.calls import lambda_calls
from sandbox.calls.api_calls import call_name, error_answer, read_body, region_of
from sandbox.faults.faulty_app import CALLER, Wsgi

_HEADERS = (calls.IF_MATCH, calls.BYPASS_RETENTION)
_READS_OF_OBJECTS = frozenset({"s3:GetObject", "s3:HeadObject"})


class AuthorizedApp:
    """A WSGI application that refuses what the caller's role does not allow.

    A function calls by its role, and other clients do if they have the credentials of AssumeRole.
    Calls of clients with any other credentials are carried out, and calls that have no name here.

    Args:
        app: what carries the calls out.
        authorization: what decides.
    """

    def __init__(self, app: Wsgi, authorization: Authorization) -> None:
        self._app = app
        self._authorization = authorization

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        by = environ.get(CALLER)
        caller = Caller(by.function_name, by.role) if by else sessions.caller_of(environ)
        name = call_name(environ) if caller is not None else None
        if caller is None or name is None:
            return self._app(environ, start_response)
        call = _call(environ, name, caller)
        if name == "s3:DeleteObjects":
            refusals = self._authorization.refusals(caller, call)
            return delete_objects.without(refusals, self._app, environ)(environ, start_response)
        if name == "ec2:DeregisterImage":
            refusals = self._authorization.refusals(caller, call)
            refusal = deregister_image.refusal(refusals, environ)
        else:
            refusal = self._authorization.refusal(caller, call)
        if refusal is None:
            return self._carried_out(caller, call)(environ, start_response)
        answer = error_answer(environ, name, refusal)
        if name == "s3:HeadBucket" and (region := s3.region_of(call)):
            answer.headers["x-amz-bucket-region"] = region
        return answer(environ, start_response)

    def _carried_out(self, caller: Caller, call: Call) -> Wsgi:
        if call.name not in _READS_OF_OBJECTS:
            return self._app
        return lock_headers.shown(
            self._app, lambda action: self._authorization.shows(caller, call, action)
        )


def _call(environ: dict[str, Any], name: str, caller: Caller) -> Call:
    if name.startswith("lambda:"):
        parameters = lambda_calls.parameters_of(environ)
        return Call(name, caller.account, region_of(environ), parameters)
    holds_object = name.startswith("s3:") and name != "s3:DeleteObjects"
    return calls.read(
        name,
        caller.account,
        region_of(environ),
        host=environ.get("HTTP_HOST", ""),
        path=environ["PATH_INFO"],
        query=environ.get("QUERY_STRING", ""),
        content_type=environ.get("CONTENT_TYPE", ""),
        body=b"" if holds_object else read_body(environ),
        headers=_headers(environ) if name.startswith("s3:") else {},
    )


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    names = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in _HEADERS}
    return {name: environ[variable] for name, variable in names.items() if variable in environ}
