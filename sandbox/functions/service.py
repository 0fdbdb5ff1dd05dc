"""Lambda functions that run: moto stores them, the sandbox's processes execute them.

`install` puts a service behind moto's Lambda: whatever invokes a function there, by the Invoke API
or by another service of moto's, comes here.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar
from unittest.mock import patch

from moto.awslambda import models as moto_lambda
from moto.awslambda.models import LambdaFunction
from moto.cloudformation import parsing as moto_cloudformation
from moto.core.common_models import CloudFormationModel

from sandbox.faults.faults import Faults
from sandbox.functions import (
    event_invoke_config,  # noqa: F401  defines a model
    metrics,
    recursion,
    topics,
)
from sandbox.functions.async_events import AsyncEvents
from sandbox.functions.code_store import CodeStore
from sandbox.functions.concurrency import (
    ACCOUNT_LIMIT,
    Concurrency,
    TooManyRequestsException,
)
from sandbox.functions.interpreter import Runtime, prepare_runtime
from sandbox.functions.lineage import HEADER, Lineage
from sandbox.functions.log_results import Tail, log_result
from sandbox.functions.logging_config import logging_config_of
from sandbox.functions.payloads import json_payload, require_sync_size
from sandbox.functions.process import Deployment
from sandbox.functions.runtime import ExecutionEnvironment, LogSink, log_to_logger
from sandbox.functions.runtime_api import InvokeResult
from sandbox.observation.calls_made import CallsMade

logger = logging.getLogger("sandbox")

_JOIN_SECONDS = 2.0

_PROCESSES = 10
"""Of one function at once. It spares this machine, and is no limit of AWS's: an execution that
Lambda has room for waits for a process here."""


@dataclass(slots=True)
class _Pool:
    """The environments of one function; the last used of the idle ones comes last.

    freed: notified of each that is free again.
    """

    freed: threading.Condition
    idle: list[ExecutionEnvironment] = field(default_factory=list)
    busy: list[ExecutionEnvironment] = field(default_factory=list)


class Functions:
    """Runs moto's Lambda functions in environments of their own, and keeps the idle ones warm.

    Made by `install`.
    """

    def __init__(
        self,
        runtime: Runtime,
        extra_environment: Mapping[str, str],
        log: LogSink,
        clock: Callable[[], float],
        retry_delays: tuple[float, float],
        concurrency: int,
        faults: Faults,
        calls: CallsMade,
    ) -> None:
        self._runtime = runtime
        self._extra_environment = extra_environment
        self._log = log
        self._concurrency = Concurrency(concurrency)
        self._code = CodeStore()
        self._lock = threading.Lock()
        self._pools = defaultdict[str, _Pool](lambda: _Pool(threading.Condition(self._lock)))
        self._tails: dict[str, Tail] = {}
        self._invocations: Counter[str] = Counter()
        self._closed = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._moto = ExitStack()
        # Accepts asynchronous invocations.
        self.send = AsyncEvents(
            self.invoke, self.spawn, self._closed, clock, retry_delays, faults, calls
        ).send

    def invoke(
        self,
        function: LambdaFunction,
        payload: bytes,
        chain: Lineage,
        *,
        request_id: str | None = None,
        tail: list[str] | None = None,
    ) -> InvokeResult:
        """Run a function now and wait for its result.

        payload: JSON. chain: the chain of requests that led here. tail: gets the log's end, as
        LogType Tail asks for it.
        Raises TooManyRequestsException if the function is throttled, or the sandbox is closing,
        and RecursiveInvocationException if the chain is stopped here.
        """
        entered = recursion.enter(function, chain)
        with self._concurrency.execution(function):
            environment = self._acquire(function, self._deployment(function))
            with self._lock:
                self._invocations[function.function_name] += 1
            request_id = request_id or str(uuid.uuid4())
            log, began = self._tails[environment.name], time.monotonic()
            log.begin()
            try:
                result = environment.invoke(
                    request_id, payload, float(function.timeout), entered.header()
                )
                if tail is not None:
                    took = time.monotonic() - began
                    version, memory = str(function.version), function.memory_size
                    tail.append(log_result(request_id, version, memory, took, log.lines()))
            finally:
                self._release(function, environment)
        metrics.count(function, "Invocations")
        metrics.count(function, "Errors", 0 if result.error is None else 1)
        return result

    def calling(self, user_agent: str, port: int) -> ExecutionEnvironment | None:
        """The environment at work that makes a request, if one does.

        The SDK names it in the user agent; for other requests it is found by the connection's local
        port, which takes long to look up.
        """
        with self._lock:
            busy = [environment for pool in self._pools.values() for environment in pool.busy]
        named = re.search(r"\bapp/(\w+)", user_agent)
        if named is not None or "Boto3/" in user_agent or "aws-cli/" in user_agent:
            name = named and named[1]
            return next((environment for environment in busy if environment.name == name), None)
        return next((environment for environment in busy if environment.owns_port(port)), None)

    def invocations(self) -> list[dict[str, Any]]:
        """How often each function was invoked, what was throttled not counted, as JSON can hold it:
        `function` and `count`, sorted by function."""
        with self._lock:
            counts = sorted(self._invocations.items())
        return [{"function": function, "count": count} for function, count in counts]

    def spawn(self, task: Callable[[], None]) -> None:
        """Run a task in a thread of its own, which close() waits for; once closed, do nothing."""

        def run() -> None:
            try:
                task()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="sandbox function task", daemon=True)
        with self._lock:
            if self._closed.is_set():
                return
            self._threads.add(thread)
            thread.start()

    def close(self) -> None:
        """Give moto its own Lambda back, kill every process, end every thread. May be called again.

        Running invocations end at once, as if their processes had been killed.
        """
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            for pool in self._pools.values():
                pool.freed.notify_all()
            environments = [e for pool in self._pools.values() for e in pool.idle + pool.busy]
            threads = list(self._threads)
        self._moto.close()
        for environment in environments:
            environment.close()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._code.close()

    def unpack(self, function: LambdaFunction) -> None:
        """Unpack a function's code ahead of its first invocation, as AWS does."""
        self._code.unpacked(function.code_digest, function.code_bytes)

    def _deployment(self, function: LambdaFunction) -> Deployment:
        logging_config = logging_config_of(function)
        variables = {name: str(value) for name, value in function.environment_vars.items()}
        return Deployment(
            name=function.function_name,
            arn=function.function_arn,
            version=str(function.version),
            region=function.region,
            role=str(function.role),
            runtime=str(function.run_time),
            handler=str(function.handler),
            memory=int(function.memory_size),
            code=self._code.unpacked(function.code_digest, function.code_bytes),
            log_group=logging_config["LogGroup"],
            log_format=logging_config["LogFormat"],
            log_level=logging_config.get("ApplicationLogLevel"),
            variables={**variables, **self._extra_environment},
        )

    def _acquire(self, function: LambdaFunction, deployment: Deployment) -> ExecutionEnvironment:
        with self._lock:
            pool = self._pools[function.function_arn]
            pool.freed.wait_for(lambda: len(pool.busy) < _PROCESSES or self._closed.is_set())
            if self._closed.is_set():
                raise TooManyRequestsException
            outdated = [e for e in pool.idle if not e.alive or e.deployment != deployment]
            pool.idle = [e for e in pool.idle if e not in outdated]
            if pool.idle:
                environment = pool.idle.pop()
            else:
                tail = Tail(self._log)
                environment = ExecutionEnvironment(deployment, self._runtime, tail)
                self._tails[environment.name] = tail
            pool.busy.append(environment)
        for old in outdated:
            self._close(old)
        return environment

    def _close(self, environment: ExecutionEnvironment) -> None:
        environment.close()
        self._tails.pop(environment.name, None)

    def _release(self, function: LambdaFunction, environment: ExecutionEnvironment) -> None:
        keep = environment.alive
        with self._lock:
            pool = self._pools[function.function_arn]
            pool.busy.remove(environment)
            if keep:
                pool.idle.append(environment)
            pool.freed.notify()
        if not keep or self._closed.is_set():
            self._close(environment)


