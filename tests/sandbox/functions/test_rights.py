"""Functions have neither the rights nor the variables of the user who runs the sandbox."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.functions import confine

from .conftest import Account, is_running
from .test_functions import Deploy

OF_LAMBDA = {
    *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_REGION"),
    *("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"),
    *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_GROUP_NAME"),
    *("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_SECRET_ACCESS_KEY"),
    *("LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH"),
    *("TZ", "_HANDLER", "_X_AMZN_TRACE_ID"),
}
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, and three that Lambda
has too: the level and format of logs, and the log group."""

OF_THE_SANDBOX = {"AWS_SDK_UA_APP_ID", "HOME", "PYTHONNOUSERSITE"}
"""The SDK's name for the process; a home that is missing, and no packages in it."""

OF_THE_INTERPRETER = {"LC_CTYPE"}
"""Python's own, where the system lacks the locale (PEP 538)."""


@pytest.fixture
def private() -> Iterator[Path]:
    """A directory of the user's, in their home or wherever else they may write."""
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "build") as inside:
        home = Path.home()
        place = home if os.access(home, os.W_OK) else Path(inside)
        with tempfile.TemporaryDirectory(dir=place, prefix=".sandbox-test-") as directory:
            yield Path(directory)


@pytest.mark.skipif(confine.landlock_abi() < 1, reason="this system has no Landlock")
def test_a_function_reaches_nothing_of_the_user(
    account: Account, deploy: Deploy, private: Path
) -> None:
    secret = private / "credentials"
    secret.write_text("secret")
    own = Path("/tmp", f"sandbox-test-{uuid.uuid4().hex}")  # noqa: S108  as on Lambda
    deploy("rights.attempts")
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        try:
            seen = account.invoke(
                {
                    "file": str(secret),
                    "directory": str(private),
                    "process": process.pid,
                    "name": own.name,
                }
            )["Payload"]
            running = is_running(process.pid)
        finally:
            process.kill()

    refused = {name for name, outcome in seen.items() if outcome == "PermissionError"}
    signals = {"signal"} if confine.landlock_abi() >= confine.SCOPES_SINCE else set()
    refusals = {"read", "list", "write", "make", "remove", "environment", "write to the task root"}
    assert refused == refusals | signals
    assert seen["tmp"] == seen["task root"] == "done"
    assert secret.read_text() == "secret"
    assert running == bool(signals)
    assert own.read_text() == "own"
    own.unlink()


def test_a_function_has_lambdas_variables_and_its_own_and_no_others(
    account: Account, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "LD_LIBRARY_PATH", "HOME", "PYTHONPATH", "LANG", "SSH_AUTH_SOCK", "TOKEN"):
        before = os.environ.get(name)
        monkeypatch.setenv(name, f"{before}:/of/the/user" if before else "/of/the/user")
    deploy("describe")

    environment = account.invoke([])["Payload"]["environment"]

    known = OF_LAMBDA | OF_THE_SANDBOX | OF_THE_INTERPRETER | account.variables().keys()
    assert environment.keys() - known == set()
    assert [name for name, value in environment.items() if "/of/the/user" in value] == []
    assert environment["PATH"] == "/usr/local/bin:/usr/bin/:/bin:/opt/bin"
