"""The commands, their options, and what they exit with."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from cli import installation, orphans, output, owned, plan, release, status, why
from cli.doctor import checks, findings, site
from cli.doctor.stack import running
from cli.errors import FINE, TO_DO, NotFound, Unsafe
from cli.installation import Account, Installation

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--application",
        metavar="STACK",
        default="cfn-instance-bundle",
        show_default=True,
        help="The stack that the application was installed as.",
    ),
    click.option("--profile", metavar="NAME", help="A profile of the AWS configuration files."),
    click.option("--region", metavar="NAME", help="The Region; else the profile's."),
    click.option("--endpoint-url", metavar="URL", help="Call this instead of AWS: a sandbox."),
    click.option(
        "--output",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How the result is written.",
    ),
)


@dataclass(frozen=True, slots=True)
class Call:
    """The options that all commands have, as they were given.

    Attributes:
        found: the application.
        form: how the result is written.
        now: epoch seconds.
    """

    found: Installation
    form: output.Format
    now: float


def _reading(command: Command) -> Command:
    """Give a command the options of all commands; it is called with a `Call`, and its own."""

    @wraps(command)
    def called(
        *,
        application: str,
        profile: str | None,
        region: str | None,
        endpoint_url: str | None,
        form: output.Format,
        **own: Any,
    ) -> None:
        clock: Callable[[], float] = click.get_current_context().obj or time.time
        found = installation.find(Account(profile, region, endpoint_url), application)
        command(Call(found, form, clock()), **own)

    decorated: Any = called
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def instance_bundle() -> None:
    """Show what cfn-instance-bundle is doing, and what it has made.

    No command shows a ResponseURL, an upload policy or a signature. Only `release` changes
    anything.

    Exit codes: 0 fine; 1 there is something to do, or nothing was found; 2 the command, the profile
    or the Region is wrong; 3 AWS refused a call, or did not answer.
    """


@instance_bundle.command("status")
@_reading
def show_status(call: Call) -> None:
    """Show the requests in flight.

    How long they are in flight, how far they are, when they give up, and when they are polled next.
    """
    rows = status.read(call.found)
    if call.form == "json":
        output.write_json({"requests": [row.as_json() for row in rows]})
    elif rows:
        output.write_table(status.COLUMNS, [row.cells(call.now) for row in rows])
    else:
        output.write_line("Nothing is in flight.")


@instance_bundle.command("owned")
@click.argument("stack", required=False)
@_reading
def show_owned(call: Call, stack: str | None) -> None:
    """Show what a stack's resources have made.

    Bundles, AMIs, snapshots and objects, and whether they are managed, kept or released. STACK is a
    name or an ID; without it, those of all stacks are shown. Stacks that were deleted are shown,
    too, but where STACK is the ID of another.
    """
    found = owned.read(call.found, stack)
    if not found:
        of = f" of stack {stack}" if stack else ""
        raise NotFound(f"Neither the ledger nor EC2 has anything{of}.")
    if call.form == "json":
        output.write_json({"bundles": [each.as_json() for each in found]})
    else:
        output.write_table(owned.COLUMNS, [each.cells() for each in found])


@instance_bundle.command("why")
@click.argument("stack")
@click.argument("logical_id", required=False)
@_reading
def show_why(call: Call, stack: str, logical_id: str | None) -> None:
    """Show what a stack waits for, and the commands that free it.

    STACK is a name or an ID; LOGICAL_ID is that of one resource. Exits with 1 if the stack does not
    go on by itself.
    """
    found = why.read(call.found, stack, logical_id, call.now)
    if call.form == "json":
        output.write_json(found.as_json())
    else:
        for line in found.lines():
            output.write_line(line)
    sys.exit(TO_DO if found.is_stuck else FINE)


@instance_bundle.command("plan")
@click.argument("stack")
@click.argument("change_set")
@_reading
def show_plan(call: Call, stack: str, change_set: str) -> None:
    """Show what an update will do, before it does it.

    Which bundles are made, replaced, changed, removed or kept, and what happens to the instances.
    STACK and CHANGE_SET are names or IDs. Exits with 1 if the change set can't be executed, or a
    request of it is FAILED for sure.
    """
    found = plan.read(call.found, stack, change_set)
    if call.form == "json":
        output.write_json(found.as_json())
    else:
        for line in found.lines():
            output.write_line(line)
    sys.exit(TO_DO if found.needs_work else FINE)


@instance_bundle.command("doctor")
@click.option("--bucket", "buckets", metavar="NAME", multiple=True, help="Check this bucket, too.")
@_reading
def show_health(call: Call, buckets: Sequence[str]) -> None:
    """Check the installation, and show the commands that correct what is wrong.

    Functions, permissions, queues, rules, tables, KMS keys and alarms are compared with the stack's
    template. The exit code is 1 if there is a problem, or something could not be checked; warnings
    do not count.
    """
    installed = site.visit(call.found, buckets)
    version = running(installed)
    results = checks.run(installed)
    options = call.found.account.options()
    if call.form == "json":
        shown = [result.as_json(options) for result in results]
        output.write_json({"version": version, "checks": shown})
    else:
        output.write_line(f"Stack {call.found.stack}, version {version or 'unknown'}")
        output.write_table(("CHECK", "RESULT"), [(each.name, each.verdict) for each in results])
        for result in results:
            for line in findings.lines(result, options):
                output.write_line(line)
    is_fine = all(result.verdict in ("ok", "warning") for result in results)
    click.get_current_context().exit(FINE if is_fine else TO_DO)


@instance_bundle.command("orphans")
@_reading
def show_orphans(call: Call) -> None:
    """Show what no stack manages, and what it costs a month.

    AMIs and snapshots with the application's tags, and objects of bundles, of which the stack or
    the resource is gone, or has another image now. Costs are upper bounds, by list prices.
    """
    with output.progress() as say:
        found = orphans.read(call.found, say)
    if call.form == "json":
        output.write_json(found.as_json())
    elif found.rows:
        output.write_table(orphans.COLUMNS, [row.cells() for row in found.rows])
        for line in found.lines():
            output.write_line(line)
    else:
        output.write_line("There is nothing without a stack.")


@instance_bundle.command("release")
@click.argument("location")
@click.option("--yes", is_flag=True, help="Do not ask before the claim is deleted.")
@_reading
def release_location(call: Call, location: str, *, yes: bool) -> None:
    """Delete the claim of LOCATION, s3://bucket/prefix, if it protects nothing.

    Refused while something is stored there, work may write there, or the ledger has a bundle there,
    and if S3 does not say. Nothing but the claim is deleted.
    """
    if not location.startswith("s3://"):
        raise click.BadParameter("is s3://bucket/prefix", param_hint="LOCATION")
    found = release.read(call.found, location)
    if not yes:
        click.echo(found.described(), err=True)
        if click.prompt("Type yes to delete it", default="no", err=True) != "yes":
            raise Unsafe("Not confirmed. Nothing was changed.")
    found.carry_out()
    if call.form == "json":
        output.write_json({"released": found.claim.location.s3_uri})
    else:
        output.write_line(f"Released {found.claim.location.s3_uri}.")


def main() -> None:
    """Run the command that the arguments name."""
    instance_bundle(prog_name="instance-bundle")
