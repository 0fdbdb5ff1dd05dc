"""The short search: 5,000 schedules in `make quick`."""

import pytest

from tests.model.scenarios import SCENARIOS
from tests.model.search import search
from tests.model.test_model import assert_kept

QUICK = 5_000 // len(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_promise_is_broken(name: str) -> None:
    assert_kept(search(SCENARIOS[name], QUICK))
