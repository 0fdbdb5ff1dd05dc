"""What comes of an audit, by what the advisory service does."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.audit import audit

HASH = f"--hash=sha256:{'0' * 64}"
OWN = ("dev", "bench", "uv")
SKIPPED = "pip-audit: skipped, the advisory service can't be reached\n"
ADVISORY = {"vulns": [{"id": "PYSEC-2026-1", "summary": "It is open to all.", "affected": []}]}


class Service(ThreadingHTTPServer):
    """An advisory service on 127.0.0.1 that says the same of every package."""

    status = 200
    answer: object = {}


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

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


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = tmp_path / "requirements.txt"
    path.write_text(f"one==1.0 {HASH}\n")
    return str(path)


def test_passes_what_has_no_advisory(
    service: Service, lock: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert audit(["-r", lock]) == 0
    assert capfd.readouterr() == ("", "No known vulnerabilities found\n")


def test_passes_the_lock_files_of_the_project(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    names = ("functions/requirements.txt", *(f"requirements/{name}.txt" for name in OWN))

    assert audit([argument for name in names for argument in ("-r", str(root / name))]) == 0
    assert capfd.readouterr() == ("", "No known vulnerabilities found\n")


def test_fails_for_a_vulnerability(
    service: Service, lock: str, capfd: pytest.CaptureFixture[str]
) -> None:
    service.answer = ADVISORY
    assert audit(["-r", lock]) == 1
    assert "PYSEC-2026-1" in capfd.readouterr().out


def test_fails_where_the_service_does(
    service: Service, lock: str, capfd: pytest.CaptureFixture[str]
) -> None:
    service.status = 500
    assert audit(["-r", lock]) == 1
    assert "ServiceError" in capfd.readouterr().err


def test_fails_for_a_lock_without_hashes(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("one==1.0\n")
    assert audit(["-r", str(path)]) == 1
    assert "--disable-pip" in capfd.readouterr().err


def test_is_skipped_where_nothing_answers_at_the_address(
    lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert audit(["-r", lock]) == 0
    assert capfd.readouterr() == (SKIPPED, "")


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
        assert audit(["-r", lock, "--timeout", "1"]) == 0
    assert capfd.readouterr() == (SKIPPED, "")


def test_is_skipped_where_the_answer_takes_too_long(
    lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert audit(["-r", lock, "--timeout", "1"]) == 0
    assert capfd.readouterr() == (SKIPPED, "")


def test_fails_where_the_certificate_cannot_be_trusted(
    service: Service, lock: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"https://127.0.0.1:{service.server_port}/")
    assert audit(["-r", lock]) == 1
    assert "SSLError" in capfd.readouterr().err
