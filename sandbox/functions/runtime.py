"""Execution environments of Lambda functions: processes under awslambdaric, and its Runtime API.

Processes live in real time, whatever clock the rest of the sandbox has: deadlines and timeouts
here are wall-clock seconds.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import os
import queue
import signal
import socket
import socketserver
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO

import psutil

from sandbox.functions.interpreter import Runtime

logger = logging.getLogger("sandbox")

LogSink = Callable[[str, str], None]
"""Takes a function's name and one line that the function printed, without its line end.

Called from threads of the environments; has to be quick and must not raise."""

INIT_SECONDS = 10.0
"""Time for the code outside the handler to load; past it, loading uses up the timeout of the first
invocation (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html)."""

_CONFINE = Path(__file__).with_name("confine.py")
_JOIN_SECONDS = 1.0


def log_to_logger(function_name: str, line: str) -> None:
    """The log sink for those who have none: the logger `sandbox.lambda`, level INFO."""
    logging.getLogger("sandbox.lambda").info("%s: %s", function_name, line)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A function's code and configuration at one moment. Equal deployments share warm environments.

    role: the ARN of the function's role.
    runtime: AWS's identifier, such as `python3.13`.
    memory: MB.
    code: directory of the unpacked code.
    log_format: `Text` or `JSON`; log_level: None where AWS sets no level.
    variables: the function's own environment variables, and those that the sandbox adds.
    """

    name: str
    arn: str
    version: str
    region: str
    role: str
    runtime: str
    handler: str
    memory: int
    code: Path
    log_group: str
    log_format: str
    log_level: str | None
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InvokeResult:
    """The result of an invocation.

    payload: JSON: the handler's answer, or AWS's description of the error.
    error: None, or `Unhandled` as in the header X-Amz-Function-Error.
    timed_out: the function was killed at its deadline.
    """

    payload: bytes
    error: str | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class _Invocation:
    request_id: str
    payload: bytes
    timeout: float
    trace_header: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """The process has asked for the invocation: its code is loaded, and its time runs."""


@dataclass(frozen=True, slots=True)
class _InitFailed:
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Exited:
    status: int


_Event = _Taken | InvokeResult | _InitFailed | _Exited


