"""What is left if a call of a removal, or of an update in place, is refused, and after that."""

import pytest
from rich.console import Console

from tests.chaos.removals import (
    EVERYTHING,
    KEPT,
    NOTHING,
    REMOVALS,
    UPDATES,
    Ending,
    endings,
    table,
)
from tests.chaos.search import quiet
from tests.chaos.world import running

PHASES = (*REMOVALS, KEPT, *UPDATES)

UNCHECKABLE = {"s3:DeleteObjects"}
"""S3 has no dry run."""

AFTERWARDS = {"dynamodb:DeleteItem"}
"""The claim is released when all is removed."""


@pytest.fixture(scope="module")
def found() -> list[Ending]:
    made: list[Ending] = []
    for phase in PHASES:
        with quiet(), running() as world:
            made += endings(world, phase)
    return made


@pytest.mark.faults
def test_a_refusal_loses_nothing_that_a_check_could_have_kept(
    found: list[Ending], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        Console(width=200).print(table(found))

    assert {each.phase for each in found} == {*PHASES}
    assert [each for each in found if not is_right(each)] == []


def is_right(ending: Ending) -> bool:
    """Whether nothing was lost that a check could have kept, and a second Delete ends it."""
    first, second = ending.first, ending.second
    if (second.status, second.there) != ("DELETE_COMPLETE", NOTHING):
        return False
    if ending.phase in UPDATES:
        is_over = first.status in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return is_over and first.there == EVERYTHING
    if first.status == "DELETE_COMPLETE":
        return first.there == NOTHING
    is_kept = first.there == EVERYTHING or ending.call in UNCHECKABLE | AFTERWARDS
    return first.status == "DELETE_FAILED" and is_kept
