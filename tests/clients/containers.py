"""The container engine that `sam local` needs, and where containers find this machine."""

import shlex
import subprocess

from tests.fixtures import PATIENCE

HOST_ADDRESS = "docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}'"
"""The command that prints the address of this machine on the engine's bridge."""

_BASE_IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"


def host_address() -> str | None:
    """The address of this machine at which a sandbox must listen for containers to reach it.

    Docker Desktop forwards `host.docker.internal` to 127.0.0.1, and the engine on Linux to its
    bridge. None where no engine answers.
    """
    system = _docker("info", "--format", "{{.OperatingSystem}}")
    if not system:
        return None
    if system == "Docker Desktop":
        return "127.0.0.1"
    return _docker(*shlex.split(HOST_ADDRESS)[1:])


def base_image_is_here() -> bool:
    """Whether the image of the functions' runtime need not be pulled."""
    return _docker("image", "inspect", _BASE_IMAGE) is not None


def running() -> set[str]:
    """The IDs of the containers that run."""
    return set((_docker("ps", "--quiet") or "").split())


def _docker(*arguments: str) -> str | None:
    """What docker prints; None where it, or its engine, is missing, or it finds nothing."""
    try:
        done = subprocess.run(
            ["docker", *arguments],  # noqa: S607  the one that people have
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
