"""Whose process is at the other end of a connection, also where the system masquerades it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from sandbox.access import peers

BRIDGE = "127.0.0.2"
"""An address of this machine that a client has at its end, too."""


@dataclass(frozen=True)
class Masqueraded:
    """A connection that seems to come from another address than it does.

    Attributes:
        real: the accepted one.
        seems: the address.
    """

    real: socket.socket
    seems: str

    @property
    def family(self) -> int:
        return self.real.family

    def getsockname(self) -> Any:
        return self.real.getsockname()

    def getpeername(self) -> Any:
        return (self.seems, self.real.getpeername()[1])


@pytest.fixture
def accepted() -> Iterator[socket.socket]:
    with (
        socket.create_server((BRIDGE, 0)) as server,
        socket.create_connection(server.getsockname(), source_address=(BRIDGE, 0)),
    ):
        connection, _ = server.accept()
        with connection:
            yield connection


def _user_of(connection: socket.socket, seems: str) -> int | None:
    return peers.user_of(cast(socket.socket, Masqueraded(connection, seems)))


def test_the_users_own_process_is_known(accepted: socket.socket) -> None:
    assert peers.user_of(accepted) == os.geteuid()


def test_it_is_known_by_another_address_of_this_machine(accepted: socket.socket) -> None:
    assert _user_of(accepted, "127.0.0.1") == os.geteuid()


def test_another_machine_that_has_the_same_port_is_nobody_known(accepted: socket.socket) -> None:
    assert _user_of(accepted, "192.0.2.77") is None
