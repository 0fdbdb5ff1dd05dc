"""The simulated world, shared by the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.chaos.search import quiet
from tests.chaos.world import World, running


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with quiet(), running() as world:
        yield world
