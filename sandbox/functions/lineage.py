"""Chains of requests, as Lambda counts them to detect recursive loops.

Lambda gives each invocation a trace header of X-Ray's. Its `Lineage` names each function of the
chain and how often the function was invoked in it before. SDKs send the header on with their calls.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote

HEADER = "X-Amzn-Trace-Id"
LIMIT = 16
"""Invocations of one function in one chain; the next one is stopped. AWS says "approximately"."""


class Function(Protocol):
    """What identifies a function; moto's function has it."""

    @property
    def account_id(self) -> str:
        """Of the account that has it."""

    @property
    def region(self) -> str:
        """Where it is."""

    @property
    def function_name(self) -> str:
        """Its name."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A chain of requests, at one of its requests.

    The text form is that of the X-Ray guide, `Lineage=a87bd80c:1|68fd508a:5`. Lambda may use
    another, which is not documented (open-telemetry/opentelemetry-dotnet-contrib#2480).

    Attributes:
        root: the trace ID.
        counts: functions, by a hash, and how often each was invoked before its latest invocation.
    """

    root: str = field(default_factory=lambda: f"1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, header: str | None) -> Lineage:
        """The chain in a trace header, percent-encoded or not; a new one if it has none."""
        fields = dict(
            part.strip().split("=", 1) for part in unquote(header or "").split(";") if "=" in part
        )
        counts = {}
        for entry in fields.get("Lineage", "").split("|"):
            function, _, count = entry.partition(":")
            if count.isdecimal():
                counts[function] = int(count)
        return cls(fields["Root"], counts) if fields.get("Root") else cls(counts=counts)

    @classmethod
    def of_batch(cls, headers: Iterable[str | None], function: Function) -> Lineage:
        """The chain of a batch of messages.

        AWS does not say how a batch of several chains counts. Here each function counts as often as
        in the chain in which it was invoked most, and the trace ID is that of the chain in which
        this function was.
        """
        chains = sorted(map(cls.of, headers), key=lambda chain: chain.invocations(function))
        counts: dict[str, int] = {}
        for chain in chains:
            for name, count in chain.counts.items():
                counts[name] = max(count, counts.get(name, 0))
        return cls(chains[-1].root, counts)

    def invocations(self, function: Function) -> int:
        """How often the function was invoked in this chain."""
        return self.counts.get(_hash(function), -1) + 1

    def through(self, function: Function) -> Lineage:
        """The chain with one more invocation of the function."""
        return Lineage(self.root, {**self.counts, _hash(function): self.invocations(function)})

    def header(self) -> str:
        """The trace header of a request of this chain."""
        counts = "|".join(f"{function}:{count}" for function, count in self.counts.items())
        return f"Root={self.root};Parent={secrets.token_hex(8)};Sampled=0;Lineage={counts}"


def _hash(function: Function) -> str:
    name = f"{function.account_id}:{function.region}:{function.function_name}"
    return hashlib.sha256(name.encode()).hexdigest()[:8]
