"""EC2's request limit: a bucket of tokens for each of its APIs.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html gives 100 tokens and 20 a
second for Describe calls with filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TOKENS = 100
REFILL = 20
"""Tokens a second."""


@dataclass(frozen=True, slots=True)
class Strain:
    """What calls do to the bucket.

    Attributes:
        least: tokens that were left at the worst moment.
        refused: calls that found none.
    """

    least: float
    refused: int


def strain(calls: Sequence[float]) -> Strain:
    """How calls at these moments, in seconds, fare. A call that is refused is not repeated here."""
    tokens, least, refused, last = float(TOKENS), float(TOKENS), 0, 0.0
    for moment in sorted(calls):
        tokens = min(TOKENS, tokens + REFILL * (moment - last))
        last = moment
        if tokens < 1:
            refused += 1
        else:
            tokens -= 1
        least = min(least, tokens)
    return Strain(least, refused)
