"""What is said of a stack whose resources failed."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.cloudformation.stacks import Stack


def failures(stack: Stack, failed: Iterable[str]) -> str | None:
    """The reason of a stack whose resources failed, by what they failed to do."""
    failed, reasons = list(failed), []
    for verb in ("create", "update", "delete"):
        names = [name for name in failed if stack.resources[name].status.startswith(verb.upper())]
        if names:
            listed = ", ".join(names)
            reasons.append(f"The following resource(s) failed to {verb}: [{listed}]. ")
    return "".join(reasons) or None
