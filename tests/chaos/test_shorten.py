"""Violations are counted by kind, and their sequences are shortened."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.chaos.sequence import Step
from tests.chaos.shorten import kinds, of_each_kind, shortest, steps_of
from tests.chaos.steps import CREATE, DELETE, LATER, STORES, later


def violation(steps: Sequence[Step], *problems: str) -> str:
    return "\n".join([*problems, "kill s3:GetObject", f"make chaos REPLAY='{json.dumps(steps)}'"])


def test_what_differs_from_run_to_run_is_no_other_kind() -> None:
    one = violation([], "bun-0dd466a4021ac0bb7 was retained, and stack13a received it again")
    other = violation([], "bun-99d466a4021ac0bb7 was retained, and stack7c received it again")

    assert kinds(f"seed 7: {one}") == kinds(other) == ["was retained, and received it again"]


def test_of_each_kind_the_shortest_is_shown_and_all_are_counted() -> None:
    one, longer = violation([CREATE], "Left"), violation([CREATE, LATER], "Left")
    both = violation([CREATE, LATER, DELETE], "Left", "Late")

    assert of_each_kind([longer, both, one]) == [(one, 3), (both, 1)]


def test_steps_and_members_that_are_not_needed_are_left_out() -> None:
    tried: list[Sequence[Step]] = []

    def broken(steps: Sequence[Step]) -> str | None:
        tried.append(steps)
        stores = any(step.get("method") == "StoreImage" for step in steps)
        problem = "Left" if DELETE in steps and stores else "Late"
        return violation(steps, problem) if stores else None

    found = shortest(broken, [LATER, CREATE | STORES | {"seconds": 7}, later(1), DELETE, LATER])

    assert found is not None
    assert steps_of(found) == [CREATE | {"method": "StoreImage"}, DELETE]
    assert len(tried) > 1


def test_a_sequence_that_breaks_nothing_is_not_shortened() -> None:
    assert shortest(lambda _: None, [CREATE]) is None
