"""Nothing that was tried once is tried no more."""

from pathlib import Path

import pytest

from tools.inventory import everything

TRIED = Path(__file__).parents[1] / "tried.txt"


@pytest.mark.faults
def test_all_that_was_tried_before_is_tried() -> None:
    """`make nightly` alone is not enough."""
    tried = {each.what for each in everything() if each.command != "nightly"}

    assert {*TRIED.read_text().splitlines()} - tried == set()
