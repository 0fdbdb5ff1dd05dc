"""What the roles of the application's functions allow in the simulated world.

Their policies are those of template.yaml, with parameters that allow everything. They never change,
so results are cached.
"""

import json
from collections.abc import Mapping
from functools import cache
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest

from sandbox.authorization.call import Call, read
from sandbox.authorization.demand import Demand
from sandbox.authorization.needs import demands_of
from sandbox.authorization.refusals import error_of
from sandbox.authorization.sessions import Caller
from sandbox.calls.api_calls import ServiceError
from sandbox.upstream.permissions import Refusal, RolePolicies
from sandbox.upstream.policies import Request
from tests.chaos import aws_events
from tests.roles import ACCOUNT, REGION, ROLES, statements

RESOURCES = {
    "LedgerTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ledger",
    "RequestTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/requests",
    "PollQueue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:polls",
    "EventQueue": aws_events.QUEUE_ARN,
    "DeadLetterQueue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters",
}
"""The ARNs that the template's resources have in the world."""


def refusal(function: str, name: str, request: AWSPreparedRequest) -> ServiceError | None:
    """The called service's error if the role does not allow the call; else None.

    Args:
        function: the function's name in the template.
        name: of the call, as `service:Action`.
    """
    call = _call(name, request)
    for demand in demands_of(call):
        found = _judged(function, demand)
        if found is not None:
            return error_of(call, _caller(function).session_arn, demand, found)
    return None


def _call(name: str, request: AWSPreparedRequest) -> Call:
    url = urlsplit(request.url)
    body = request.body or b""
    if not isinstance(body, str | bytes):
        body = b""  # an object
    return read(
        name,
        ACCOUNT,
        REGION,
        host=url.hostname or "",
        path=unquote(url.path),
        query=url.query,
        content_type=_text(request.headers.get("Content-Type", "")),
        body=body.encode() if isinstance(body, str) else body,
    )


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


@cache
def _judged(function: str, demand: Demand) -> Refusal | None:
    asked = demand.request()
    context = {"aws:PrincipalArn": _caller(function).role_arn, **asked.context}
    return _policies()[function].refusal(Request(asked.action, asked.resource, context))


@cache
def _policies() -> Mapping[str, RolePolicies]:
    return {
        function: RolePolicies(frozenset({json.dumps({"Statement": of_role})}))
        for function, of_role in statements({}, RESOURCES).items()
    }


@cache
def _caller(function: str) -> Caller:
    return Caller(function, f"arn:aws:iam::{ACCOUNT}:role/{ROLES[function]}")
