"""The scenarios: what CloudFormation requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.model import cloud
from tests.model.exchanges import TIMEOUT, Exchange
from tests.model.stacks import Script, Stack, handle
from tests.model.world import Settings, World

Play = Callable[[World, "Method"], None]


@dataclass(frozen=True, slots=True)
class Method:
    """A method. Calling it returns the properties of a bundle."""

    name: str
    instance_id: str

    def __call__(
        self,
        bucket: str = "images",
        *,
        prefix: str | None = None,
        on_delete: str = "Delete",
        **others: Any,
    ) -> Mapping[str, Any]:
        s3 = {"Bucket": bucket} | ({"Prefix": prefix} if prefix else {})
        return {
            "ServiceTimeout": str(TIMEOUT),
            "Method": self.name,
            "InstanceId": self.instance_id,
            "Storage": {"S3": s3},
            "OnDelete": on_delete,
            **others,
        }


METHODS = (
    Method("BundleInstance", cloud.WINDOWS),
    Method("StoreImage", cloud.LINUX),
)
OTHER = cloud.BUCKETS[1]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario.

    Attributes:
        play: creates the stacks of a world, and starts their scripts.
        outcome: the result of each request without any fault, as by `outcome_of`.
        settings: creates the settings of a world.
    """

    name: str
    play: Callable[[World], None]
    outcome: str
    settings: Callable[[], Settings] = field(default=Settings)


def _one(script: Callable[[Stack, Method], Script]) -> Play:
    def play(world: World, method: Method) -> None:
        stack = world.stack()
        stack.start(script(stack, method))

    return play


def _create(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.delete()


def _interrupted(stack: Stack, of: Method) -> Script:
    yield from stack.create(of(), interrupted=8)
    yield from stack.delete()


def _stack_deleted(stack: Stack, of: Method) -> Script:
    yield from stack.create(of(), interrupted=3, by="DELETE")
    yield from stack.delete()


def _rolled_back(stack: Stack, of: Method) -> Script:
    yield from stack.create(of(), rolls_back=True)
    yield from stack.delete()


def _in_place(stack: Stack, of: Method) -> Script:
    yield from stack.create(of(on_delete="Retain"))
    yield from stack.update(of())
    yield from stack.delete()


def _in_place_rolled_back(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(on_delete="Retain"), rolls_back=True)
    yield from stack.delete()


def _replaced(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER))
    yield from stack.delete()


def _replacement_rolled_back(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER), rolls_back=True)
    yield from stack.delete()


def _replacement_interrupted(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER), interrupted=8)
    yield from stack.delete()


def _accepted(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER, CompletionHandle=handle("a")))
    yield from stack.wait_for_signal()
    yield from stack.delete()


def _accepted_create(stack: Stack, of: Method) -> Script:
    yield from stack.create(of(CompletionHandle=handle("a")))
    yield from stack.delete()


def _added_again(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.take_out()
    yield from stack.create(of(), adds=True)
    yield from stack.delete()


def _back_to_retained(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER), cleans_up=False)
    yield from stack.update(of())
    yield from stack.delete()


def _there_and_back(stack: Stack, of: Method) -> Script:
    yield from stack.create(of())
    yield from stack.update(of(OTHER))
    yield from stack.update(of())
    yield from stack.delete()


def _same_location(world: World, of: Method) -> None:
    for name in ("a", "b"):
        stack = world.stack(name)
        stack.start(_created_at(stack, of(prefix="web/1")))


def _created_at(stack: Stack, properties: Mapping[str, Any]) -> Script:
    yield from stack.create(properties)
    yield from stack.delete()


def _outcome(what: str) -> str:
    """The outcome of `C+ D-` is `Create SUCCESS, Delete FAILED`."""
    names = {"C": "Create", "U": "Update", "R": "Rollback", "D": "Delete"}
    results = {"+": "SUCCESS", "-": "FAILED", "?": "without an answer"}
    return ", ".join(f"{names[each[0]]} {results[each[1]]}" for each in what.split())


def _twice() -> Settings:
    return Settings(lease=0, twice=True)


_PLAYS: Mapping[str, tuple[Play, str, Callable[[], Settings]]] = {
    "create": (_one(_create), "C+ D+", Settings),
    "create interrupted": (_one(_interrupted), "C? D+", Settings),
    "create deleted": (_one(_stack_deleted), "C? D+", Settings),
    "create fails": (_one(_create), "C- D+", lambda: Settings(fails=True)),
    "create hangs": (_one(_create), "C- D+", lambda: Settings(hangs=True)),
    "create rolled back": (_one(_rolled_back), "C+ D+", Settings),
    "update in place": (_one(_in_place), "C+ U+ D+", Settings),
    "update in place rolled back": (_one(_in_place_rolled_back), "C+ U+ R+ D+", Settings),
    "replacement": (_one(_replaced), "C+ U+ D+ D+", Settings),
    "replacement rolled back": (_one(_replacement_rolled_back), "C+ U+ R+ D+ D+", Settings),
    "replacement interrupted": (_one(_replacement_interrupted), "C+ U? R+ D+", Settings),
    "accepted": (_one(_accepted), "C+ U+ D+ D+", Settings),
    "accepted create": (_one(_accepted_create), "C+ D+", Settings),
    "retained and added again": (_one(_added_again), "C+ C+ D+", Settings),
    "back to a retained bundle": (_one(_back_to_retained), "C+ U+ U+ D+ D+", Settings),
    "there and back": (_one(_there_and_back), "C+ U+ D+ U+ D+ D+", Settings),
    "twins": (_one(_create), "C+ D+", _twice),
    "twins replacement": (_one(_replaced), "C+ U+ D+ D+", _twice),
    "twins interrupted": (_one(_interrupted), "C? D+", _twice),
}


def _scenario(name: str, play: Play, expected: str, settings: Any, method: Method) -> Scenario:
    return Scenario(
        f"{name}, {method.name}", lambda world: play(world, method), _outcome(expected), settings
    )


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for name, (play, expected, settings) in _PLAYS.items()
    for method in METHODS
    for scenario in [_scenario(name, play, expected, settings, method)]
} | {
    "the same location": Scenario(
        "the same location",
        lambda world: _same_location(world, METHODS[0]),
        _outcome("C+ D+") + "; " + _outcome("C- D+"),
    )
}


def outcome_of(world: World) -> str:
    """The result of each request, such as `Create SUCCESS, Delete SUCCESS`."""

    def of(stack: Stack) -> str:
        return ", ".join(f"{each.kind} {_result(each)}" for each in stack.exchanges)

    return "; ".join(of(stack) for stack in world.stacks)


def _result(exchange: Exchange) -> str:
    if exchange.result is None:
        return "without an answer"
    return "SUCCESS" if exchange.succeeded else "FAILED"
