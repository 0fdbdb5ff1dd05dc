"""The tables of the CloudWatch User Guide, Configuring how CloudWatch alarms treat missing data."""

import pytest

from sandbox.cloudwatch.states import Rule, state_of

KEPT = "kept"

THREE_OF_THREE = {
    "0 - X - X": ("OK", "OK", "OK", "OK"),
    "0 - - - -": ("OK", "OK", "OK", "OK"),
    "- - - - -": ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK"),
    "0 X X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "- - X - -": ("ALARM", KEPT, "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0 - X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 0 X 0 X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 - X - -": ("OK", "OK", "ALARM", "OK"),
    "- - - - 0": ("OK", "OK", "ALARM", "OK"),
    "- - - X -": ("ALARM", KEPT, "ALARM", "OK"),
}
SETTINGS = ("missing", "ignore", "breaching", "notBreaching")


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("points", "data", "states"),
    [
        *((3, data, states) for data, states in THREE_OF_THREE.items()),
        *((2, data, states) for data, states in TWO_OF_THREE.items()),
    ],
)
def test_the_state_is_that_of_the_guides_tables(
    points: int, data: str, states: tuple[str, ...], setting: str
) -> None:
    breaches = [{"0": False, "X": True, "-": None}[point] for point in data.split()]
    found = state_of(Rule(3, points, setting), breaches, KEPT)
    assert found == states[SETTINGS.index(setting)]


@pytest.mark.parametrize("data", ["- - - - X", "- - - X -"])
def test_an_alarm_is_not_raised_before_its_time(data: str) -> None:
    breaches = [{"X": True, "-": None}[point] for point in data.split()]
    assert state_of(Rule(3, 3, "missing"), breaches, "OK") == "OK"


def test_a_single_period_is_decided_by_the_latest_point_that_there_is() -> None:
    rule = Rule(1, 1, "notBreaching")
    assert state_of(rule, [None, None, True], "OK") == "ALARM"
    assert state_of(rule, [True, None, None], "ALARM") == "ALARM"
    assert state_of(rule, [None, None, None], "ALARM") == "OK"