class SandboxFunction(LambdaFunction, CloudFormationModel):
    """moto's function, run by the installed service, and with the logging config that moto drops.

    CloudFormationModel is named as a base once more because moto's CloudFormation finds only its
    direct subclasses; of two for one resource type it takes the later.
    """

    service: ClassVar[Functions | None] = None

    def __init__(
        self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1
    ) -> None:
        super().__init__(account_id, spec, region, version)
        self.logging_config: dict[str, str] = spec.get("LoggingConfig") or {}

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        configuration = super().get_configuration(on_create)
        return {**configuration, "LoggingConfig": logging_config_of(self)}

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        self.logging_config = config_updates.get("LoggingConfig", self.logging_config)
        self.architectures = config_updates.get("Architectures", self.architectures)
        super().update_configuration(config_updates)
        return self.get_configuration()

    def invoke(self, body: str | bytes, request_headers: Any, response_headers: Any) -> str | bytes:
        if self.service is None:
            raise RuntimeError(f"{self.function_name} can't run: no service is installed")
        payload = json_payload(body)
        require_sync_size(payload)
        headers = {name.lower(): value for name, value in dict(request_headers).items()}
        response_headers["X-Amz-Executed-Version"] = str(self.version)
        chain = Lineage.of(headers.get(HEADER.lower()))
        match headers.get("x-amz-invocation-type", "RequestResponse"):
            case "DryRun":
                return b""
            case "Event":
                self.service.send(self, payload, chain)
                return b""
        tail: list[str] | None = [] if headers.get("x-amz-log-type") == "Tail" else None
        result = self.service.invoke(self, payload, chain, tail=tail)
        if tail:
            response_headers["x-amz-log-result"] = tail[0]
        if result.error:
            response_headers["X-Amz-Function-Error"] = result.error
        return result.payload

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> LambdaFunction:
        function = super().create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **kwargs
        )
        properties = cloudformation_json["Properties"]
        dropped = ("Architectures", "Layers", "LoggingConfig")
        function.update_configuration({k: properties[k] for k in dropped if k in properties})
        recursion.put_setting(function, properties.get("RecursiveLoop", recursion.TERMINATE))
        if cls.service is not None:
            cls.service.unpack(function)
        return function

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: LambdaFunction,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> LambdaFunction:
        properties = cloudformation_json["Properties"]
        recursion.put_setting(
            original_resource, properties.get("RecursiveLoop", recursion.TERMINATE)
        )
        original_resource.reserved_concurrency = properties.get("ReservedConcurrentExecutions")
        code = properties["Code"]
        if "ZipFile" in code:  # it is the code's text, which moto minds in a create only
            package = cls._create_zipfile_from_plaintext_code(code["ZipFile"])
            code = {**code, "ZipFile": base64.b64encode(package)}
        return super().update_from_cloudformation_json(
            original_resource,
            new_resource_name,
            {**cloudformation_json, "Properties": {**properties, "Code": code}},
            account_id,
            region_name,
        )


