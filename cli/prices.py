"""What storing something costs a month, by the prices in `prices.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cli.there import Found

FILE = Path(__file__).with_name("prices.json")

_GB = 2**30
"""Bytes that AWS bills as a GB: so says S3 (Amazon S3 FAQs, How will I be charged and billed for my
use of Amazon S3?: 100 GB are 107,374,182,400 bytes). Of snapshots it is assumed."""
_PRICED = {"snapshot": ("snapshots", "standard"), "objects": ("objects", "STANDARD")}
"""Of each kind, its table, and the storage class that the table is about."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A price, and what it comes to.

    Attributes:
        usd: a month.
        date: of the price, ISO 8601; empty if nothing is charged.
    """

    usd: float
    date: str = ""


def cost(found: Found, region: str) -> Cost | str:
    """What something costs a month; if that is not known, why.

    An AMI costs nothing but its snapshots, or the objects that it was registered from. A snapshot
    is billed for the blocks that earlier ones do not have, so its size is the most that it may be.

    Args:
        found: what is stored.
        region: where it is.
    """
    if found.kind == "AMI":
        return Cost(0)
    table, storage_class = _PRICED[found.kind]
    if found.storage_class != storage_class:
        return f"prices.json has no price of the storage class {found.storage_class}"
    price = _tables()[table]["regions"].get(region)
    if price is None:
        return f"prices.json has no price of {table} in {region}"
    if found.bytes is None:
        return "its size is not known"
    return Cost(price["usd"] * found.bytes / _GB, price["date"])


@cache
def _tables() -> Mapping[str, Any]:
    tables: Mapping[str, Any] = json.loads(FILE.read_text())
    return tables
