"""Durations, moments and tables, as people read them."""

import pytest

from cli.output import duration, moment, write_table


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61.5, "1m 1s"),
        (3600, "1h"),
        (3601, "1h"),
        (7500, "2h 5m"),
        (86_400 + 3600, "1d 1h"),
    ],
)
def test_a_duration_has_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_moment_is_in_utc() -> None:
    assert moment(1_800_000_000.9) == "2027-01-15T08:00:00Z"


def test_a_table_in_a_pipe_breaks_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("A", "B"), [("x" * 500, ""), ("[bold]y[/bold]", "z")])

    header, first, second = capsys.readouterr().out.splitlines()

    assert header == f"A{' ' * 501}B"
    assert first == f"{'x' * 500}  -"
    assert second.split() == ["[bold]y[/bold]", "z"]
