"""The sandbox's memory is bounded, however many stacks come and go."""

import pytest

from tools.memory import STACKS, STEP, measured

_FILLED = 1500
"""Stacks until each list that is kept is full."""
_ALLOWED = 8_000_000
"""Bytes that the other 500 may add: the allocator's, and what is not there each time."""


def test_a_few_stacks_are_measured() -> None:
    assert [count for count, size in measured(4, 2) if size] == [0, 2, 4]


@pytest.mark.nightly
def test_memory_is_flat_over_2000_stacks() -> None:
    sizes = dict(measured(STACKS, STEP))

    assert sizes[STACKS] - sizes[_FILLED] < _ALLOWED, sizes
