"""A run: the recorder's own stack, all phases side by side, and the clean-up, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tools.record.cleaning import clean, outputs_of
from tools.record.mailbox import Mailbox
from tools.record.phases import Phase
from tools.record.playing import Player, Stage, Stopped
from tools.record.site import PREFIX, Site, tags
from tools.record.templates import BUCKET_URL

_TEMPLATE = Path(__file__).with_name("template.yaml")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run takes its time, in seconds.

    Attributes:
        delay: between the two times that a request's stack is described.
        pause: between two polls of a stack.
        patience: that a stack may take to come to rest.
        parallel: how many phases are played at a time; not a time.
    """

    delay: float = 5
    pause: float = 5
    patience: float = 1800
    parallel: int = 6


def record(
    site: Site,
    run: str,
    phases: Iterable[Phase],
    directory: Path,
    pace: Pace,
    say: Callable[[str], None],
) -> list[str]:
    """Record phases into a directory, and delete all that was made; what went wrong, if anything.

    An interrupt ends the phases; the clean-up is done nevertheless.
    """
    phases = tuple(phases)
    mailbox: Mailbox | None = None
    problems: list[str] = []
    try:
        outputs = _deploy(site, run, pace)
        mailbox = Mailbox(site.client("sqs"), outputs["Queue"])
        mailbox.start()
        stage = Stage(site, run, outputs, mailbox, pace.delay, pace.pause, pace.patience)
        _upload(stage, phases)
        problems += _play_all(stage, phases, directory, pace.parallel, say)
    finally:
        say("Cleaning up")
        remained = clean(site, run, say, mailbox, pace.pause, pace.patience)
        if mailbox is not None:
            mailbox.close()
        for each in remained:
            say(f"It remained: {each}")
    return [*problems, *remained]


def _deploy(site: Site, run: str, pace: Pace) -> dict[str, str]:
    """Create the recorder's own stack; its outputs."""
    client, name = site.client("cloudformation"), f"{PREFIX}-{run}"
    client.create_stack(
        StackName=name,
        TemplateBody=_TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Tags=tags(run),
    )
    client.get_waiter("stack_create_complete").wait(
        StackName=name,
        WaiterConfig={"Delay": pace.pause, "MaxAttempts": max(1, int(pace.patience / pace.pause))},
    )
    return outputs_of(client.describe_stacks(StackName=name)["Stacks"][0])


def _upload(stage: Stage, phases: Iterable[Phase]) -> None:
    """Upload the templates of nested stacks."""
    s3 = stage.site.client("s3")
    for phase in phases:
        for key, template in phase.nested.items():
            body = json.dumps(template).replace(BUCKET_URL, stage.bucket_url)
            s3.put_object(Bucket=stage.outputs["Bucket"], Key=key, Body=body.encode())


def _play_all(
    stage: Stage,
    phases: tuple[Phase, ...],
    directory: Path,
    parallel: int,
    say: Callable[[str], None],
) -> list[str]:
    """Play the phases, and write each as soon as it is over; what went wrong."""
    problems: list[str] = []
    with ThreadPoolExecutor(parallel) as threads:
        playing = {threads.submit(Player(stage, phase).play): phase for phase in phases}
        try:
            for future in as_completed(playing):
                name = playing[future].name
                try:
                    recording = future.result()
                except Stopped:
                    continue
                except Exception as problem:  # noqa: BLE001  the other phases go on
                    problems.append(f"{name}: {type(problem).__name__}: {problem}")
                    say(problems[-1])
                    continue
                recording.write(directory)
                if not recording.finished:
                    problems.append(f"{name}: {recording.entries[-1]['message']}")
                say(f"{name}: recorded" if recording.finished else problems[-1])
        except BaseException:
            stage.stop.set()
            threads.shutdown(cancel_futures=True)
            raise
    return problems
