"""Whether the sandbox can listen at an address, and what to do if not."""

import errno
import socket

LAST_PORT = 65535


class CannotListen(Exception):
    """Why nothing can listen at an address, and what to do."""


def require_free(host: str, port: int) -> None:
    """Check that the sandbox can listen there, before anything is started.

    Raises:
        CannotListen: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        raise CannotListen(_advice(host, port, problem)) from problem


def _advice(host: str, port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        other = port + 1 if port < LAST_PORT else port - 1
        return (
            f"Port {port} on {host} is in use. Stop the other program, or choose another port: "
            f"make sandbox PORT={other}"
        )
    return (
        f"The sandbox cannot listen on port {port} of {host} ({problem.strerror}). "
        "HOST must be an address of this machine, and PORT one that you may use."
    )
