"""Lambda's calls, which their methods and paths name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from botocore.session import Session


def action_of(environ: dict[str, Any]) -> str | None:
    """What a request of Lambda's (a WSGI environ) calls; None if that is not known."""
    found = _matching(environ)
    return found[0] if found else None


def parameters_of(environ: dict[str, Any]) -> Mapping[str, str]:
    """The parameters that the path of a request has, by Lambda's names of them."""
    found = _matching(environ)
    return found[1] if found else {}


def _matching(environ: dict[str, Any]) -> tuple[str, Mapping[str, str]] | None:
    path: str = environ["PATH_INFO"]
    for method, pattern, action in _operations():
        found = pattern.fullmatch(path)
        if found and method == environ["REQUEST_METHOD"]:
            return action, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


@functools.cache
def _operations() -> Sequence[tuple[str, re.Pattern[str], str]]:
    """The method, the path and the name of each call, as botocore's model has them."""
    model = Session().get_service_model("lambda")
    operations = [model.operation_model(name) for name in model.operation_names]
    return [
        (each.http["method"], pattern(each.http["requestUri"]), each.name) for each in operations
    ]


def pattern(uri: str) -> re.Pattern[str]:
    """What matches the paths of a call, by the URI that botocore's model has of it."""
    path = uri.partition("?")[0].rstrip("/")
    return re.compile(re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", path) + "/?")
