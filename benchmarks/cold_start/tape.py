"""Answers of AWS's endpoints, recorded once and replayed at once, so that no server is measured."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import urllib3

_OF_THE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        target: path and query.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def call(self) -> str:
        """What is called, such as `ec2:BundleInstance` or `s3:HEAD:/bucket/key`."""
        scope = self.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        name = scope[3] if len(scope) > 3 else "http"
        if target := self.headers.get("X-Amz-Target"):
            return f"{name}:{target.rpartition('.')[2]}"
        if action := parse_qs(self.body.decode("latin-1")).get("Action"):
            return f"{name}:{action[0]}"
        return f"{name}:{self.method}:{urlsplit(self.target).path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Server = Callable[[Request], Answer]


@dataclass(slots=True)
class Tape:
    """The answers to the calls of one invocation, in the order of each call's repetitions."""

    _answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    _played: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> Counter[str]:
        """How often each call was recorded."""
        return Counter({call: len(answers) for call, answers in self._answers.items()})

    @property
    def services(self) -> frozenset[str]:
        """The services that were called."""
        return frozenset(call.partition(":")[0] for call in self._answers)

    @property
    def is_played(self) -> bool:
        """Whether each call was made as often as when it was recorded."""
        return self._played == self.calls

    def recording(self, server: Server) -> Server:
        """A server that passes each request on to another, and keeps its answer."""

        def serve(request: Request) -> Answer:
            answer = server(request)
            self._answers[request.call].append(answer)
            return answer

        return serve

    def rewind(self) -> None:
        """Play from the beginning again."""
        self._played.clear()

    def play(self, request: Request) -> Answer:
        """The next answer to a call.

        Raises:
            IndexError: it was not made so often when it was recorded.
        """
        call = request.call
        position = self._played[call]
        self._played[call] += 1
        return self._answers[call][position]


def forwarding(endpoint: str) -> Server:
    """A server that passes requests on to another endpoint."""
    http = urllib3.PoolManager(retries=False)

    def forward(request: Request) -> Answer:
        response = http.request(
            request.method,
            endpoint + request.target,
            body=request.body,
            headers=_without_connection(request.headers),
            redirect=False,
        )
        return Answer(response.status, _without_connection(response.headers), response.data)

    return forward


class Endpoint:
    """An endpoint of AWS's on 127.0.0.1; what answers there can be exchanged.

    Attributes:
        url: what clients are given.
        server: what answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.server: Server = _nothing

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Endpoint]:
        """An endpoint at a free port, which ends with the context."""
        with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
            endpoint = cls(f"http://127.0.0.1:{http.server_port}")
            http.daemon_threads = True
            http.endpoint = endpoint  # type: ignore[attr-defined]
            thread = threading.Thread(target=http.serve_forever, name="endpoint", daemon=True)
            thread.start()
            try:
                yield endpoint
            finally:
                http.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is one write: the kernel would hold back the second of two.
    wbufsize = -1

    def answer(self) -> None:
        """Have the endpoint's server answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        answer = endpoint.server(Request(self.command, self.path, dict(self.headers), body))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _nothing(request: Request) -> Answer:
    raise LookupError(f"Nothing answers {request.call}")


def _without_connection(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION
    }
