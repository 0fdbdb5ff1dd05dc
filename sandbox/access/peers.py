"""Which user's process is at the other end of a TCP connection of this machine.

Linux answers that for one connection in microseconds, by sock_diag(7).
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

import psutil

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")  # of a netlink message
_REQUEST = struct.Struct("=BBBBI")  # of inet_diag_req_v2, before the ID of the socket
_PORTS = struct.Struct("!HH")
_ANY = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # interface, cookie
_ID_BYTES = 48
_OWNER = struct.Struct("=II")  # user ID and inode in inet_diag_msg
_OWNER_AT = _HEADER.size + 4 + _ID_BYTES + 12
_ALL_STATES = 0xFFFFFFFF

ROOT = 0


class CannotSay(Exception):
    """The system does not say who is at the other end of connections."""


def user_of(connection: socket.socket) -> int | None:
    """The ID of the user who has the other end of a connection.

    None if the other end is on another machine, in another network namespace such as a container's,
    or closed: the owner of a closed end is not known.

    Raises:
        CannotSay: the system has no sock_diag.
    """
    here, there = connection.getsockname(), connection.getpeername()
    user = _owner(connection.family, there, here)
    if user is None and _is_of_this_machine(there[0]):
        # Docker masquerades what this machine sends to its bridge's address: it seems to come from
        # another address of the machine. The socket itself has the one that it was sent to.
        user = _owner(connection.family, (here[0], there[1]), here)
    return user


def _owner(family: int, local: tuple[Any, ...], remote: tuple[Any, ...]) -> int | None:
    """The ID of the user whose socket has these ends; None if there is none."""
    ends = b"".join(
        socket.inet_pton(family, address).ljust(16, b"\0") for address in (local[0], remote[0])
    )
    request = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES)
        + _PORTS.pack(local[1], remote[1])
        + ends
        + _ANY
    )
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        ) as asking:
            asking.send(header + request)
            answer = asking.recv(1 << 13)
    except OSError as problem:
        raise CannotSay from problem
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:  # no such connection
        return None
    user, inode = _OWNER.unpack_from(answer, _OWNER_AT)
    return int(user) if inode else None


def _is_of_this_machine(address: str) -> bool:
    return any(
        each.address == address for found in psutil.net_if_addrs().values() for each in found
    )


def is_own(connection: socket.socket) -> bool:
    """Whether root, or the user who runs this process, has the other end.

    Where the system can't say that, all that comes from an address of loopback counts.
    """
    try:
        user = user_of(connection)
    except CannotSay:
        return str(connection.getpeername()[0]) in ("127.0.0.1", "::1")
    return user in {ROOT, os.geteuid()}
