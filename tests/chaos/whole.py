"""Draws sequences about whose the bundles are: deletion policies, resources that are taken out, put
back and renamed, identities that come back, updates that are cancelled or undone late, requests by
SNS, with another signature, or forged; and faults in some of them.

Each sequence is drawn independently of all others, with a chance for each step that leads far into
a stack's life. What breaks a promise is shortened by `tests.chaos.shorten`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.chaos.machine import CALLS
from tests.chaos.refusal_promises import READS
from tests.chaos.sequence import WHOLE, Run
from tests.chaos.world import FAULTS, KILLS, Violation, World

Choices = Mapping[str, Sequence[Any]]
"""Of each member the values that it may have; one that is likelier is there more than once."""

POLICIES: Choices = {
    "deletion_policy": ["Delete", "Delete", "Retain", "RetainExceptOnCreate"],
    "replace_policy": ["Delete", "Delete", "Retain"],
    "keeps_failed": [False, True],
}
ENDS: Choices = {
    "sibling": [*[None] * 6, 0, 1, 12, 70],
    "later": [None, None, None, 3, 90],
    "later_outcome": ["complete", "failed", "failed"],
}
"""What becomes of the rest of the stack: `sibling` fails beside the bundle, `later` comes after."""

BUNDLES: Choices = {
    "method": ["BundleInstance", "BundleInstance", "StoreImage"],
    "instance": [0, 1],
    "prefix": [None, None, None, "a", "b"],
    "on_delete": ["Retain", "Delete", "Delete", "RetainExceptOnCreate"],
    "timeout": [600, 600, 600, 300, 90],
    "seconds": [10, 40, 200],
    "outcome": [*["complete"] * 12, "failed", "hang"],
    "store_seconds": [5, 10, 40, 100],
    "store_outcome": [*["complete"] * 12, "failed"],
    "store_stalls": [99, 20],
    "long": [False],
    "image": [None, None, None, ""],
    "described": [None, "x", "y"],
    "register_seconds": [0, 0, 20, 100],
    "register_outcome": [*["complete"] * 12, "failed"],
    "handle": [*[None] * 6, "new", "same"],
    "watched": [True, True, True, False],
    "completion": [120, 600, 1500],
    "signature": [4, 4, 4, 2],
    **POLICIES,
}
_LASTING: Choices = {
    "outcome": ["complete"],
    "store_outcome": ["complete"],
    "register_outcome": ["complete"],
    "timeout": [600],
    "sibling": [*[None] * 12, 12],
    "later": [*[None] * 12, 3],
    "later_outcome": ["complete", "failed"],
    "through": [*["lambda"] * 30, "sns"],
}
"""Of a stack that is to be there for the steps that follow."""

_IDENTITY: Choices = {"instance": [0, 1], "prefix": [None]}
_CHANGED = (
    *("instance", "prefix", "on_delete", "method", "outcome", "seconds", "described"),
    *("signature", *POLICIES),
)
_PAUSES = (0, 25, 700, 700, 700, 700)
_STEPS = range(3, 9)


class Player:
    """Draws the steps of one sequence, and has them carried out."""

    def __init__(self, run: Run, random: Random) -> None:
        self._run = run
        self._random = random
        self._first: dict[str, Any] = {}

    def play(self) -> None:
        """Draw and carry out all steps."""
        draw = self._random
        self._run.step(WHOLE)
        self._first = {"do": "create", **self._of({**BUNDLES, **_LASTING})}
        faults = draw.choice(["none", "none", "first", "then"])
        if faults == "first":
            self._strike()
        self._one()
        if faults == "then":
            self._strike()
        acts = [
            *[self._change] * 4,
            *[self._take_out] * 3,
            *[self._there_and_back] * 2,
            *[self._rename] * 2,
            *[self._cancel] * 2,
            *[self._beside] * 3,
        ]
        for _ in range(draw.choice(_STEPS)):
            draw.choice(acts)()

    def _of(self, choices: Choices) -> dict[str, Any]:
        return {name: self._random.choice(values) for name, values in choices.items()}

    def _changes(self) -> dict[str, Any]:
        """What a template changes; it may be nothing."""
        draw = self._random
        match draw.choice(["nothing", "identity", "identity", "on_delete", "invalid", "some"]):
            case "nothing":
                return {}
            case "identity":
                return self._of(_IDENTITY)
            case "on_delete":
                return self._of({"on_delete": BUNDLES["on_delete"]})
            case "invalid":
                return {"invalid": True}
        return self._of({name: BUNDLES[name] for name in draw.sample(_CHANGED, 3)})

    def _one(self) -> int:
        """The number of a stack that is there; where none is, there is another one then."""
        stacks = self._run.stacks
        there = [number for number, stack in enumerate(stacks) if stack.gone_at is None]
        if there:
            return self._random.choice(there)
        self._run.step(self._first)
        self._pass(700)
        return len(stacks) - 1

    def _pass(self, seconds: int | None = None) -> None:
        pause = self._random.choice(_PAUSES) if seconds is None else seconds
        if pause:
            self._run.step({"do": "move", "seconds": pause})

    def _ask(self, do: str, number: int, changes: dict[str, Any]) -> None:
        self._run.step({"do": do, "stack": number, "changes": changes, **self._of(ENDS)})

    def _strike(self) -> None:
        """Up to three faults."""
        draw = self._random
        kinds = [*FAULTS, *KILLS, *KILLS, "meanwhile", "meanwhile"]
        for _ in range(draw.choice([1, 2, 3])):
            call, nth = draw.choice([("*", 14), ("one", 3), ("read", 3)])
            if call == "one":
                call = draw.choice(CALLS)
            fault = {
                "call": call,
                "kind": draw.choice(kinds),
                "times": draw.choice([1, 1, 1, 2, 5]),
            }
            if call == "read":
                fault = {"call": draw.choice(READS), "kind": "deny", "times": 1}
            self._run.step({"do": "fault", **fault, "nth": draw.randint(1, nth)})

    # What is done to a stack

    def _change(self) -> None:
        number = self._one()
        is_without = self._run.stacks[number].is_without
        self._ask("put back" if is_without else "change", number, self._changes())
        self._pass()

    def _rename(self) -> None:
        self._ask("rename", self._one(), self._changes())
        self._pass()

    def _take_out(self) -> None:
        """Take the resource out, and try to put it back."""
        number = self._one()
        self._run.step({"do": "take out", "stack": number})
        self._pass(700)
        for _ in range(self._random.randint(1, 3)):
            self._ask("put back", number, self._changes())
            self._pass(700)

    def _there_and_back(self) -> None:
        """Two changes of identity, of which one leads back."""
        number, instance = self._one(), self._random.choice([0, 1])
        for each in (instance, 1 - instance):
            self._ask("change", number, {"instance": each, "prefix": None})
            self._pass(700)

    def _cancel(self) -> None:
        """Begin an update, and cancel it."""
        number = self._one()
        self._ask("change", number, self._of(_IDENTITY))
        self._pass(self._random.choice([0, 1, 12, 45]))
        self._run.step({"do": "cancel", "stack": number})
        self._pass()

    def _beside(self) -> None:
        """What others do, and what is done to a second stack."""
        draw, number = self._random, self._one()
        match draw.choice(
            [*["forge"] * 2, "create", "delete", "event", "messages", "overwrite", "copy", "fault"]
        ):
            case "forge":
                request, knows_id = draw.choice(["Delete", "Create"]), draw.random() < 0.5
                forged = {"do": "forge", "request": request, "stack": number}
                self._run.step({**forged, "knows_id": knows_id})
            case "create":
                self._run.step({"do": "create", **self._of({**BUNDLES, **_LASTING, **ENDS})})
            case "delete":
                self._run.step({"do": "delete", "stack": number})
            case "event":
                delay = draw.choice([0, 3, 3600])
                self._run.step(
                    {"do": "duplicate event", "number": draw.randint(0, 9), "delay": delay}
                )
            case "messages":
                self._run.step({"do": "duplicate messages", "count": draw.randint(1, 3)})
            case "overwrite":
                self._run.step({"do": "overwrite", "number": draw.randint(0, 3)})
            case "copy":
                by_hand = draw.random() < 0.5
                self._run.step({"do": "copy", "number": draw.randint(0, 3), "by_hand": by_hand})
            case "fault":
                self._strike()
        self._pass()


def search_whole(world: World, seed: int, sequences: int, found: list[str] | None) -> None:
    """Search the sequences of one seed.

    Args:
        world: where they are carried out.
        seed: of all draws.
        sequences: how many to draw.
        found: takes the violations, and the search goes on; None where the first one ends it.

    Raises:
        Violation: the first one, if `found` is None.
    """
    for number in range(sequences):
        world.counts["sequences"] += 1
        run = Run(world)
        random = Random(f"{seed}.{number}")  # noqa: S311  nothing secret
        Player(run, random).play()
        try:
            run.finish()
        except Violation as violation:
            if found is None:
                raise
            found.append(str(violation))
