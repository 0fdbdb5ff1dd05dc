"""The names of the sandbox: what Host and Origin of a request may be.

A page in a browser can have its own name resolved to 127.0.0.1 ("DNS rebinding"); its requests then
have that name as Host. Browsers send Origin or Sec-Fetch-Site with what a page of another origin
asks for (https://fetch.spec.whatwg.org/#origin-header,
https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil

_OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})

_FROM_CONTAINERS = frozenset(
    {"host.docker.internal", "gateway.docker.internal", "host.containers.internal"}
)
"""What Docker and Podman call this machine in containers. `.internal` is reserved for private use,
so that nobody can register such a name."""

_SAME_PAGE = frozenset({"same-origin", "none"})


def refusal(environ: dict[str, Any], is_own: Callable[[str], bool]) -> str | None:
    """Why a request (a WSGI environ) is refused for its names; None if it is not.

    Args:
        environ: the request's.
        is_own: whether a name, in lower case, is the sandbox's.
    """
    host = environ.get("HTTP_HOST", "")
    if not is_own(_name_of(host)):
        return f"The sandbox has no name {host!r}. Call it by the endpoint that it printed."
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin != f"{environ['wsgi.url_scheme']}://{host}":
        return f"The sandbox answers no page of another origin, such as {origin!r}."
    if environ.get("HTTP_SEC_FETCH_SITE", "none") not in _SAME_PAGE:
        return "The sandbox answers no page of another origin."
    if environ["REQUEST_METHOD"] == "OPTIONS":
        return "The sandbox allows no requests of other origins (CORS)."
    return None


def own_names(host: str) -> Callable[[str], bool]:
    """Whether a name is one of a sandbox's that listens at a host.

    The port of a Host is left out: it is another where a proxy forwards requests.
    """
    names = {host.lower(), *_OF_THIS_MACHINE, *_FROM_CONTAINERS}
    if _is_any(host):
        names |= _addresses()
    return lambda name: name in names or name.endswith(".localhost")


def _name_of(host: str) -> str:
    """The name in a Host header, in lower case; empty if the header can't be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_any(host: str) -> bool:
    """Whether listening at a host is listening at all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _addresses() -> set[str]:
    return {
        address.address.partition("%")[0].lower()
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
    }
