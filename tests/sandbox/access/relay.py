"""A process that passes on what it receives: its user, or its network, is that of the requests."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import fork

NOBODY = 65534
_NAMESPACE = f"sandbox-{os.getpid()}"
_LINK = f"veth{os.getpid()}"
_NETWORK = ipaddress.ip_network("169.254.0.0/16")  # link-local, RFC 3927
_HERE, _THERE = (str(_NETWORK[4 * (1 + os.getpid() % 16000) + host]) for host in (1, 2))
"""Names and addresses that no other process of tests has."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts other users' processes")
needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="only root makes network namespaces"
)


@contextmanager
def by_another_user(port: int) -> Iterator[str]:
    """An endpoint whose requests another user of this machine makes to a port of it."""

    def become_nobody() -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)

    with _relay(("127.0.0.1", port), become_nobody) as endpoint:
        yield endpoint


@contextmanager
def address_for_containers() -> Iterator[str]:
    """An address of this machine that a network namespace reaches, as containers reach a bridge."""
    _ip("netns", "add", _NAMESPACE)
    try:
        _ip("link", "add", _LINK, "type", "veth", "peer", "name", f"{_LINK}p")
        _ip("link", "set", f"{_LINK}p", "netns", _NAMESPACE)
        _ip("address", "add", f"{_HERE}/30", "dev", _LINK)
        _ip("link", "set", _LINK, "up")
        _ip("-n", _NAMESPACE, "address", "add", f"{_THERE}/30", "dev", f"{_LINK}p")
        _ip("-n", _NAMESPACE, "link", "set", f"{_LINK}p", "up")
        yield _HERE
    finally:
        _ip("netns", "delete", _NAMESPACE)


@contextmanager
def from_a_container(port: int) -> Iterator[str]:
    """An endpoint whose requests come from the network namespace of `address_for_containers`."""

    def enter() -> None:
        with Path("/run/netns", _NAMESPACE).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")

    with _relay((_HERE, port), enter) as endpoint:
        yield endpoint


@contextmanager
def _relay(target: tuple[str, int], enter: Callable[[], None]) -> Iterator[str]:
    """An endpoint on this machine, whose connections a process passes on to a target.

    Args:
        target: host and port of the target.
        enter: makes the process one of another user or network, once it listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        child = fork()
        if child == 0:
            enter()
            _serve(listening, target)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _serve(listening: socket.socket, target: tuple[str, int]) -> None:
    while True:
        connection, _ = listening.accept()
        onward = socket.create_connection(target)
        for ends in ((connection, onward), (onward, connection)):
            threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, to: socket.socket) -> None:
    while data := source.recv(1 << 16):
        to.sendall(data)
    to.shutdown(socket.SHUT_WR)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)  # noqa: S607  the system's
