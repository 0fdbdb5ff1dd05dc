"""Draws sequences about the bundles' owners.

They have deletion policies, resources that are removed, added again and renamed, updates that
return to an earlier identity, updates that are cancelled or rolled back late, requests by SNS, with
another signature, or forged; and faults in some of them.

Each sequence is drawn independently. The steps are drawn so that stacks often get far in their
lives. `tests.chaos.shorten` shortens a sequence that breaks a promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.chaos.aws_events import FATES
from tests.chaos.forged_events import ABOUT
from tests.chaos.machine import CALLS
from tests.chaos.refusal_promises import READS
from tests.chaos.sequence import WHOLE, Run
from tests.chaos.world import FAULTS, KILLS, Violation, World

Choices = Mapping[str, Sequence[Any]]
"""The values to draw from for each member; a likely value is there more than once."""

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
"""The rest of the stack: `sibling` fails while the bundle is created, `later` follows it."""

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
"""For a stack that should exist for the next steps."""

_IDENTITY: Choices = {"instance": [0, 1], "prefix": [None]}
_CHANGED = (
    *("instance", "prefix", "on_delete", "method", "outcome", "seconds", "described"),
    *("signature", *POLICIES),
)
_PAUSES = (0, 25, 700, 700, 700, 700)
_STEPS = range(3, 9)


class Player:
    """Draws and carries out the steps of one sequence."""

    def __init__(self, run: Run, random: Random) -> None:
        self._run = run
        self._random = random
        self._first: dict[str, Any] = {}

    def play(self) -> None:
        """Draw and carry out all steps."""
        draw = self._random
        self._run.step(WHOLE)
        if draw.random() < 0.5:
            fates = draw.choices([*FATES], k=3)
            self._run.step({"do": "aws events", "bucket": draw.random() < 0.5, "fates": fates})
        self._first = {"do": "create", **self._of({**BUNDLES, **_LASTING})}
        faults = draw.choice(["none", "none", "first", "then"])
        if faults == "first":
            self._set_faults()
        self._live_stack()
        if faults == "then":
            self._set_faults()
        acts = [
            *[self._change] * 4,
            *[self._take_out] * 3,
            *[self._there_and_back] * 2,
            *[self._rename] * 2,
            *[self._cancel] * 2,
            *[self._other_act] * 3,
        ]
        for _ in range(draw.choice(_STEPS)):
            draw.choice(acts)()

    def _of(self, choices: Choices) -> dict[str, Any]:
        return {name: self._random.choice(values) for name, values in choices.items()}

    def _changes(self) -> dict[str, Any]:
        """The changes of a template, possibly none."""
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

    def _live_stack(self) -> int:
        """The number of an existing stack; if there is none, one is created."""
        stacks = self._run.stacks
        live = [number for number, stack in enumerate(stacks) if stack.gone_at is None]
        if live:
            return self._random.choice(live)
        self._run.step(self._first)
        self._wait(700)
        return len(stacks) - 1

    def _wait(self, seconds: int | None = None) -> None:
        pause = self._random.choice(_PAUSES) if seconds is None else seconds
        if pause:
            self._run.step({"do": "move", "seconds": pause})

    def _change_template(self, do: str, number: int, changes: dict[str, Any]) -> None:
        self._run.step({"do": do, "stack": number, "changes": changes, **self._of(ENDS)})

    def _set_faults(self) -> None:
        """Set up to three faults."""
        draw = self._random
        kinds = [*FAULTS, *KILLS, *KILLS, "meanwhile", "meanwhile", "hint"]
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

    # What happens to a stack

    def _change(self) -> None:
        number = self._live_stack()
        is_without = self._run.stacks[number].is_without
        self._change_template("put back" if is_without else "change", number, self._changes())
        self._wait()

    def _rename(self) -> None:
        self._change_template("rename", self._live_stack(), self._changes())
        self._wait()

    def _take_out(self) -> None:
        """Remove the resource from the template, and try to add it again."""
        number = self._live_stack()
        self._run.step({"do": "take out", "stack": number})
        self._wait(700)
        for _ in range(self._random.randint(1, 3)):
            self._change_template("put back", number, self._changes())
            self._wait(700)

    def _there_and_back(self) -> None:
        """Change the identity twice; one of the changes returns to the earlier identity."""
        number, instance = self._live_stack(), self._random.choice([0, 1])
        for each in (instance, 1 - instance):
            self._change_template("change", number, {"instance": each, "prefix": None})
            self._wait(700)

    def _cancel(self) -> None:
        """Begin an update, and cancel it."""
        number = self._live_stack()
        self._change_template("change", number, self._of(_IDENTITY))
        self._wait(self._random.choice([0, 1, 12, 45]))
        self._run.step({"do": "cancel", "stack": number})
        self._wait()

    def _other_act(self) -> None:
        """What others do, or what happens to a second stack."""
        draw, number = self._random, self._live_stack()
        match draw.choice(
            [
                *(*["forge"] * 2, "create", "delete", "event", "messages", "overwrite", "copy"),
                *("fault", "event of AWS's"),
            ]
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
            case "event of AWS's":
                forged = {"do": "forge event", "about": draw.choice([*ABOUT])}
                count = draw.choice([1, 1, 25])
                self._run.step({**forged, "number": draw.randint(0, 9), "count": count})
            case "fault":
                self._set_faults()
        self._wait()


def search_whole(world: World, seed: int, sequences: int, found: list[str] | None) -> None:
    """Search the sequences of one seed.

    Args:
        world: where they are carried out.
        seed: of all draws.
        sequences: how many to draw.
        found: collects the violations; None: the first one ends the search.

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
