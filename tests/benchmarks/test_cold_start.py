"""The tables of cold starts and of memory sizes say what was measured."""

from benchmarks.cold_start.first_requests import _ratio
from benchmarks.cold_start.measured import Taken
from benchmarks.cold_start.memory_size import Cost, tables


def _taken(seconds: float) -> Taken:
    return Taken(ready=seconds / 2, seconds=seconds, processor=seconds, memory=10**8)


def test_a_ratio_is_of_what_was_measured_in_one_round() -> None:
    others = [_taken(1.0), _taken(10.0), _taken(1.0)]
    ours = [_taken(2.0), _taken(20.0), _taken(3.0)]

    assert _ratio(ours, others, "seconds") == "2.00 (2.00 to 3.00)"


def test_the_share_of_a_processor_lengthens_what_is_computed_and_not_what_is_waited_for() -> None:
    cost = Cost(
        create=_taken(1.0),
        batches={1: [_taken(0.01)], 100: [_taken(0.5), _taken(0.7), _taken(0.6)]},
        per_batch=0.0,
        per_poll=0.01,
        create_calls=10,
        calls={1: 4, 10: 31, 100: 301},
    )

    measured, expected = tables(cost)

    assert measured.rows[1] == ("100", "600.0", "500.0", "700.0", "6.0")
    by_size = {row[0]: row for row in expected.rows}
    assert by_size["1769"][1:5] == ("1.1", "0.05", "0.41", "4.01")
    # 1769 / 256 times as long for what is computed: 0.0691 s and 0.04 s for a batch of one.
    assert by_size["256"][1:3] == ("7.0", "0.11")
    # 0.1091 s x 0.25 GB x $0.0000166667 + $0.0000002, a million times.
    assert by_size["256"][5] == "0.65"
