"""`python -m sandbox serve`: the sandbox until Ctrl-C."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from sandbox import deployment, world
from sandbox.access.keys import AccessKey
from sandbox.clients import REGION, Clients
from sandbox.server import Server

_INTERVAL = 1.0  # seconds

KEY_NEEDED = (
    "The sandbox takes any access key of your own\n"
    "processes; containers, other users and other machines need this one"
)


@dataclass(frozen=True, slots=True)
class Ready:
    """A sandbox that is up, as described in the ready file.

    Attributes:
        endpoint: the endpoint URL for AWS's clients.
        region: the region that the application is in.
        access_key_id: of the access key for containers, other users and other machines.
        secret_access_key: of the same key.
        service_token: the application's ServiceToken.
        bucket: an empty bucket for bundles.
        instance_id: a running Windows instance with an instance-store root volume.
        ebs_instance_id: a running instance with an EBS root volume.
        log_group: where the function logs.
    """

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    service_token: str
    bucket: str
    instance_id: str
    ebs_instance_id: str
    log_group: str


@contextmanager
def running(
    make_server: Callable[[], Server] = Server, parameters: Mapping[str, str] | None = None
) -> Iterator[Ready]:
    """A sandbox with the application deployed, which ends with the context.

    Args:
        make_server: makes the server.
        parameters: the parameters of the application's template; they override the sandbox's own.
    """
    with make_server() as server:
        clients = Clients(server.endpoint)
        made = world.make(clients)
        outputs = deployment.deploy(clients, parameters or {})
        yield Ready(
            endpoint=server.endpoint,
            region=REGION,
            access_key_id=server.key.key_id,
            secret_access_key=server.key.secret,
            service_token=outputs["ServiceToken"],
            log_group=outputs["InstanceBundleLogGroup"],
            **asdict(made),
        )


def serve(
    make_server: Callable[[], Server],
    parameters: Mapping[str, str],
    ready_file: Path | None,
    console: Console,
) -> None:
    """Serve the application until interrupted; then leave no process behind."""
    with running(make_server, parameters) as ready:
        offer(asdict(ready), _usage(ready), ready_file, console)


def offer(ready: object, usage: str, ready_file: Path | None, console: Console) -> None:
    """Write the ready file and print the usage; return never, but by an exception."""
    if ready_file is not None:
        _write(ready_file, ready)
    console.print(usage, markup=False, highlight=False, soft_wrap=True)
    # A signal that another thread took is handled here, and not before this thread wakes.
    while True:
        time.sleep(_INTERVAL)


def exports(endpoint: str, key: AccessKey) -> str:
    """What a client's environment needs, as a command to paste."""
    return (
        f"export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={REGION} "
        f"AWS_ACCESS_KEY_ID={key.key_id} AWS_SECRET_ACCESS_KEY={key.secret}"
    )


def _write(file: Path, ready: object) -> None:
    """Write the file atomically, so that a process that waits for it never reads half of it.

    It has the access key: only its owner can read it.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(ready) + "\n")
    unfinished.rename(file)


def _usage(ready: Ready) -> str:
    export = exports(ready.endpoint, AccessKey(ready.access_key_id, ready.secret_access_key))
    return f"""\
AWS is served at {ready.endpoint}, with the application deployed in {ready.region}.

  bucket           {ready.bucket}
  instance         {ready.instance_id}  running, Windows, instance-store root
  EBS instance     {ready.ebs_instance_id}  running, EBS root
  ServiceToken     {ready.service_token}

Paste into another terminal, in this directory. {KEY_NEEDED}:

  {export}
  .venv/bin/aws cloudformation create-stack --stack-name web --template-body file://examples/bundle.yaml --parameters ParameterKey=InstanceId,ParameterValue={ready.instance_id} ParameterKey=Bucket,ParameterValue={ready.bucket}
  .venv/bin/aws cloudformation wait stack-create-complete --stack-name web
  .venv/bin/aws cloudformation describe-stacks --stack-name web --query 'Stacks[0].Outputs' --output table

The built functions in containers (sam build comes first; docs/local.md says what containers need):

  sam local invoke InstanceBundleFunction -e events/create.json
  curl {ready.endpoint}/sandbox/responses

What the function logs:

  .venv/bin/aws logs filter-log-events --log-group-name {ready.log_group} --query 'events[].[message]' --output text

Tags on an instance steer its next bundle task: sandbox:seconds, sandbox:outcome
(complete, failed or hang) and sandbox:error (Code: message).

Ctrl-C ends the sandbox."""  # noqa: E501  commands to paste are one line each
