"""The application's stack: its status, its version, and whether it is paused."""

from collections.abc import Iterator

from cli.doctor.findings import Command, Finding, aws, problem, warning
from cli.doctor.site import Site
from instance_bundle import __version__

_GOOD = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
)


def status(site: Site) -> Iterator[Finding]:
    """Whether the last operation on the stack has ended well."""
    found = site.stack["StackStatus"]
    events = aws("cloudformation", "describe-stack-events", "--stack-name", site.template.stack)
    if found.endswith("_IN_PROGRESS"):
        yield warning(
            f"The stack is {found}.", "What is read may change. Check again when it has ended."
        )
    elif found == "UPDATE_ROLLBACK_FAILED":
        yield problem(
            f"The stack is {found}.",
            "It can't be updated. Remove the cause that its events name, then continue.",
            events,
            aws(
                *("cloudformation", "continue-update-rollback"),
                *("--stack-name", site.template.stack),
            ),
        )
    elif found not in _GOOD:
        yield problem(f"The stack is {found}.", "Its events say why.", events)


def running(site: Site) -> str | None:
    """The application's version; None of one that has no output for it."""
    outputs = {each["OutputKey"]: each["OutputValue"] for each in site.stack.get("Outputs", [])}
    return outputs.get("Version")


def version(site: Site) -> Iterator[Finding]:
    """Whether the application is as new as the command."""
    found = running(site)
    if found == __version__:
        return
    what = f"The application has version {found or 'unknown'}, this command {__version__}."
    if found is None or _number(found) < _number(__version__):
        yield warning(
            what,
            "It lacks what is new. Deploy the command's version, in a clone of the repository.",
            ("sam", "build"),
            ("sam", "deploy", "--stack-name", site.template.stack),
        )
    else:
        yield warning(
            what,
            "The command may not know all of the application. Install the application's version of"
            " it, in a clone of the repository.",
            ("pipx", "install", "--force", ".[cli]"),
        )


def pause(site: Site) -> Iterator[Finding]:
    """Whether the application is paused."""
    if site.template.parameters.get("Paused") == "true":
        yield warning(
            "The parameter Paused is true.",
            "Nothing is made and nothing is removed, and Creates and Updates are FAILED. End the"
            " pause when the incident is over.",
            changed(site, Paused="false"),
        )


def changed(site: Site, **parameters: str) -> Command:
    """The command that changes parameters of the stack, and nothing else."""
    kept = [name for name in site.template.parameters if name not in parameters]
    return aws(
        *("cloudformation", "update-stack", "--stack-name", site.template.stack),
        "--use-previous-template",
        *("--capabilities", *site.stack["Capabilities"]),
        "--parameters",
        *(f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()),
        *(f"ParameterKey={name},UsePreviousValue=true" for name in kept),
    )


def _number(text: str) -> tuple[int, ...]:
    """Semantic Versioning's order, without what follows a hyphen."""
    return tuple(int(part) for part in text.partition("-")[0].split("."))
