"""What a smoke test costs, by list prices of US East (N. Virginia) without a free tier.

Where the prices are from, and that nobody here has read them at AWS: docs/limits-and-costs.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import prices

GB_MONTH_SNAPSHOT = 0.05
"""Standard tier (https://aws.amazon.com/ebs/pricing/); `cli/prices.json` has it by Region."""
GB_MONTH_OBJECT = 0.023
"""S3 Standard (https://aws.amazon.com/s3/pricing/); the same."""
GB_MONTH_VOLUME = 0.10
"""gp2, the dearest of the general purpose volumes (https://aws.amazon.com/ebs/pricing/)."""
INSTANCE_HOUR = 0.0052
"""t3.nano with Linux, on demand (https://aws.amazon.com/ec2/pricing/on-demand/)."""
S3_WRITES = 0.005 / 1e3
"""PUT, COPY, POST and LIST (https://aws.amazon.com/s3/pricing/)."""

INSTANCE_TYPE = "t3.nano"
ALARM_METRICS = 8
OWN_METRICS = 10
"""That get values; more than an image has."""
POLLS = 0.001
"""Dollars for the polls of a bundle or an image, at most (docs/limits-and-costs.md)."""
_WRITES = 200
_MONTH_HOURS = 730
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Used:
    """What a smoke test uses.

    Attributes:
        seconds: that all of it exists, from the first call to the last.
        gigabytes: of the instance's volume: the most that a snapshot, and an object, may have.
        images: how many were stored.
    """

    seconds: float
    gigabytes: float
    images: int = 1


def items(used: Used) -> Iterator[tuple[str, float]]:
    """What is charged, and the dollars for it at most."""
    hours = used.seconds / _HOUR
    gb_months = used.gigabytes * hours / _MONTH_HOURS
    yield f"{INSTANCE_TYPE}, {hours:.2f} h", hours * INSTANCE_HOUR
    yield f"its volume of {used.gigabytes:g} GB", gb_months * GB_MONTH_VOLUME
    if used.images:
        yield "its snapshot", gb_months * GB_MONTH_SNAPSHOT
        yield "the stored image", gb_months * GB_MONTH_OBJECT
        blocks = used.images * used.gigabytes * prices.SNAPSHOT_BLOCKS_OF_GB
        yield "EBS direct APIs: the snapshot is read once", blocks * prices.SNAPSHOT_BLOCK
    yield "Lambda, SQS and DynamoDB", POLLS
    alarms = ALARM_METRICS * prices.ALARM_METRIC + OWN_METRICS * prices.OWN_METRIC
    yield (
        "alarms and metrics of CloudWatch, by the hour begun",
        (alarms * (int(hours) + 1) / _MONTH_HOURS),
    )
    yield "requests to S3", _WRITES * S3_WRITES


def table(used: Used) -> list[str]:
    """The items and their sum, as lines for people to read."""
    found = [*items(used), ("at most, in all", sum(dollars for _, dollars in items(used)))]
    width = max(len(what) for what, _ in found)
    return [f"  {what:<{width}}  ${dollars:.4f}" for what, dollars in found]
