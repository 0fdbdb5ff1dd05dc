"""The bundles' owners: which bundles CloudFormation has, deletes, retains and rolls back to."""

from typing import Any

import pytest

from tests.chaos.sequence import WHOLE, Step, carry_out
from tests.chaos.shorten import steps_of
from tests.chaos.steps import CANCEL, CREATE, TAKE_OUT, change, later, spaced
from tests.chaos.whole import search_whole
from tests.chaos.world import Violation, World

AT_ANY = {"prefix": None}
RETAINED = {"deletion_policy": "Retain"}
REPLACED_RETAINED = {"replace_policy": "Retain"}
UNDONE = {"later": 3, "later_outcome": "failed"}
UNDATED = {"signature": 2}


def forged(request: str, *, knows_id: bool) -> Step:
    return {"do": "forge", "request": request, "stack": 0, "knows_id": knows_id}


STEPS: dict[str, list[Step]] = {
    "retained": [CREATE | RETAINED],
    "taken out": spaced(CREATE, TAKE_OUT),
    "taken out, retained": spaced(CREATE | RETAINED, TAKE_OUT),
    "put back": spaced(CREATE, TAKE_OUT, change("put back")),
    "put back elsewhere": spaced(CREATE | RETAINED, TAKE_OUT, change("put back", prefix="b")),
    "put back at the same place": spaced(CREATE | RETAINED, TAKE_OUT, change("put back")),
    "put back, refused": spaced(CREATE | RETAINED, TAKE_OUT, change("put back", invalid=True)),
    "put back at the same place, made up": spaced(
        CREATE | RETAINED, TAKE_OUT, change("put back", sibling=0)
    ),
    "put back, refused, made up": spaced(
        CREATE | RETAINED, TAKE_OUT, change("put back", invalid=True, sibling=0)
    ),
    "put back, refused, made up, undated": spaced(
        CREATE | RETAINED, TAKE_OUT, change("put back", invalid=True, sibling=0, signature=2)
    ),
    "signature 2, refused, made up": spaced(
        CREATE | UNDATED,
        TAKE_OUT,
        change("put back", invalid=True, sibling=0),
        change("put back", invalid=False),
    ),
    "put back at the same place, made up, undated": spaced(
        CREATE | RETAINED, TAKE_OUT, change("put back", sibling=0, signature=2)
    ),
    "put back at the same place, undated": spaced(
        CREATE | RETAINED, TAKE_OUT, change("put back", signature=2)
    ),
    "put back at the same place, all undated": spaced(
        CREATE | RETAINED | UNDATED, TAKE_OUT, change("put back")
    ),
    "signature 2, made up": spaced(
        CREATE | UNDATED, TAKE_OUT, change("put back", sibling=0), change("put back")
    ),
    "signature 2, refused": spaced(
        CREATE | UNDATED, TAKE_OUT, change("put back", invalid=True), change("put back")
    ),
    "renamed": spaced(CREATE | AT_ANY, change("rename")),
    "renamed and back": spaced(CREATE | AT_ANY, change("rename"), change("rename")),
    "renamed, undone": spaced(CREATE | AT_ANY, change("rename", later=3)),
    "there and back": spaced(CREATE | AT_ANY, change(instance=1), change(instance=0)),
    "there and back, retained": spaced(
        CREATE | AT_ANY | REPLACED_RETAINED, change(instance=1), change(instance=0)
    ),
    "there and back, undone": spaced(
        CREATE | AT_ANY | REPLACED_RETAINED, change(instance=1), change(instance=0, later=3)
    ),
    "there and back, abandoned": spaced(
        CREATE | AT_ANY | RETAINED | {"keeps_failed": True},
        TAKE_OUT,
        change("put back", instance=1, sibling=0),
        change("put back"),
        change(instance=1),
    ),
    "there and back, after a rollback": spaced(
        CREATE | AT_ANY | REPLACED_RETAINED,
        change(instance=1),
        change(later=3),
        change(instance=0),
    ),
    "there and back, cancelled at once": [
        *spaced(CREATE | AT_ANY | REPLACED_RETAINED, change(instance=1), change(instance=0)),
        CANCEL,
    ],
    "cancelled": [*spaced(CREATE | AT_ANY, change(instance=1)), later(12), CANCEL],
    "created, undone": [CREATE | UNDONE],
    "created, undone, retained": [CREATE | UNDONE | RETAINED],
    "created, undone, not retained": [
        CREATE | UNDONE | {"deletion_policy": "RetainExceptOnCreate"}
    ],
    "replaced, undone": spaced(CREATE | AT_ANY, change(instance=1, later=90)),
    "replaced, undone, retained": spaced(
        CREATE | REPLACED_RETAINED, change(prefix=None, later=3), change()
    ),
    "OnDelete changed": spaced(CREATE, change(on_delete="Retain")),
    "OnDelete changed, undone": spaced(CREATE, change(on_delete="Retain", later=3)),
    "RetainExceptOnCreate, undone": [CREATE | UNDONE | {"on_delete": "RetainExceptOnCreate"}],
    "RetainExceptOnCreate, taken out": spaced(
        CREATE | {"on_delete": "RetainExceptOnCreate"}, TAKE_OUT
    ),
    "forged Delete": spaced(CREATE, forged("Delete", knows_id=True)),
    "forged Delete without the ID": spaced(CREATE, forged("Delete", knows_id=False)),
    "forged Create": spaced(CREATE | AT_ANY, forged("Create", knows_id=False)),
    "by SNS": [CREATE | {"through": "sns"}],
    "signature 2": [CREATE | UNDATED],
    "signature 2, corrected": spaced(
        CREATE | UNDATED, TAKE_OUT, change("put back", outcome="failed"), change("put back")
    ),
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
