"""ministack's process, on a free port of this machine."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, REGION, Clients
from sandbox.server import HOST
from tests.fixtures import PATIENCE
from tests.stacks.support import wait_for

PROGRAM = REPOSITORY / ".venv-ministack" / "bin" / "ministack"

VERSION = re.findall(
    r"^ministack==(\S+)", (REPOSITORY / "requirements" / "ministack.txt").read_text(), re.MULTILINE
)[0]
"""The version that `make judges` installs."""

AUTHORIZED = {"AUTH": "true"}
"""The variable by which ministack evaluates IAM's policies."""

_SERVICES = (
    *("cloudformation", "dynamodb", "events", "iam", "kms", "lambda", "logs", "monitoring"),
    *("s3", "sqs", "ssm", "sts"),
)


@contextmanager
def running(directory: Path, **variables: str) -> Iterator[Clients]:
    """ministack until the end of the context; its clients.

    It has no EC2. Its functions run on its own Python, whatever their Runtime is.

    Args:
        directory: for its log and its files, which only this process may have.
        variables: of its environment, in addition.
    """
    directory.mkdir(exist_ok=True)
    log = directory / "ministack.log"
    port = _free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            [PROGRAM],
            cwd=directory,
            env={
                # Functions inherit all of it.
                "PATH": os.defpath,
                "HOME": str(directory),
                "TMPDIR": str(directory),
                "GATEWAY_PORT": str(port),
                "BIND_HOST": HOST,
                "MINISTACK_HOST": HOST,
                "MINISTACK_ACCOUNT_ID": DEFAULT_ACCOUNT_ID,
                "MINISTACK_REGION": REGION,
                "LAMBDA_EXECUTOR": "local",
                "SERVICES": ",".join(_SERVICES),
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                # Whose calls are those of the account's root user.
                **CREDENTIALS,
                **variables,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        endpoint = f"http://{HOST}:{port}"
        wait_for(lambda: _is_ready(process, endpoint, log), "ministack")
        yield Clients(endpoint)
    finally:
        _end(process)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _is_ready(process: "subprocess.Popen[bytes]", endpoint: str, log: Path) -> bool | None:
    assert process.poll() is None, log.read_text()
    try:
        answer = urllib3.request("GET", f"{endpoint}/_ministack/ready", retries=False, timeout=5)
    except urllib3.exceptions.HTTPError:
        return None
    return answer.status == 200 or None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and its functions, which are in the session that it leads."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
