"""Which faults are tried at which calls of each phase: what the tests' parameters say, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.branches import Branch, explore
from tests.chaos.phases import PHASES, Own, Phase
from tests.chaos.sequence import Run
from tests.chaos.world import Fault, Violation, World

PASSING = ("throttle", "fail", "cut", "cut-after")

ALWAYS = 100_000

# More often than the function repeats a call within one invocation: the SDK tries 3 times, the
# sender of answers and signals 5 times, and what makes a task or an AMI is never repeated.
_TIMES = {
    "ec2:BundleInstance": 1,
    "ec2:CreateImage": 1,
    "ec2:CreateStoreImageTask": 1,
    "ec2:RegisterImage": 1,
    "response:Put": 6,
    "signal:Put": 6,
}
_OFTEN = 4

Selection = Callable[[str, int, int], bool]
"""Whether a call is struck, by its name, its number in the phase, and its number of that name."""


def each_call(_name: str, _nth: int, _nth_of_its_name: int) -> bool:
    """Every call of the phase."""
    return True


def first_call(_name: str, nth: int, _nth_of_its_name: int) -> bool:
    """The first call of the phase."""
    return nth == 1


def first_of_each_name(_name: str, _nth: int, nth_of_its_name: int) -> bool:
    """The first call of each name."""
    return nth_of_its_name == 1


@dataclass(frozen=True, slots=True)
class Trial:
    """Faults of these kinds, at these calls of each phase.

    Attributes:
        name: what it is about, as a test's ID.
        kinds: of the faults.
        selection: the calls.
        lasting: whether a fault strikes for as long as the phase lasts.
        is_long: whether only `make nightly` tries it.
    """

    name: str
    kinds: tuple[str, ...]
    selection: Selection
    lasting: bool = False
    is_long: bool = False

    def faults(self, phase: Phase) -> Callable[[str], Iterator[Fault]]:
        """The faults to try at each next call of a run of the phase."""
        own = Own(phase)
        seen: list[str] = []

        def at(call: str) -> Iterator[Fault]:
            if not own(call):
                return
            seen.append(call)
            if self.selection(call, len(seen), seen.count(call)):
                yield from (Fault(call, kind, times=self._times(call, kind)) for kind in self.kinds)

        return at

    def _times(self, call: str, kind: str) -> int:
        if self.lasting:
            return ALWAYS
        return _TIMES.get(call, _OFTEN) if kind in PASSING else 1


KILLS = Trial("killed after it", ("kill-after",), each_call)
KILLED_BEFORE = Trial("killed before it", ("kill",), first_call)
FAILS = Trial("fails for a while", PASSING, first_of_each_name)
HANGS = Trial("hangs", ("hang",), first_of_each_name)
TWICE = Trial("delivered twice meanwhile", ("twice",), first_of_each_name)
DENIED = Trial("denied", ("deny",), first_of_each_name, lasting=True)

TRIALS = (
    KILLED_BEFORE,
    KILLS,
    FAILS,
    HANGS,
    TWICE,
    DENIED,
    Trial("each fails for a while", PASSING, each_call, is_long=True),
    Trial("each hangs", ("hang",), each_call, is_long=True),
    Trial("each delivered twice meanwhile", ("twice",), each_call, is_long=True),
    Trial("each denied", ("deny",), each_call, lasting=True, is_long=True),
)


def carry_out(world: World, name: str, trial: Trial) -> list[Branch]:
    """Take a stack through a phase, and from each selected call on with each fault.

    Raises:
        AssertionError: without a fault the phase does not end right.
    """
    phase = PHASES[name]
    run = Run(world)
    phase.begin(run)

    def check() -> list[str]:
        world.disarm()
        expected = [] if trial.lasting else phase.problems(run)
        return [*expected, *_broken(run)]

    return explore(world, trial.faults(phase), lambda: phase.play(run), check)


def _broken(run: Run) -> Iterator[str]:
    try:
        run.finish()
    except Violation as violation:
        yield str(violation)
