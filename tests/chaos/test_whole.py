"""The bundles' owners: which bundles CloudFormation has, deletes, retains and rolls back to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.sequence import WHOLE, Step, carry_out
from tests.chaos.shorten import steps_of
from tests.chaos.steps import CREATE, LATER, later
from tests.chaos.whole import search_whole
from tests.chaos.world import Violation, World, running

AT_ANY = {"prefix": None}
TAKE_OUT: Step = {"do": "take out", "stack": 0}
CANCEL: Step = {"do": "cancel", "stack": 0}
RETAINED = {"deletion_policy": "Retain"}


def change(do: str = "change", **changes: Any) -> Step:
    rest: dict[str, Any] = {
        name: changes.pop(name) for name in ("sibling", "later") if name in changes
    }
    outcome = {"later_outcome": "failed"} if "later" in rest else {}
    return {"do": do, "stack": 0, "changes": changes, **rest, **outcome}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as world:
        yield world


STEPS: dict[str, list[Step]] = {
    "retained": [CREATE | RETAINED],
    "taken out": [CREATE, LATER, TAKE_OUT],
    "taken out, retained": [CREATE | RETAINED, LATER, TAKE_OUT],
    "put back": [CREATE, LATER, TAKE_OUT, LATER, change("put back")],
    "put back elsewhere": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", prefix="b"),
    ],
    "put back at the same place": [CREATE | RETAINED, LATER, TAKE_OUT, LATER, change("put back")],
    "put back, refused": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", invalid=True),
    ],
    "put back at the same place, made up": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", sibling=0),
    ],
    "put back, refused, made up": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", invalid=True, sibling=0),
    ],
    "put back, refused, made up, undated": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", invalid=True, sibling=0, signature=2),
    ],
    "signature 2, refused, made up": [
        CREATE | {"signature": 2},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", invalid=True, sibling=0),
        LATER,
        change("put back", invalid=False),
    ],
    "put back at the same place, made up, undated": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", sibling=0, signature=2),
    ],
    "put back at the same place, undated": [
        CREATE | RETAINED,
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", signature=2),
    ],
    "put back at the same place, all undated": [
        CREATE | RETAINED | {"signature": 2},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back"),
    ],
    "signature 2, made up": [
        CREATE | {"signature": 2},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", sibling=0),
        LATER,
        change("put back"),
    ],
    "signature 2, refused": [
        CREATE | {"signature": 2},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", invalid=True),
        LATER,
        change("put back"),
    ],
    "renamed": [CREATE | AT_ANY, LATER, change("rename")],
    "renamed and back": [CREATE | AT_ANY, LATER, change("rename"), LATER, change("rename")],
    "renamed, undone": [CREATE | AT_ANY, LATER, change("rename", later=3)],
    "there and back": [CREATE | AT_ANY, LATER, change(instance=1), LATER, change(instance=0)],
    "there and back, retained": [
        CREATE | AT_ANY | {"replace_policy": "Retain"},
        LATER,
        change(instance=1),
        LATER,
        change(instance=0),
    ],
    "there and back, undone": [
        CREATE | AT_ANY | {"replace_policy": "Retain"},
        LATER,
        change(instance=1),
        LATER,
        change(instance=0, later=3),
    ],
    "there and back, abandoned": [
        CREATE | AT_ANY | RETAINED | {"keeps_failed": True},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", instance=1, sibling=0),
        LATER,
        change("put back"),
        LATER,
        change(instance=1),
    ],
    "there and back, after a rollback": [
        CREATE | AT_ANY | {"replace_policy": "Retain"},
        LATER,
        change(instance=1),
        LATER,
        change(later=3),
        LATER,
        change(instance=0),
    ],
    "there and back, cancelled at once": [
        CREATE | AT_ANY | {"replace_policy": "Retain"},
        LATER,
        change(instance=1),
        LATER,
        change(instance=0),
        CANCEL,
    ],
    "cancelled": [CREATE | AT_ANY, LATER, change(instance=1), later(12), CANCEL],
    "created, undone": [CREATE | {"later": 3, "later_outcome": "failed"}],
    "created, undone, retained": [
        CREATE | {"later": 3, "later_outcome": "failed", "deletion_policy": "Retain"}
    ],
    "created, undone, not retained": [
        CREATE | {"later": 3, "later_outcome": "failed", "deletion_policy": "RetainExceptOnCreate"}
    ],
    "replaced, undone": [CREATE | AT_ANY, LATER, change(instance=1, later=90)],
    "replaced, undone, retained": [
        CREATE | {"replace_policy": "Retain"},
        LATER,
        change(prefix=None, later=3),
        LATER,
        change(),
    ],
    "OnDelete changed": [CREATE, LATER, change(on_delete="Retain")],
    "OnDelete changed, undone": [CREATE, LATER, change(on_delete="Retain", later=3)],
    "RetainExceptOnCreate, undone": [
        CREATE | {"on_delete": "RetainExceptOnCreate", "later": 3, "later_outcome": "failed"}
    ],
    "RetainExceptOnCreate, taken out": [
        CREATE | {"on_delete": "RetainExceptOnCreate"},
        LATER,
        TAKE_OUT,
    ],
    "forged Delete": [
        CREATE,
        LATER,
        {"do": "forge", "request": "Delete", "stack": 0, "knows_id": True},
    ],
    "forged Delete without the ID": [
        CREATE,
        LATER,
        {"do": "forge", "request": "Delete", "stack": 0, "knows_id": False},
    ],
    "forged Create": [
        CREATE | AT_ANY,
        LATER,
        {"do": "forge", "request": "Create", "stack": 0, "knows_id": False},
    ],
    "by SNS": [CREATE | {"through": "sns"}],
    "signature 2": [CREATE | {"signature": 2}],
    "signature 2, corrected": [
        CREATE | {"signature": 2},
        LATER,
        TAKE_OUT,
        LATER,
        change("put back", outcome="failed"),
        LATER,
        change("put back"),
    ],
}


KNOWN: dict[str, str] = {}
"""Known faults of the function, by sequence. Remove an entry when its fault is fixed."""


def marked(name: str) -> Any:
    known = pytest.mark.xfail(raises=Violation, strict=True, reason=KNOWN.get(name, ""))
    return pytest.param(name, marks=known if name in KNOWN else ())


@pytest.mark.parametrize("name", [*map(marked, STEPS)])
def test_each_bundle_stays_until_its_owner_deletes_it(world: World, name: str) -> None:
    carry_out(world, [WHOLE, *STEPS[name], later(700)])


def test_the_search_continues_after_a_violation_and_shows_how_to_replay_it(world: World) -> None:
    found: list[str] = []
    before = world.counts["sequences"]

    search_whole(world, 1, 4, found)

    assert world.counts["sequences"] == before + 4
    assert all(steps_of(each)[0] == WHOLE for each in found)