class ExecutionEnvironment:
    """A sandboxed process of one function. It handles one invocation at a time.

    The process starts with the first invocation. It leads a session of its own, and all of its
    group is killed with it.
    """

    def __init__(self, deployment: Deployment, runtime: Runtime, log: LogSink) -> None:
        self.deployment = deployment
        self.name = uuid.uuid4().hex
        self._runtime = runtime
        self._log = log
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._api = _RuntimeApi(deployment.arn, self._events)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._payload: bytes | None = None
        self._output: threading.Thread | None = None
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether another invocation may be given to this environment."""
        return not self._closed and self._process is not None and self._process.poll() is None

    @property
    def function_name(self) -> str:
        """The name of the function whose environment this is."""
        return self.deployment.name

    @property
    def role(self) -> str:
        """The ARN of the role that the function has."""
        return self.deployment.role

    @property
    def event(self) -> str | None:
        """JSON text of the event that the handler is given now; None between invocations."""
        payload = self._payload
        return None if payload is None else payload.decode(errors="replace")

    def owns_port(self, port: int) -> bool:
        """Whether a TCP connection of the process has this local port."""
        process = self._process
        if process is None:
            return False
        try:
            connections = psutil.Process(process.pid).net_connections(kind="tcp")
        except psutil.Error:  # the process has just ended
            return False
        return any(connection.laddr and connection.laddr.port == port for connection in connections)

    def invoke(
        self, request_id: str, payload: bytes, timeout: float, trace_header: str
    ) -> InvokeResult:
        """Run the handler with payload (JSON), for at most timeout seconds.

        trace_header: X-Ray's, which the runtime puts into the variable _X_AMZN_TRACE_ID.

        After an error of the handler the environment is still good. After a timeout, an exit
        of the process, or code that does not load, the environment is closed.
        """
        self._payload = payload
        try:
            return self._invoke(_Invocation(request_id, payload, timeout, trace_header))
        finally:
            self._payload = None

    def _invoke(self, invocation: _Invocation) -> InvokeResult:
        request_id, timeout = invocation.request_id, invocation.timeout
        self._start()
        self._api.offer(invocation)
        try:
            event = self._events.get(timeout=INIT_SECONDS + timeout)
            if isinstance(event, _Taken):
                event = self._events.get(timeout=timeout)
        except queue.Empty:
            return self._give_up(
                request_id,
                "Sandbox.Timedout",
                f"Task timed out after {timeout:.2f} seconds",
                timed_out=True,
            )
        match event:
            case InvokeResult():
                return event
            case _InitFailed(payload):
                self.close()
                return InvokeResult(payload, "Unhandled")
            case _Exited(status):
                return self._give_up(request_id, "Runtime.ExitError", _exit_message(status))
            case _Taken():
                raise RuntimeError(f"{self.deployment.name} took invocation {request_id} twice")

    def kill(self) -> None:
        """Kill the process and all of its group, and wait until it is gone.

        The invocation ends as when the process dies by itself.
        """
        with self._lock:
            if not self._closed and self._process is not None:
                self._kill_group(self._process)

    def close(self) -> None:
        """Kill the process and all of its group, and wait until it is gone. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._process is not None:
                self._kill_group(self._process)
            self._api.close()
            if self._output is not None:
                self._output.join(_JOIN_SECONDS)
            self._events.put(_Exited(-signal.SIGKILL))

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self) -> None:
        with self._lock:
            if self._closed or self._process is not None:
                return
            self._process = subprocess.Popen(  # noqa: S603  the handler's name is an argument of its own
                # -S: the function's packages and Lambda's, none that the interpreter has.
                [
                    *_confined(self._runtime, self.deployment.code),
                    *(self._runtime.python, "-sS", "-m", "awslambdaric", self.deployment.handler),
                ],
                cwd=self.deployment.code,
                env={
                    **_process_environment(self.deployment, self._runtime, self._api.address),
                    # The SDK puts it into its user agent, by which a call's process is known.
                    "AWS_SDK_UA_APP_ID": self.name,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._output = threading.Thread(
                target=self._forward_output,
                args=(self._process, self._process.stdout),
                name=f"output of {self.deployment.name}",
                daemon=True,
            )
            self._output.start()

    def _forward_output(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        with output:
            for line in output:
                # awslambdaric separates the lines of one traceback by carriage returns.
                text = line.rstrip(b"\r\n").replace(b"\r", b"\n").decode("utf-8", errors="replace")
                self._log(self.deployment.name, text)
        self._events.put(_Exited(process.wait()))

    def _give_up(
        self, request_id: str, kind: str, message: str, *, timed_out: bool = False
    ) -> InvokeResult:
        self.close()
        self._log(self.deployment.name, f"{_now().isoformat()} {request_id} {message}")
        problem = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"}
        return InvokeResult(json.dumps(problem).encode(), "Unhandled", timed_out)


class _RuntimeApi(socketserver.TCPServer):
    """The Lambda Runtime API for one process: the only client, with one call at a time.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    def __init__(self, function_arn: str, events: queue.SimpleQueue[_Event]) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApiHandler)
        self.function_arn = function_arn
        self.events = events
        self.invocations: queue.SimpleQueue[_Invocation | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(
            target=self._serve, name=f"Runtime API of {function_arn}", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def offer(self, invocation: _Invocation) -> None:
        self.invocations.put(invocation)

    def close(self) -> None:
        self._closed = True
        self.invocations.put(None)
        with contextlib.suppress(OSError):  # it only wakes the thread, which may be gone already
            socket.create_connection(self.socket.getsockname(), timeout=_JOIN_SECONDS).close()
        self._thread.join(_JOIN_SECONDS)
        self.server_close()

    def _serve(self) -> None:
        while not self._closed:
            self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        logger.debug("the process of %s hung up", self.function_arn, exc_info=True)


class _RuntimeApiHandler(http.server.BaseHTTPRequestHandler):
    server: _RuntimeApi

    def do_GET(self) -> None:
        if self.path != "/2018-06-01/runtime/invocation/next":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        invocation = self.server.invocations.get()
        if invocation is None:  # the environment is closing, its process is dead
            return
        self.server.events.put(_Taken())
        deadline = time.time() + invocation.timeout
        self._answer(
            HTTPStatus.OK,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self.server.function_arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_header,
            },
        )

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        payload = self.rfile.read(length)
        if len(payload) < length:  # the process died while it answered
            return
        match self.path.removeprefix("/2018-06-01/runtime/").split("/"):
            case ["invocation", _, "response"]:
                self.server.events.put(InvokeResult(payload))
            case ["invocation", _, "error"]:
                self.server.events.put(InvokeResult(payload, "Unhandled"))
            case ["init", "error"]:
                self.server.events.put(_InitFailed(payload))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
        self._answer(HTTPStatus.ACCEPTED, b'{"status":"OK"}', {})

    def log_message(self, *_: object) -> None:
        """Say nothing: the Runtime API is no business of the sandbox's user."""

    def _answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _confined(runtime: Runtime, code: Path) -> list[str | Path]:
    """The command in front of another, which runs that without rights to the user's files."""
    more = os.environ.get("SANDBOX_READABLE", "").split(os.pathsep)
    readable = (runtime.python.parents[1], runtime.library.parent, code)
    return [runtime.python, "-IS", _CONFINE, *readable, *more, "--"]


def _process_environment(
    deployment: Deployment, runtime: Runtime, api_address: str
) -> dict[str, str]:
    """The variables that AWS sets, and the function's own; nothing of ours.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    log_level = {"AWS_LAMBDA_LOG_LEVEL": deployment.log_level} if deployment.log_level else {}
    return {
        "LANG": "en_US.UTF-8",
        # An interpreter that is built with a shared library may find it only by this.
        "LD_LIBRARY_PATH": f"{runtime.python.parents[1] / 'lib'}:/var/task:/var/task/lib:/opt/lib",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "HOME": "/nonexistent",  # AWS has none either; ours may hold somebody's ~/.aws
        "TZ": ":UTC",
        **deployment.variables,
        **log_level,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_DEFAULT_REGION": deployment.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{deployment.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.memory),
        "AWS_LAMBDA_FUNCTION_NAME": deployment.name,
        "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": deployment.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": deployment.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": (
            f"{_now():%Y/%m/%d}/[{deployment.version}]{uuid.uuid4().hex}"
        ),
        "AWS_LAMBDA_RUNTIME_API": api_address,
        "AWS_REGION": deployment.region,
        "LAMBDA_RUNTIME_DIR": str(runtime.library),
        "LAMBDA_TASK_ROOT": str(deployment.code),
        "PYTHONNOUSERSITE": "1",
        # The function's own packages come before Lambda's
        # (https://docs.aws.amazon.com/lambda/latest/dg/python-package.html).
        "PYTHONPATH": os.pathsep.join(map(str, (deployment.code, runtime.library, runtime.sdk))),
        "_HANDLER": deployment.handler,
    }


def _exit_message(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        name = signal.strsignal(-status) or f"{-status}"
        return f"Runtime exited with error: signal: {name.lower()}"
    return f"Runtime exited with error: exit status {status}"


def _now() -> datetime:
    return datetime.now(UTC)
