"""Requests to functions with AWS's answers to them, recorded of the sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cold_start.measured import MeasuredEnvironment
from benchmarks.cold_start.tape import Endpoint, Tape, forwarding
from instance_bundle.state import poll_queue
from sandbox import world
from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.functions.interpreter import Runtime
from sandbox.functions.process import Deployment
from sandbox.instances import run_like
from sandbox.serve import Ready, running

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

_EVENTS = REPOSITORY / "events"
_TASK_SECONDS = "86400"
"""Seconds that bundle tasks take: none ends while it is polled."""

APPLICATION = "instance_bundle.app.handler"
STOCK = "benchmarks.cold_start.functions.stock.handler"


@dataclass(frozen=True, slots=True)
class Recording:
    """An event and the answers of AWS's.

    Attributes:
        event: JSON.
        tape: the answers.
    """

    event: bytes
    tape: Tape = field(default_factory=Tape)


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was recorded of each function.

    Attributes:
        deployment: the application's, as the sandbox deploys it; all functions have its variables.
        create: a Create that starts a bundle, to the application.
        polls: batches of polls of bundles that still run, to the application, by their sizes.
        stock_create: the same Create, to the stock function.
        stock_poll: the poll that the stock function takes: there are no batches of them.
    """

    deployment: Deployment
    create: Recording
    polls: Mapping[int, Recording]
    stock_create: Recording
    stock_poll: Recording


def record(
    code: Path,
    stock: Path,
    runtime: Runtime,
    endpoint: Endpoint,
    sizes: Collection[int],
    say: Callable[[str], None],
) -> Recordings:
    """Carry out the requests in a sandbox, with an endpoint of one's own between.

    Args:
        code: the application's.
        stock: the stock function's.
        runtime: what runs functions.
        endpoint: where functions are to call AWS, then and later.
        sizes: of the batches of polls.
        say: takes a line of progress.
    """
    with running() as ready:
        endpoint.server = forwarding(ready.endpoint)
        clients = Clients(ready.endpoint)
        deployment = _deployment(clients, ready, code, endpoint)
        instances = run_like(
            clients.ec2, ready.instance_id, {"seconds": _TASK_SECONDS}, sum(sizes) + 1
        )
        creates = [_create(number, instance, endpoint) for number, instance in enumerate(instances)]
        recorder = _Recorder(ready.endpoint, endpoint, runtime)
        say(f"recording {len(creates)} Creates, and batches of {', '.join(map(str, sizes))} polls")
        with recorder.invoking(deployment) as invoke:
            create, *_ = [invoke(event) for event in creates[:-1]]
        polls, unpolled = {}, iter(creates)
        for size in sizes:
            # A batch gathers what is in the queue: so each has a queue of its own.
            bodies = _polls(islice(unpolled, size))
            queue = _queue(f"{world.POLL_QUEUE}-{size}", bodies[poll_queue.AT_ONCE :], clients)
            with recorder.invoking(_polling(deployment, endpoint, queue)) as invoke:
                polls[size] = invoke(_batch(bodies[: poll_queue.AT_ONCE]))
        with recorder.invoking(replace(deployment, handler=STOCK, code=stock)) as invoke:
            stock_create = invoke(creates[-1])
            stock_poll = invoke({**creates[-1], **_crhelper_poll(clients, instances[-1])})
    return Recordings(deployment, create, polls, stock_create, stock_poll)


@dataclass(frozen=True, slots=True)
class _Recorder:
    sandbox: str
    endpoint: Endpoint
    runtime: Runtime

    @contextmanager
    def invoking(
        self, deployment: Deployment
    ) -> Iterator[Callable[[Mapping[str, Any]], Recording]]:
        """A function in an environment of its own, which is invoked and recorded."""
        environment = MeasuredEnvironment(deployment, self.runtime)

        def invoke(event: Mapping[str, Any]) -> Recording:
            recording = Recording(json.dumps(event).encode())
            self.endpoint.server = recording.tape.recording(forwarding(self.sandbox))
            environment.measure(recording.event)
            return recording

        try:
            yield invoke
        finally:
            environment.close()


def _deployment(clients: Clients, ready: Ready, code: Path, endpoint: Endpoint) -> Deployment:
    """The application's function as it is deployed, but with a queue that no function polls."""
    deployed = clients.functions.get_function_configuration(FunctionName=ready.service_token)
    return Deployment(
        name=deployed["FunctionName"],
        arn=deployed["FunctionArn"],
        version="$LATEST",
        region=ready.region,
        role=deployed["Role"],
        runtime=deployed["Runtime"],
        handler=deployed["Handler"],
        memory=deployed["MemorySize"],
        code=code,
        log_group=ready.log_group,
        log_format="JSON",
        log_level=None,
        variables={
            **deployed["Environment"]["Variables"],
            "LEDGER_TABLE": world.LEDGER_TABLE,
            "REQUEST_TABLE": world.REQUEST_TABLE,
            "POLL_QUEUE_URL": f"{endpoint.url}/123456789012/{world.POLL_QUEUE}",
            "AWS_ENDPOINT_URL": endpoint.url,
            "SANDBOX_RESPONSE_ORIGIN": endpoint.url,
            # On AWS the code's directory can't be written to.
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )


def _create(number: int, instance_id: str, endpoint: Endpoint) -> dict[str, Any]:
    """`events/create.json`, for another resource."""
    event: dict[str, Any] = json.loads((_EVENTS / "create.json").read_text())
    storage = event["ResourceProperties"]["Storage"]["S3"]
    event["ResourceProperties"]["InstanceId"] = instance_id
    storage["Prefix"] = f"{storage['Prefix']}-{number}"
    event["LogicalResourceId"] += str(number)
    event["ResponseURL"] = f"{endpoint.url}/sandbox/responses/{number}"
    return event


def _queue(name: str, bodies: Sequence[str], clients: Clients) -> str:
    """A queue with these messages; its name."""
    sqs = clients.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return name


def _polling(deployment: Deployment, endpoint: Endpoint, queue: str) -> Deployment:
    url = f"{endpoint.url}/123456789012/{queue}"
    return replace(deployment, variables={**deployment.variables, "POLL_QUEUE_URL": url})


def _polls(creates: Iterable[Mapping[str, Any]]) -> list[str]:
    """The first poll of each Create, as a message's body."""
    message = json.loads((_EVENTS / "poll.json").read_text())["Records"][0]
    poll = {**json.loads(message["body"]), "generation": 1}
    return [
        json.dumps(
            {
                **poll,
                "key": {
                    "stack_id": create["StackId"],
                    "logical_id": create["LogicalResourceId"],
                    "request_id": create["RequestId"],
                },
            }
        )
        for create in creates
    ]


def _batch(bodies: Sequence[str]) -> dict[str, Any]:
    """`events/poll.json`, with these messages."""
    message = json.loads((_EVENTS / "poll.json").read_text())["Records"][0]
    return {
        "Records": [
            {**message, "messageId": f"message-{number}", "body": body}
            for number, body in enumerate(bodies)
        ]
    }


def _crhelper_poll(clients: Clients, instance_id: str) -> dict[str, Any]:
    """What crhelper's rule adds to an event, so that it is a poll, once EC2 lists the task."""
    own: FilterTypeDef = {"Name": "instance-id", "Values": [instance_id]}
    while not (tasks := clients.ec2.describe_bundle_tasks(Filters=[own])["BundleTasks"]):
        time.sleep(0.2)
    return {
        "CrHelperPoll": True,
        "CrHelperPermission": "permission",
        "CrHelperRule": "rule",
        "CrHelperData": {"BundleId": tasks[0]["BundleId"]},
    }
