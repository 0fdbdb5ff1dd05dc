"""`python -m sandbox serve --template FILE` and `--empty`: the sandbox without the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from sandbox import own_template
from sandbox.clients import REGION, Clients
from sandbox.own_template import BUCKET, CAPABILITIES, NotDeployed
from sandbox.serve import KEY_NEEDED, exports, offer
from sandbox.server import Server


@dataclass(frozen=True, slots=True)
class Ready:
    """A sandbox that is up, as described in the ready file.

    Attributes:
        endpoint: the endpoint URL for AWS's clients.
        region: the Region of the stack.
        access_key_id: of the access key for containers, other users and other machines.
        secret_access_key: of the same key.
        stack_name: the stack's name; None if the sandbox is empty.
        outputs: of the stack.
    """

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    stack_name: str | None
    outputs: Mapping[str, str]


def serve_template(
    make_server: Callable[[], Server],
    template: Path | None,
    stack_name: str,
    parameters: Mapping[str, str],
    ready_file: Path | None,
    console: Console,
) -> int:
    """Serve until interrupted, with a template deployed, or with nothing if there is none.

    Returns:
        The exit status, 1: the template was not deployed. What is wrong is printed.
    """
    with make_server() as server:
        outputs: dict[str, str] = {}
        if template is not None:
            try:
                outputs = own_template.deploy(
                    Clients(server.endpoint), template, stack_name, parameters
                )
            except NotDeployed as problem:
                console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
                return 1
        ready = Ready(
            endpoint=server.endpoint,
            region=REGION,
            access_key_id=server.key.key_id,
            secret_access_key=server.key.secret,
            stack_name=stack_name if template else None,
            outputs=outputs,
        )
        offer(asdict(ready), _usage(server, template, ready), ready_file, console)
    return 1


def _usage(server: Server, template: Path | None, ready: Ready) -> str:
    deployed = f"with stack {ready.stack_name} of {template}" if template else "and empty"
    width = max(map(len, ready.outputs), default=0)
    outputs = [f"  {name:<{width}}  {value}" for name, value in ready.outputs.items()]
    update = f"""\

After an edit:

  aws cloudformation package --template-file {template} --s3-bucket {BUCKET} --output-template-file packaged.yaml
  aws cloudformation deploy --template-file packaged.yaml --stack-name {ready.stack_name} --capabilities {" ".join(CAPABILITIES)}
"""  # noqa: E501  commands to paste are one line each
    return "\n".join(
        [
            f"AWS is served at {ready.endpoint}, {deployed}, in {ready.region}.",
            "",
            *(outputs and [*outputs, ""]),
            f"Paste into another terminal. {KEY_NEEDED}:",
            "",
            f"  {exports(ready.endpoint, server.key)}",
            *([update] if template else [""]),
            "Ctrl-C ends the sandbox.",
        ]
    )
