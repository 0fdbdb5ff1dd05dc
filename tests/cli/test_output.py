"""Durations, moments and tables, as people read them."""

import io
import sys

import pytest

from cli.output import duration, moment, progress, size, usd, write_table


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


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1_572_864, "1.5 MiB"),
        (30 * 2**30, "30.0 GiB"),
        (3000 * 2**40, "3000.0 TiB"),
    ],
)
def test_a_size_has_one_digit_behind_the_point(number: int, said: str) -> None:
    assert size(number) == said


def test_dollars_are_to_the_cent() -> None:
    assert [usd(0), usd(0.004), usd(0.01), usd(1234.567)] == ["0.00", "< 0.01", "0.01", "1234.57"]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    class Stderr(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    stderr = Stderr()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")

    with progress() as say:
        say("Reading the ledger")

    assert ("Reading the ledger" in stderr.getvalue()) is terminal
    assert bool(stderr.getvalue()) is terminal