def install(
    extra_environment: Mapping[str, str],
    log: LogSink = log_to_logger,
    clock: Callable[[], float] = time.time,
    retry_delays: tuple[float, float] = (60.0, 120.0),
    concurrency: int = ACCOUNT_LIMIT,
    faults: Faults | None = None,
    calls: CallsMade | None = None,
) -> Functions:
    """Have moto's Lambda run its functions as processes, until `close()`. One at a time.

    extra_environment: variables that every function gets, such as AWS_ENDPOINT_URL; read at each
    invocation, so that it may be filled in later.
    log: where the lines go that functions print.
    clock: epoch seconds; the age and retries of asynchronous events follow it. Processes, their
    deadlines and timeouts live in real time.
    retry_delays: seconds before each retry of an asynchronous event; AWS waits 60, then 120.
    concurrency: executions that an account may have at once in a Region.
    faults: those that have an asynchronous event delivered twice; none if absent.
    calls: where the calls are counted, and judged, that reporting to a destination takes.

    Raises RuntimeError if no interpreter can be prepared (see `prepare_runtime`).
    """
    functions = Functions(
        prepare_runtime(),
        extra_environment,
        log,
        clock,
        retry_delays,
        concurrency,
        faults or Faults(),
        calls or CallsMade(),
    )
    functions._moto.enter_context(patch.object(moto_lambda, "LambdaFunction", SandboxFunction))
    functions._moto.enter_context(patch.object(SandboxFunction, "service", functions))
    functions._moto.enter_context(recursion.served())
    functions._moto.enter_context(topics.invoking())
    for cache in (
        moto_cloudformation.get_model_list,
        moto_cloudformation.get_model_map,
        moto_cloudformation.get_name_type_map,
    ):
        cache.cache_clear()
    return functions
