"""CloudWatch's clock, which can run faster than the others."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class CloudWatchClock:
    """Epoch seconds, which are real ones where a minute takes a minute.

    Attributes:
        minute: how many real seconds a minute takes.
    """

    minute: float = MINUTE
    _began: float = field(default_factory=time.time)

    def __call__(self) -> float:
        """What time it is."""
        return self.at(time.time())

    def at(self, moment: float) -> float:
        """What time it is at a moment of real time, in epoch seconds."""
        return self._began + (moment - self._began) * MINUTE / self.minute

    def real(self, moment: float) -> float:
        """The moment of real time at which it is this time here."""
        return self._began + (moment - self._began) * self.minute / MINUTE
