"""AWS on this machine: `python -m sandbox serve`, `demo` or `prepare`."""

import argparse
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from sandbox.ports import LAST_PORT, CannotListen, require_free

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4580
LONGEST_MINUTE = 3600
DEFAULT_STACK_NAME = "app"


def main() -> int:
    """Run the command that the arguments name; the exit status."""
    arguments = _parser().parse_args()
    console = Console()
    _end_on_signals()
    try:
        return _run(arguments, console)
    except KeyboardInterrupt:
        console.print("The sandbox has ended.")
        return 0 if arguments.command == "serve" else 1


# Each command imports what it runs: moto takes seconds, and `prepare` does without it.
def _run(arguments: argparse.Namespace, console: Console) -> int:
    match arguments.command:
        case "serve":
            return _serve(arguments, console)
        case "demo":
            with _without_collecting():
                from sandbox.demo import demo

            return demo(console, arguments.method)
        case "prepare":
            from sandbox import artifact

            artifact.build()
    return 0


def _serve(arguments: argparse.Namespace, console: Console) -> int:
    try:
        require_free(arguments.host, arguments.port)
    except CannotListen as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    with _without_collecting():
        from sandbox.cloudformation.request_forms import RequestForms
        from sandbox.serve import serve
        from sandbox.serve_template import serve_template
        from sandbox.server import Server

    make_server = partial(
        Server,
        arguments.port,
        arguments.host,
        **({} if arguments.concurrency is None else {"concurrency": arguments.concurrency}),
        forms=RequestForms(arguments.signature_version, arguments.service_timeout),
        cloudwatch_minute=arguments.cloudwatch_minute,
        schedule_minute=arguments.schedule_minute,
        https_responses=_has_https(arguments),
    )
    parameters, ready_file = dict(arguments.parameter), arguments.ready_file
    if arguments.template is None and not arguments.empty:
        serve(make_server, parameters, ready_file, console)
        return 0
    return serve_template(
        make_server, arguments.template, arguments.stack_name, parameters, ready_file, console
    )


def _has_https(arguments: argparse.Namespace) -> bool:
    """As on AWS, but for the application: containers reach HTTP without a certificate."""
    if arguments.https is None:
        return arguments.template is not None or arguments.empty
    return bool(arguments.https)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Have the garbage collector leave out what is imported, half a million objects."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def _end_on_signals() -> None:
    """Have the first SIGINT or SIGTERM interrupt; further ones do not disturb the clean-up."""

    def interrupt(*_: object) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, interrupt)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser(
        "serve",
        help="serve AWS on this machine until Ctrl-C, with the application deployed, or with a "
        "template of yours",
    )
    contents = serving.add_mutually_exclusive_group()
    contents.add_argument(
        "--template",
        type=Path,
        metavar="FILE",
        help="a template of yours to deploy instead of the application; local code that it refers "
        "to is packaged, and SAM templates are transformed",
    )
    contents.add_argument(
        "--empty", action="store_true", help="deploy nothing: serve an account with nothing in it"
    )
    serving.add_argument(
        "--stack-name",
        default=DEFAULT_STACK_NAME,
        metavar="NAME",
        help=f"of the stack of --template; default {DEFAULT_STACK_NAME}",
    )
    serving.add_argument(
        "--host",
        default=DEFAULT_HOST,
        help="an address of this machine that containers reach, for `sam local`; "
        f"default {DEFAULT_HOST}",
    )
    serving.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help=f"0 takes a free one; default {DEFAULT_PORT}",
    )
    serving.add_argument(
        "--ready-file", type=Path, help="a file to write, as JSON, once all is ready"
    )
    serving.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of the template that is deployed; may be given again for others",
    )
    serving.add_argument(
        "--concurrency",
        type=int,
        metavar="N",
        help="executions of functions that the account may have at once; default 1000, as on AWS",
    )
    serving.add_argument(
        "--signature-version",
        type=int,
        choices=(2, 4),
        default=4,
        help="of the URLs that custom resources and signals are put to; default 4",
    )
    serving.add_argument(
        "--service-timeout",
        choices=("properties", "event"),
        default="properties",
        help="where an event to a custom resource has its ServiceTimeout: in ResourceProperties, "
        "or at its top level; default properties",
    )
    serving.add_argument(
        "--cloudwatch-minute",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long a minute takes by which alarms are evaluated; default 60",
    )
    serving.add_argument(
        "--schedule-minute",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long a minute takes by which rules with a schedule run; default 60",
    )
    serving.add_argument(
        "--https",
        action=argparse.BooleanOptionalAction,
        help="whether ResponseURLs are HTTPS, with a certificate that functions trust; default: "
        "only if the application is not deployed",
    )
    showing = commands.add_parser("demo", help="deploy an example and watch")
    showing.add_argument(
        "--method",
        choices=("BundleInstance", "StoreImage"),
        default="BundleInstance",
        help="BundleInstance deploys examples/bundle.yaml, StoreImage examples/store-image.yaml",
    )
    commands.add_parser("prepare", help="install what functions run with, for a quick start later")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to {LAST_PORT}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_MINUTE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number up to {LONGEST_MINUTE}")
    return seconds


def _parameter(text: str) -> tuple[str, str]:
    """Name and value of `KEY=VALUE`; the value may be empty, or hold `=` itself."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
