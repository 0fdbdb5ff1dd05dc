import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.load.processes import Watch

_MB = 1_000_000
_WORK = "held = bytearray(50_000_000); print(sum(range(20_000_000)), flush=True); input()"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process that holds 50 MB, and says so once it has used its processor time."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_a_process_that_comes_later_counts_with_all_that_it_took(
    busy: subprocess.Popen[str],
) -> None:
    there: list[psutil.Process] = []
    with Watch({"late": lambda: there, "none": list}) as watch:
        assert busy.stdout
        busy.stdout.readline()
        there.append(psutil.Process(busy.pid))

    late = watch.usage["late"]
    assert late.processor > 0.1
    assert late.memory == late.largest > 50 * _MB
    assert late.at_once == late.processes == 1
    assert watch.usage["none"].processes == 0


def test_what_a_process_took_before_does_not_count(busy: subprocess.Popen[str]) -> None:
    assert busy.stdout
    busy.stdout.readline()
    process = psutil.Process(busy.pid)
    before = process.cpu_times().user

    with Watch({"idle": lambda: [process]}) as watch:
        pass

    assert before > watch.usage["idle"].processor
