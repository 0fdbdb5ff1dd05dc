"""The API of Recycle Bin, `rbin`, as far as it is here: CreateRule.

https://docs.aws.amazon.com/recyclebin/latest/APIReference/API_CreateRule.html
"""

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from werkzeug import Request, Response

from sandbox.ec2 import recycle_bin
from sandbox.ec2.recycle_bin import IMAGE, SNAPSHOT, Rule

DAYS = 365
"""Days that a rule keeps a resource at most."""

_SHOWN = (
    *("RetentionPeriod", "Description", "Tags", "ResourceType", "ResourceTags"),
    *("LockConfiguration", "ExcludeResourceTags"),
)
_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/rbin/aws4_request")


def region_of(environ: Mapping[str, Any]) -> str | None:
    """The region of a request (a WSGI environ) that is signed for this service; else None."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["region"] if scope else None


def serve(request: Request, region: str) -> Response:
    """The answer to a request that is for this service in a region.

    Raises NotImplementedError for other calls than CreateRule.
    """
    if (request.method, request.path) != ("POST", "/rules"):
        raise NotImplementedError(request.path)
    given = request.get_json()
    period = given["RetentionPeriod"]["RetentionPeriodValue"]
    if given["ResourceType"] not in {IMAGE, SNAPSHOT} or not 1 <= period <= DAYS:
        message = f"Only {IMAGE} and {SNAPSHOT} are kept here, for 1 to {DAYS} days"
        return _error(400, "ValidationException", message)
    rule = Rule(
        given["ResourceType"],
        period,
        _tags(given.get("ResourceTags", [])),
        _tags(given.get("ExcludeResourceTags", [])),
    )
    recycle_bin.of(DEFAULT_ACCOUNT_ID, region).rules.append(rule)
    shown = {name: given[name] for name in _SHOWN if name in given}
    made = {**shown, "Identifier": secrets.token_urlsafe(8), "Status": "available"}
    return Response(json.dumps(made), 201, mimetype="application/json")


def _tags(given: Iterable[Mapping[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((tag["ResourceTagKey"], tag.get("ResourceTagValue", "")) for tag in given)


def _error(status: int, code: str, message: str) -> Response:
    headers = {"x-amzn-ErrorType": code}
    return Response(json.dumps({"Message": message}), status, headers, mimetype="application/json")
