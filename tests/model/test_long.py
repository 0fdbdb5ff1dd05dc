"""The long searches: 50,000 schedules in `make test`, a million in `make nightly`."""

import pytest

from tests.model.scenarios import SCENARIOS
from tests.model.search import search
from tests.model.test_model import assert_kept

LONG = 50_000 // len(SCENARIOS)
NIGHTLY = 1_000_000 // len(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_promise_is_broken(name: str) -> None:
    assert_kept(search(SCENARIOS[name], LONG))


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_promise_is_broken_in_many_schedules(name: str) -> None:
    assert_kept(search(SCENARIOS[name], NIGHTLY))
