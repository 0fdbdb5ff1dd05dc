"""Execution environments of Lambda functions: processes under awslambdaric.

Processes live in real time, whatever clock the rest of the sandbox has: deadlines and timeouts
here are wall-clock seconds.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, cast

import psutil

from sandbox.functions.interpreter import Runtime
from sandbox.functions.output import Output
from sandbox.functions.payloads import ANSWER_BYTES
from sandbox.functions.process import Deployment, confined, variables
from sandbox.functions.runtime_api import (
    Event,
    Exited,
    InitFailed,
    Invocation,
    InvokeResult,
    RuntimeApi,
    Taken,
    TooLarge,
)

logger = logging.getLogger("sandbox")

LogSink = Callable[[str, str], None]
"""Takes a function's name and one line that the function printed, without its line end.

Called from threads of the environments; has to be quick and must not raise."""

INIT_SECONDS = 10.0
"""Time for the code outside the handler to load; past it, loading uses up the timeout of the first
invocation (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html)."""

_TOO_LARGE = json.dumps(
    {
        "errorMessage": (
            f"Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES} bytes)."
        ),
        "errorType": "Function.ResponseSizeTooLarge",
    }
).encode()
_JOIN_SECONDS = 1.0


def log_to_logger(function_name: str, line: str) -> None:
    """The log sink for those who have none: the logger `sandbox.lambda`, level INFO."""
    logging.getLogger("sandbox.lambda").info("%s: %s", function_name, line)


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
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._api = RuntimeApi(deployment.arn, self._events)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._payload: bytes | None = None
        self._output: Output | None = None
        self._forwarding: threading.Thread | None = None
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
        of the process, or code that does not load, the environment is closed. What the function
        has printed is in the log when this returns.
        """
        self._payload = payload
        try:
            return self._invoke(Invocation(request_id, payload, timeout, trace_header))
        finally:
            self._payload = None
            if self._output is not None:
                self._output.catch_up()

    def _invoke(self, invocation: Invocation) -> InvokeResult:
        request_id, timeout = invocation.request_id, invocation.timeout
        self._start()
        self._api.offer(invocation)
        try:
            event = self._events.get(timeout=INIT_SECONDS + timeout)
            if isinstance(event, Taken):
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
            case TooLarge():
                self.close()
                return InvokeResult(_TOO_LARGE, "Unhandled")
            case InitFailed(payload):
                self.close()
                return InvokeResult(payload, "Unhandled")
            case Exited(status):
                return self._give_up(request_id, "Runtime.ExitError", _exit_message(status))
            case Taken():
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
            if self._forwarding is not None:
                self._forwarding.join(_JOIN_SECONDS)
            self._events.put(Exited(-signal.SIGKILL))

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
                    *confined(self._runtime, self.deployment.code),
                    *(self._runtime.python, "-sS", "-m", "awslambdaric", self.deployment.handler),
                ],
                cwd=self.deployment.code,
                env={
                    **variables(self.deployment, self._runtime, self._api.address),
                    # The SDK puts it into its user agent, by which a call's process is known.
                    "AWS_SDK_UA_APP_ID": self.name,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
            name = self.deployment.name
            pipe = cast("IO[bytes]", self._process.stdout)
            self._output = Output(pipe, lambda line: self._log(name, line))
            self._forwarding = threading.Thread(
                target=self._forward_output,
                args=(self._process, self._output),
                name=f"output of {name}",
                daemon=True,
            )
            self._forwarding.start()

    def _forward_output(self, process: subprocess.Popen[bytes], output: Output) -> None:
        output.forward()
        self._events.put(Exited(process.wait()))

    def _give_up(
        self, request_id: str, kind: str, message: str, *, timed_out: bool = False
    ) -> InvokeResult:
        self.close()
        self._log(self.deployment.name, f"{_now().isoformat()} {request_id} {message}")
        problem = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"}
        return InvokeResult(json.dumps(problem).encode(), "Unhandled", timed_out)


def _exit_message(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        name = signal.strsignal(-status) or f"{-status}"
        return f"Runtime exited with error: signal: {name.lower()}"
    return f"Runtime exited with error: exit status {status}"


def _now() -> datetime:
    return datetime.now(UTC)
