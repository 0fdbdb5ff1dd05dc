"""Steps for tests: a stack with one bundle, its updates, and members to change in them."""

from __future__ import annotations

from typing import Any

from tests.chaos.sequence import Step

BUNDLE: dict[str, Any] = {
    "method": "BundleInstance",
    "instance": 0,
    "prefix": "a",
    "on_delete": "Delete",
    "timeout": 600,
    "seconds": 40,
    "outcome": "complete",
    "store_seconds": 40,
    "store_outcome": "complete",
    "store_stalls": 99,
    "image": None,
    "described": None,
    "register_seconds": 0,
    "register_outcome": "complete",
    "handle": None,
    "watched": True,
    "completion": 600,
    "long": False,
    "sibling": None,
}
CREATE: dict[str, Any] = {"do": "create", **BUNDLE}
UPDATE: dict[str, Any] = {
    "do": "update",
    "stack": 0,
    "delete_first": False,
    **BUNDLE,
    "prefix": "b",
}
UPDATE_IMAGE: dict[str, Any] = {
    "do": "update image",
    "stack": 0,
    "image": "",
    "described": "y",
    "register_seconds": 0,
    "register_outcome": "complete",
    "handle": None,
    "watched": True,
    "completion": 600,
    "sibling": None,
}
DELETE: Step = {"do": "delete", "stack": 0}
TAKE_OUT: Step = {"do": "take out", "stack": 0}
CANCEL: Step = {"do": "cancel", "stack": 0}

STORES: dict[str, Any] = {"method": "StoreImage", "described": "x"}
HANDLE: dict[str, Any] = {"handle": "new", "timeout": 60}
REGISTERS: dict[str, Any] = {"image": "", "described": "x"}
FAILS: dict[str, Any] = {"register_outcome": "failed", "register_seconds": 20}

SEVERAL: list[Step] = [
    CREATE | {"prefix": None} | different for different in ({}, {"instance": 1}, STORES)
]
"""Stacks that are created at once: two of one method, one of the other."""


def later(seconds: int) -> Step:
    """Time passes."""
    return {"do": "move", "seconds": seconds}


LATER = later(250)


def spaced(*steps: Step) -> list[Step]:
    """The steps, each after the end of the one before."""
    return [each for step in steps for each in (LATER, step)][1:]


def change(do: str = "change", **changes: Any) -> Step:
    """A change of the resource in the template; `sibling` and `later` are not part of it."""
    rest: dict[str, Any] = {
        name: changes.pop(name) for name in ("sibling", "later") if name in changes
    }
    outcome = {"later_outcome": "failed"} if "later" in rest else {}
    return {"do": do, "stack": 0, "changes": changes, **rest, **outcome}


def fault(call: str, kind: str, nth: int = 1, times: int = 1) -> Step:
    """A fault; by default it strikes once."""
    return {"do": "fault", "call": call, "kind": kind, "nth": nth, "times": times}
