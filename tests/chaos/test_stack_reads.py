"""CloudFormation's API in the simulated world: as the sandbox's, phase by phase, and for functions
late and throttled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from instance_bundle.aws import stacks
from instance_bundle.errors import Doubtful, InstanceBundleError, PassingFault, Throttled
from sandbox.cloudformation.reads import RATE, READ_DELAY, by_function
from sandbox.functions.lineage import Lineage
from tests.chaos.custody import Custody
from tests.chaos.search import quiet
from tests.chaos.sequence import Run, Step
from tests.chaos.stacks import Stack
from tests.chaos.steps import CREATE, LATER, later
from tests.chaos.test_whole import CANCEL, TAKE_OUT, change
from tests.chaos.world import Fault, World, running
from tests.sandbox.cloudformation.phases import Phases, template
from tests.sandbox.cloudformation.support import REGION, eventually, installed, success

Seen = tuple[stacks.Stack, stacks.Resource]
"""What the function is told of a stack, and of the bundle in it."""

FAR = 1e6
"""Seconds after which a sibling fails: once the bundle is answered."""


class Shop(Protocol):
    """A stack of a bundle, and a sibling that may fail."""

    def create(self, *, sibling_fails: bool = False) -> None:
        """Begin to create it."""

    def update(self, *, sibling_fails: bool = False) -> None:
        """Begin to update bundle and sibling."""

    def delete(self) -> None:
        """Begin to delete it."""

    def answer(self, physical_id: str | None = None) -> None:
        """Answer the open request about the bundle SUCCESS; None: with the ID of the request."""

    def fail(self, physical_id: str | None = None) -> None:
        """Answer it FAILED."""

    def let_sibling_fail(self) -> None:
        """Let the sibling fail that is to."""

    def seen(self) -> Seen:
        """What is told while the next request about the bundle is open, or the stack is at rest."""


Story = Callable[[Shop], Iterator[None]]
"""What happens to a stack; what is told of it is compared at each yield."""


def creation(shop: Shop) -> Iterator[None]:
    shop.create()
    yield
    shop.answer("bun-1")
    yield


def creation_that_fails(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.fail("bun-1")
    yield
    shop.answer()
    yield


def creation_that_is_cancelled(shop: Shop) -> Iterator[None]:
    shop.create(sibling_fails=True)
    shop.let_sibling_fail()
    yield
    shop.answer()
    yield


def creation_that_is_undone(shop: Shop) -> Iterator[None]:
    shop.create(sibling_fails=True)
    shop.answer("bun-1")
    shop.let_sibling_fail()
    yield
    shop.fail()
    yield
    shop.delete()
    yield
    shop.answer()
    yield


def deletion_while_it_is_created(shop: Shop) -> Iterator[None]:
    shop.create()
    yield
    shop.delete()
    yield
    shop.answer()
    yield


def update_in_place(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update()
    yield
    shop.answer()
    yield


def replacement(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update()
    shop.answer("bun-2")
    yield
    shop.answer()
    yield


def update_that_fails(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update()
    shop.fail("bun-1")
    yield
    shop.answer()
    yield


def update_that_fails_under_another_id(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update()
    shop.fail("bun-2")
    yield
    shop.answer("bun-1")
    yield
    shop.answer()
    yield


def replacement_that_is_rolled_back(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update(sibling_fails=True)
    shop.answer("bun-2")
    shop.let_sibling_fail()
    yield
    shop.answer("bun-1")
    yield
    shop.answer()
    yield


def update_that_is_cancelled(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update(sibling_fails=True)
    yield
    shop.let_sibling_fail()
    yield
    shop.answer()
    yield


def rollback_that_fails(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.update()
    shop.fail()
    yield
    shop.fail()
    yield


def deletion(shop: Shop) -> Iterator[None]:
    shop.create()
    shop.answer("bun-1")
    yield
    shop.delete()
    yield
    shop.fail()
    yield
    shop.delete()
    yield
    shop.answer()
    yield


STORIES: Sequence[Story] = (
    *(creation, creation_that_fails, creation_that_is_cancelled, creation_that_is_undone),
    *(deletion_while_it_is_created, update_in_place, replacement, update_that_fails),
    *(update_that_fails_under_another_id, replacement_that_is_rolled_back),
    *(update_that_is_cancelled, rollback_that_fails, deletion),
)


def told(shop: Shop, story: Story) -> list[Seen]:
    """What the function is told at each yield, without what differs from stack to stack."""
    return [_plain(shop.seen()) for _ in story(shop)]


def _plain(seen: Seen) -> Seen:
    stack, bundle = seen
    is_made_up = bundle.physical_id.startswith(("shop-Bundle-", "stack"))
    physical_id = "made up" if is_made_up else bundle.physical_id
    return replace(stack, operation_id=""), replace(bundle, physical_id=physical_id)


@cache
def client(service: Any) -> Any:
    return boto3.client(service, region_name=REGION)


@dataclass
class Sandboxs:
    """A stack in the sandbox's CloudFormation; requests to its sibling are answered by themselves.

    Attributes:
        stack_id: its ID.
        answered: how many requests about the bundle were answered, or are no longer waited for.
        kept: the sibling's request that is to fail.
    """

    phases: Phases
    stack_id: str = ""
    answered: int = 0
    sibling_fails: bool = False
    kept: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.phases.sandbox.answer = self._answer_sibling

    def create(self, *, sibling_fails: bool = False) -> None:
        self.sibling_fails = sibling_fails
        self.stack_id = self.phases.create(template(Bundle="one", Sibling="one"))
        self._request()

    def update(self, *, sibling_fails: bool = False) -> None:
        self.sibling_fails = sibling_fails
        self.phases.update(template(Bundle="two", Sibling="two"))
        self._request()

    def delete(self) -> None:
        if self._status().startswith("CREATE_IN"):
            self._request()
            self.answered += 1
        self.phases.sandbox.client.delete_stack(StackName=self.stack_id)
        self._request()

    def answer(self, physical_id: str | None = None) -> None:
        self.phases.answer(self._request(), physical_id)
        self.answered += 1

    def fail(self, physical_id: str | None = None) -> None:
        self.phases.fail(self._request(), physical_id)
        self.answered += 1

    def let_sibling_fail(self) -> None:
        eventually(lambda: bool(self.kept), self.phases.sandbox.history)
        if len(self._requests()) > self.answered:
            self.answered += 1  # nobody waits for it any more
        else:
            eventually(self._is_done, self.phases.sandbox.history)
        self.phases.fail(self.kept.pop())
        self._request()

    def seen(self) -> Seen:
        eventually(
            lambda: len(self._requests()) > self.answered or "PROGRESS" not in self._status(),
            lambda: self.phases.sandbox.history(self.stack_id),
        )
        return stacks.describe_stack(self.stack_id), stacks.describe_resource(
            self.stack_id, "Bundle"
        )

    def _answer_sibling(self, event: dict[str, Any]) -> dict[str, Any] | None:
        if event["LogicalResourceId"] == "Bundle":
            return None
        if self.sibling_fails:
            self.sibling_fails = False
            self.kept.append(event)
            return None
        return success(event, PhysicalResourceId=event.get("PhysicalResourceId", "sib-1"))

    def _is_done(self) -> bool:
        bundle = stacks.describe_resource(self.stack_id, "Bundle")
        return bundle.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

    def _status(self) -> str:
        return self.phases.sandbox.stack(self.stack_id)["StackStatus"]

    def _requests(self) -> list[dict[str, Any]]:
        events = self.phases.sandbox.events
        return [event for event in events if event["LogicalResourceId"] == "Bundle"]

    def _request(self) -> dict[str, Any]:
        """The request that is open; waits for it."""
        eventually(
            lambda: len(self._requests()) > self.answered,
            lambda: self.phases.sandbox.history(self.stack_id),
        )
        return self._requests()[self.answered]


@dataclass
class Worlds:
    """A stack of the simulated world."""

    stack: Stack

    def create(self, *, sibling_fails: bool = False) -> None:
        self.stack.create(_properties("one"), FAR if sibling_fails else None)

    def update(self, *, sibling_fails: bool = False) -> None:
        self.stack.update(_properties("two"), FAR if sibling_fails else None)

    def delete(self) -> None:
        self.stack.delete()

    def answer(self, physical_id: str | None = None) -> None:
        self._put("SUCCESS", physical_id)

    def fail(self, physical_id: str | None = None) -> None:
        self._put("FAILED", physical_id)

    def let_sibling_fail(self) -> None:
        if self.stack._interrupted_at is not None:
            self.stack._interrupted_at = time.time()
            self.stack.wake()

    def seen(self) -> Seen:
        stack_id = self.stack.stack_id
        return stacks.describe_stack(stack_id), stacks.describe_resource(stack_id, "Bundle")

    def _put(self, status: str, physical_id: str | None) -> None:
        exchange = self.stack.exchanges[-1]
        body = {
            "Status": status,
            "PhysicalResourceId": physical_id or exchange.event["PhysicalResourceId"],
            "Data": {"ImageId": "", "State": "complete"},
        }
        assert exchange.answer(json.dumps(body).encode()) == 200
        self.stack.wake()


def _properties(prefix: str) -> dict[str, Any]:
    return {"Storage": {"S3": {"Bucket": "images", "Prefix": prefix}}, "OnDelete": "Retain"}


def in_the_sandbox(story: Story) -> list[Seen]:
    with installed(client) as sandbox:
        return told(Sandboxs(Phases(sandbox)), story)


@pytest.fixture(scope="module")
def of_the_sandbox() -> dict[str, list[Seen]]:
    """What the sandbox tells; read before there is a world, which stops the clock."""
    return {story.__name__: in_the_sandbox(story) for story in STORIES}


@pytest.fixture(scope="module")
def worlds(of_the_sandbox: dict[str, list[Seen]]) -> Iterator[World]:
    with quiet(), running() as world:
        yield world


@pytest.fixture
def world(worlds: World) -> World:
    worlds.clear("images")
    worlds.stack_reads.reads.delay = READ_DELAY
    return worlds


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world, "stack", Custody(world, frozenset(), lambda: False))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_stack_of_the_world_is_described_as_one_of_the_sandbox(
    of_the_sandbox: dict[str, list[Seen]], stack: Stack, story: Story
) -> None:
    assert told(Worlds(stack), story) == of_the_sandbox[story.__name__]


def test_a_function_is_told_of_the_state_before_for_a_while(world: World, stack: Stack) -> None:
    shop = Worlds(stack)
    shop.create()
    with by_function():
        assert shop.seen() == (stacks.Stack(""), stacks.Resource(""))
        world.sleep(READ_DELAY)
        assert shop.seen()[0].status == "CREATE_IN_PROGRESS"
        shop.answer("bun-1")
        world.sleep(1)
        assert shop.seen()[1] == stacks.Resource("CREATE_IN_PROGRESS")
        world.sleep(READ_DELAY)
        assert shop.seen()[1] == stacks.Resource("CREATE_COMPLETE", "bun-1")
        world.stack_reads.reads.delay = 60
        world.sleep(55)
        assert shop.seen()[1] == stacks.Resource("CREATE_IN_PROGRESS")
        world.stack_reads.reads.delay = 0
        shop.delete()
        world.sleep(1)
        assert shop.seen()[0].status == "DELETE_IN_PROGRESS"


def test_functions_read_five_times_a_second(world: World, stack: Stack) -> None:
    once = Config(retries={"total_max_attempts": 1})
    api = boto3.client("cloudformation", region_name=REGION, config=once)
    stack.create(_properties("one"))
    world.sleep(60)
    with by_function():
        for _ in range(RATE):
            api.describe_stacks(StackName=stack.stack_id)
        with pytest.raises(ClientError, match=r"\(Throttling\).*Rate exceeded"):
            api.describe_stack_resource(StackName=stack.stack_id, LogicalResourceId="Bundle")
        world.sleep(1)
        assert api.describe_stacks(StackName=stack.stack_id)["Stacks"]
    for _ in range(2 * RATE):
        assert api.describe_stacks(StackName=stack.stack_id)["Stacks"]  # others are not throttled


def test_a_deleted_stacks_resources_are_forgotten_after_ninety_days(
    world: World, stack: Stack
) -> None:
    shop = Worlds(stack)
    for _ in creation(shop):
        pass
    shop.delete()
    shop.answer()
    world.sleep(89 * 86400)
    assert shop.seen()[1] == stacks.Resource("DELETE_COMPLETE", "bun-1")

    world.sleep(86400)

    assert shop.seen()[0].status == "DELETE_COMPLETE"
    assert shop.seen()[1] == stacks.Resource("")


def ask(world: World, stack: Stack) -> list[object]:
    """What comes of asking for stack and bundle in an invocation of the function."""
    found: list[object] = []

    def handler(_event: Any, _context: Any) -> None:
        for read in (
            lambda: stacks.describe_stack(stack.stack_id),
            lambda: stacks.describe_resource(stack.stack_id, "Bundle"),
        ):
            try:
                found.append(read())
            except InstanceBundleError as error:
                found.append(type(error))

    world._invoke(handler, {}, Lineage())
    return found


def test_both_calls_are_allowed_to_a_function_and_late(world: World, stack: Stack) -> None:
    stack.create(_properties("one"))

    assert ask(world, stack) == [stacks.Stack(""), stacks.Resource("")]
    world.sleep(60)
    described, bundle = ask(world, stack)

    assert isinstance(described, stacks.Stack)
    assert described.status == "CREATE_IN_PROGRESS"
    assert bundle == stacks.Resource("CREATE_IN_PROGRESS")
    assert world.counts["refused by IAM"] == 0


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        ("deny", Doubtful),
        ("throttle", Throttled),
        ("fail", PassingFault),
        ("refuse", PassingFault),
        ("cut", PassingFault),
        ("garble", PassingFault),
    ],
)
def test_both_calls_meet_faults(
    world: World, stack: Stack, kind: str, means: type[InstanceBundleError]
) -> None:
    stack.create(_properties("one"))
    world.sleep(60)
    world.arm(Fault("*", kind, times=100))

    assert ask(world, stack) == [means, means]

    world.disarm()


CLEANED = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"

CREATED = ("Create", "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", 0)
"""The request, the stack's status, the resource's, and which answer its ID is from."""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [CREATE, LATER, TAKE_OUT],
            [CREATED, ("Delete", CLEANED, "DELETE_IN_PROGRESS", 1)],
        ),
        (
            [CREATE, LATER, TAKE_OUT, LATER, change("put back")],
            [
                CREATED,
                ("Delete", CLEANED, "DELETE_IN_PROGRESS", 1),
                ("Create", "UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", 0),
            ],
        ),
        (
            [CREATE, LATER, change("rename", prefix="b")],
            [
                CREATED,
                ("Create", "UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", 0),
                ("Delete", CLEANED, "DELETE_IN_PROGRESS", 1),
            ],
        ),
        (
            [CREATE, LATER, change("rename", prefix="b", later=3)],
            [
                CREATED,
                ("Create", "UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", 0),
                (
                    "Delete",
                    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
                    "DELETE_IN_PROGRESS",
                    2,
                ),
            ],
        ),
        (
            [CREATE, LATER, change(instance=1), later(9), CANCEL],
            [
                CREATED,
                ("Update", "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", 1),
                ("Update", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS", 1),
            ],
        ),
    ],
)
def test_a_changed_template_is_described_when_a_request_is_sent(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[Step],
    expected: list[tuple[str, str, str, int]],
) -> None:
    run, seen, send = Run(world), [], world.send

    def spy(event: dict[str, Any], delay: float = 0) -> None:
        [stack] = run.stacks
        bundle = stacks.describe_resource(stack.stack_id, event["LogicalResourceId"])
        answered = [each.physical_id for each in stack.exchanges if each.succeeded]
        whose = ["", *answered].index(bundle.physical_id)
        status = stacks.describe_stack(stack.stack_id).status
        seen.append((event["RequestType"], status, bundle.status, whose))
        send(event, delay)

    monkeypatch.setattr(world, "send", spy)
    for step in [*steps, LATER]:
        run.step(step)

    assert seen == expected


def test_a_cancelled_update_is_an_operation_that_is_rolled_back(world: World) -> None:
    run = Run(world)
    for step in (CREATE, LATER, change(instance=1), later(9), CANCEL):
        run.step(step)

    assert stacks.describe_stack(run.stacks[0].stack_id).operation == "ROLLBACK"


def test_a_resource_that_was_taken_out_is_not_known(world: World) -> None:
    run = Run(world)
    for step in (CREATE, LATER, TAKE_OUT, LATER):
        run.step(step)

    assert stacks.describe_resource(run.stacks[0].stack_id, "Bundle") == stacks.Resource("")
