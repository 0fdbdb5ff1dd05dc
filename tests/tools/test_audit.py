"""What comes of an audit, by what the advisory service does."""

import json
import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from sandbox.artifact import REPOSITORY
from tools.audit import audit

HASH = f"--hash=sha256:{'0' * 64}"
ADVISORY = {"vulns": [{"id": "PYSEC-2026-1", "summary": "It is open to all.", "affected": []}]}


class Service(ThreadingHTTPServer):
    """An advisory service on 127.0.0.1 that says the same of every package, or only of one."""

    status = 200
    answer: object = {}
    vulnerable: str | None = None


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        about = self.server.vulnerable in (None, asked["package"]["name"])
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer if about else {}).encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the test asserts on what is printed."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of which nobody asks for an audit."""
    monkeypatch.delenv("REQUIRE_AUDIT", raising=False)


@pytest.fixture
def lock(tmp_path: Path) -> str:
    return written(tmp_path, "one", "1.0")


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The service's address is one at which nothing answers."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        yield


def written(directory: Path, name: str, version: str) -> str:
    """A lock file with one package."""
    path = directory / f"{name}-{version}.txt"
    path.write_text(f"{name}=={version} {HASH}\n")
    return str(path)


def skipped(lock: str) -> str:
    return f"audit: skipped: from {lock} on, the advisory service can't be reached\n"


def failed(lock: str) -> str:
    why = f"from {lock} on, the advisory service can't be reached\n"
    return f"audit: failed, since REQUIRE_AUDIT is set: {why}"


def passed(*locks: str) -> str:
    return "".join(f"{lock}: No known vulnerabilities found\n" for lock in locks)


def command_of_make() -> list[str]:
    """What `make audit` runs."""
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--old-file", ".venv/.set-up", "audit"],  # noqa: S607  the one of PATH
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return shlex.split(said)


def audited() -> list[str]:
    """The lock files that `make audit` names."""
    return [argument for argument in command_of_make() if argument.endswith(".txt")]


def test_passes_what_has_no_advisory(
    service: Service, lock: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert audit([lock]) == 0
    assert capfd.readouterr() == (passed(lock), "")


def test_passes_the_lock_files_of_the_project(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)

    assert audit(audited()) == 0
    assert capfd.readouterr() == (passed(*audited()), "")


def test_make_audits_each_lock_file_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "grep", "--files-with-matches", "--untracked", "-e", "^    --hash=sha256:"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert len(listed.split()) > 5
    assert sorted(audited()) == sorted(listed.split())


def test_fails_for_a_vulnerability_in_any_lock_file_though_another_pins_differently(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    service.answer, service.vulnerable = ADVISORY, "two"
    one, other = (written(tmp_path, "one", version) for version in ("1.0", "2.0"))
    two = written(tmp_path, "two", "1.0")

    assert audit([one, two, other]) == 1
    said = capfd.readouterr().out
    assert said.startswith(f"{passed(one)}{two}: Found 1 known vulnerability in 1 package\n")
    assert re.search(r"^two +1\.0 +PYSEC-2026-1\b", said, re.MULTILINE)
    assert said.endswith(passed(other))


def test_fails_where_the_service_does(
    service: Service, lock: str, capfd: pytest.CaptureFixture[str]
) -> None:
    service.status = 500
    assert audit([lock]) == 1
    assert "ServiceError" in capfd.readouterr().out


def test_fails_for_a_lock_without_hashes(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("one==1.0\n")
    assert audit([str(path)]) == 1
    assert "--disable-pip" in capfd.readouterr().out


@pytest.mark.usefixtures("closed_port")
def test_the_gate_says_that_nothing_answers_and_goes_on() -> None:
    assert "REQUIRE_AUDIT" not in (REPOSITORY / ".ci" / "run").read_text()

    done = subprocess.run(
        command_of_make(), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, skipped("functions/requirements.txt"))


@pytest.mark.usefixtures("closed_port")
@pytest.mark.parametrize("target", ["audit", "nightly"])
def test_the_workflow_fails_where_nothing_answers(target: str) -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/check.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    [step] = [step for step in steps if step.get("run") == f"make {target}"]

    done = subprocess.run(
        command_of_make(),
        cwd=REPOSITORY,
        env=os.environ | step["env"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, failed("functions/requirements.txt"))


def test_is_skipped_where_connecting_takes_too_long(
    lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # its queue is full, and what comes now waits
            client = stack.enter_context(closing(socket.socket()))
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert audit([lock], timeout=1) == 0
    assert capfd.readouterr() == (skipped(lock), "")


def test_is_skipped_where_the_answer_takes_too_long(
    lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert audit([lock], timeout=1) == 0
    assert capfd.readouterr() == (skipped(lock), "")


def test_fails_where_the_certificate_cannot_be_trusted(
    service: Service, lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"https://127.0.0.1:{service.server_port}/")
    assert audit([lock]) == 1
    assert "SSLError" in capfd.readouterr().out
