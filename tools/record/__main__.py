"""Records what AWS does with a custom resource, or tries the application: docs/recording.md."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tools.record import cleaning, costs, running, smoke
from tools.record.phases import PHASES
from tools.record.site import Site, new_run

ABOUT_PHASES = "It takes about an hour at most, and costs less than $0.05 on AWS."


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name; the exit status."""
    given = _parser().parse_args(arguments)
    _end_on_signals()
    try:
        site = Site.found()
    except (BotoCoreError, ClientError) as problem:
        _say(f"No account: {problem}")
        return 2
    _say(f"Account {site.account}, {site.region}, as {site.arn}; it is {_named(site.source)}.")
    try:
        return int(given.command(site, given))
    except KeyboardInterrupt:
        _say("Interrupted.")
        return 130


def _phases(site: Site, given: argparse.Namespace) -> int:
    chosen = [phase for phase in PHASES if not given.only or phase.name in given.only]
    run = new_run()
    _say(f"Run {run}: {len(chosen)} phases, each a stack that is deleted. {ABOUT_PHASES}")
    if not _confirmed(given):
        return 1
    pace = running.Pace(given.delay, given.pause, given.patience, given.parallel)
    problems = running.record(site, run, chosen, given.output, pace, _say)
    return 1 if problems else 0


def _smoke(site: Site, given: argparse.Namespace) -> int:
    try:
        made_of = smoke.machine(site, given.image_id, given.subnet_id)
    except (ClientError, smoke.Failed) as problem:
        _say(f"Nothing was made: {problem}")
        return 2
    run = new_run()
    _say(f"Run {run}: the application, a {costs.INSTANCE_TYPE} of {made_of.image_id}, one image.")
    _say("In an hour it would cost, by list prices of us-east-1:")
    for line in costs.table(costs.Used(smoke.USUAL_SECONDS, made_of.gigabytes)):
        _say(line)
    if not _confirmed(given):
        return 1
    pace = running.Pace(pause=given.pause, patience=given.patience)
    return 1 if smoke.smoke(site, run, made_of, pace, _say) else 0


def _clean(site: Site, given: argparse.Namespace) -> int:
    runs = sorted(cleaning.runs(site) if given.run is None else {given.run})
    names = {run: sorted(cleaning.stacks(site, run)) for run in runs}
    if not any(names.values()):
        _say("There is nothing to delete.")
        return 0
    for name in (name for each in names.values() for name in each):
        _say(f"To be deleted: stack {name}")
    if not _confirmed(given):
        return 1
    remained = [
        each
        for run in runs
        for each in cleaning.clean(site, run, _say, None, given.pause, given.patience)
    ]
    for each in remained:
        _say(f"It remained: {each}")
    return 1 if remained else 0


def _end_on_signals() -> None:
    """Have the first SIGINT or SIGTERM interrupt; further ones do not disturb the clean-up."""

    def interrupt(*_: object) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, interrupt)


def _confirmed(given: argparse.Namespace) -> bool:
    if given.yes:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _say(line: str) -> None:
    # Nobody may read it any more: the clean-up goes on.
    with suppress(BrokenPipeError):
        print(line, flush=True)  # noqa: T201  it is a command


def _named(source: str) -> str:
    return {"aws": "AWS", "sandbox": "the sandbox"}.get(source, "neither AWS nor the sandbox")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.record", description=__doc__)
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--yes", action="store_true", help="do not ask before anything is made")
    common.add_argument("--pause", type=float, default=5, help="seconds between polls; default 5")
    common.add_argument(
        "--patience", type=float, default=1800, help="seconds for one operation; default 1800"
    )

    phases = commands.add_parser("phases", parents=[common], help="record all phases")
    phases.set_defaults(command=_phases)
    phases.add_argument("--output", type=Path, required=True, help="a directory for recordings")
    phases.add_argument(
        "--only", action="append", choices=[phase.name for phase in PHASES], help="one phase"
    )
    phases.add_argument(
        "--delay",
        type=float,
        default=5,
        help="seconds between the two times that a request's stack is described; default 5",
    )
    phases.add_argument("--parallel", type=int, default=6, help="phases at a time; default 6")

    smoking = commands.add_parser(
        "smoke", parents=[common], help="store an image with the application, and delete all"
    )
    smoking.set_defaults(command=_smoke)
    smoking.add_argument("--image-id", help="the instance's AMI; default Amazon Linux, minimal")
    smoking.add_argument("--subnet-id", help="default: one of the default VPC")

    cleaned = commands.add_parser(
        "clean", parents=[common], help="delete what runs that were killed have left"
    )
    cleaned.set_defaults(command=_clean)
    cleaned.add_argument("--run", help="the ID of a run; default all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
