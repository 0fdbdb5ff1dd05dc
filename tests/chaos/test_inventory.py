"""All faults that were tried before are still tried."""

from pathlib import Path

import pytest

from tools.inventory import everything

TRIED = Path(__file__).parents[1] / "tried.txt"


@pytest.mark.faults
def test_all_faults_of_the_list_are_tried() -> None:
    """A fault that only `make nightly` tries does not count."""
    tried = {each.what for each in everything() if each.command != "nightly"}

    assert {*TRIED.read_text().splitlines()} - tried == set()
