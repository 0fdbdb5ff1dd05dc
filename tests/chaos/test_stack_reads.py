"""CloudFormation's API in the simulated world: stacks are described as in the sandbox, and reads of
functions are delayed and throttled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from tests.chaos.sequence import Run, Step
from tests.chaos.stacks import Stack
from tests.chaos.steps import CANCEL, CREATE, LATER, TAKE_OUT, change, later
from tests.chaos.world import Fault, World
from tests.sandbox.cloudformation.phases import Phases, template
from tests.sandbox.cloudformation.support import REGION, client, eventually, installed, success

Description = tuple[stacks.Stack, stacks.Resource]
"""How the function's reads describe a stack and its bundle."""

FAR = 1e6
"""Seconds until a sibling fails by itself: later than any story ends."""


class Driver(Protocol):
    """A stack with a bundle, and a sibling that may fail."""

    def create(self, *, sibling_fails: bool = False) -> None:
        """Begin to create the stack."""

    def update(self, *, sibling_fails: bool = False) -> None:
        """Begin to update bundle and sibling."""

    def delete(self) -> None:
        """Begin to delete the stack."""

    def answer(self, physical_id: str | None = None) -> None:
        """Answer the open request about the bundle SUCCESS; None: with the ID of the request."""

    def fail(self, physical_id: str | None = None) -> None:
        """Answer it FAILED."""

    def fail_sibling(self) -> None:
        """Fail the sibling, if `sibling_fails`."""

    def described(self) -> Description:
        """The description, while a request about the bundle is open or the stack is idle."""


Story = Callable[[Driver], Iterator[None]]
"""What happens to a stack; its descriptions are compared at each yield."""


def creation(driver: Driver) -> Iterator[None]:
    driver.create()
    yield
    driver.answer("bun-1")
    yield


def creation_that_fails(driver: Driver) -> Iterator[None]:
    driver.create()
    driver.fail("bun-1")
    yield
    driver.answer()
    yield


def creation_that_is_cancelled(driver: Driver) -> Iterator[None]:
    driver.create(sibling_fails=True)
    driver.fail_sibling()
    yield
    driver.answer()
    yield


def creation_that_is_undone(driver: Driver) -> Iterator[None]:
    driver.create(sibling_fails=True)
    driver.answer("bun-1")
    driver.fail_sibling()
    yield
    driver.fail()
    yield
    driver.delete()
    yield
    driver.answer()
    yield


def deletion_while_it_is_created(driver: Driver) -> Iterator[None]:
    driver.create()
    yield
    driver.delete()
    yield
    driver.answer()
    yield


def update_in_place(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update()
    yield
    driver.answer()
    yield


def replacement(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update()
    driver.answer("bun-2")
    yield
    driver.answer()
    yield


def update_that_fails(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update()
    driver.fail("bun-1")
    yield
    driver.answer()
    yield


def update_that_fails_under_another_id(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update()
    driver.fail("bun-2")
    yield
    driver.answer("bun-1")
    yield
    driver.answer()
    yield


def replacement_that_is_rolled_back(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update(sibling_fails=True)
    driver.answer("bun-2")
    driver.fail_sibling()
    yield
    driver.answer("bun-1")
    yield
    driver.answer()
    yield


def update_that_is_cancelled(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update(sibling_fails=True)
    yield
    driver.fail_sibling()
    yield
    driver.answer()
    yield


def rollback_that_fails(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.update()
    driver.fail()
    yield
    driver.fail()
    yield


def deletion(driver: Driver) -> Iterator[None]:
    yield from creation(driver)
    driver.delete()
    yield
    driver.fail()
    yield
    driver.delete()
    yield
    driver.answer()
    yield


STORIES: Sequence[Story] = (
    *(creation, creation_that_fails, creation_that_is_cancelled, creation_that_is_undone),
    *(deletion_while_it_is_created, update_in_place, replacement, update_that_fails),
    *(update_that_fails_under_another_id, replacement_that_is_rolled_back),
    *(update_that_is_cancelled, rollback_that_fails, deletion),
)


def descriptions(driver: Driver, story: Story) -> list[Description]:
    """The descriptions at each yield, without what differs from stack to stack."""
    return [_plain(driver.described()) for _ in story(driver)]


def _plain(description: Description) -> Description:
    stack, bundle = description
    is_made_up = bundle.physical_id.startswith(("shop-Bundle-", "stack"))
    physical_id = "made up" if is_made_up else bundle.physical_id
    return replace(stack, operation_id=""), replace(bundle, physical_id=physical_id)


@dataclass
class SandboxStack:
    """A stack in the sandbox's CloudFormation; requests about its sibling are answered at once.

    Attributes:
        answered: how many requests about the bundle were answered or cancelled.
        to_fail: the sibling's request that `fail_sibling` fails.
    """

    phases: Phases
    stack_id: str = ""
    answered: int = 0
    sibling_fails: bool = False
    to_fail: list[dict[str, Any]] = field(default_factory=list)

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

    def fail_sibling(self) -> None:
        eventually(lambda: bool(self.to_fail), self.phases.sandbox.history)
        if len(self._requests()) > self.answered:
            self.answered += 1  # it is cancelled
        else:
            eventually(self._is_done, self.phases.sandbox.history)
        self.phases.fail(self.to_fail.pop())
        self._request()

    def described(self) -> Description:
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
            self.to_fail.append(event)
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
        """The open request; waits for it."""
        eventually(
            lambda: len(self._requests()) > self.answered,
            lambda: self.phases.sandbox.history(self.stack_id),
        )
        return self._requests()[self.answered]


@dataclass
class WorldStack:
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

    def fail_sibling(self) -> None:
        if self.stack._interrupted_at is not None:
            self.stack._interrupted_at = time.time()
            self.stack.wake()

    def described(self) -> Description:
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


def in_the_sandbox(story: Story) -> list[Description]:
    with installed(client) as sandbox:
        return descriptions(SandboxStack(Phases(sandbox)), story)


@pytest.fixture(scope="module")
def of_the_sandbox() -> dict[str, list[Description]]:
    """The sandbox's descriptions; they are read before there is a world, which stops the clock."""
    return {story.__name__: in_the_sandbox(story) for story in STORIES}


@pytest.fixture
def world(of_the_sandbox: dict[str, list[Description]], world: World) -> World:
    world.clear("images")
    world.stack_reads.reads.delay = READ_DELAY
    return world


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world, "stack", Custody(world, frozenset(), lambda: False))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_stack_of_the_world_is_described_as_one_of_the_sandbox(
    of_the_sandbox: dict[str, list[Description]], stack: Stack, story: Story
) -> None:
    assert descriptions(WorldStack(stack), story) == of_the_sandbox[story.__name__]


def test_a_function_reads_an_earlier_state_for_a_while(world: World, stack: Stack) -> None:
    driver = WorldStack(stack)
    driver.create()
    with by_function():
        assert driver.described() == (stacks.Stack(""), stacks.Resource(""))
        world.sleep(READ_DELAY)
        assert driver.described()[0].status == "CREATE_IN_PROGRESS"
        driver.answer("bun-1")
        world.sleep(1)
        assert driver.described()[1] == stacks.Resource("CREATE_IN_PROGRESS")
        world.sleep(READ_DELAY)
        assert driver.described()[1] == stacks.Resource("CREATE_COMPLETE", "bun-1")
        world.stack_reads.reads.delay = 60
        world.sleep(55)
        assert driver.described()[1] == stacks.Resource("CREATE_IN_PROGRESS")
        world.stack_reads.reads.delay = 0
        driver.delete()
        world.sleep(1)
        assert driver.described()[0].status == "DELETE_IN_PROGRESS"


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


def test_a_deleted_stacks_resources_are_not_described_after_ninety_days(
    world: World, stack: Stack
) -> None:
    driver = WorldStack(stack)
    for _ in creation(driver):
        pass
    driver.delete()
    driver.answer()
    world.sleep(89 * 86400)
    assert driver.described()[1] == stacks.Resource("DELETE_COMPLETE", "bun-1")

    world.sleep(86400)

    assert driver.described()[0].status == "DELETE_COMPLETE"
    assert driver.described()[1] == stacks.Resource("")


def read_both(world: World, stack: Stack) -> list[object]:
    """The results of reading stack and bundle in an invocation of the function."""
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


def test_a_function_may_make_both_calls_and_reads_late(world: World, stack: Stack) -> None:
    stack.create(_properties("one"))

    assert read_both(world, stack) == [stacks.Stack(""), stacks.Resource("")]
    world.sleep(60)
    described, bundle = read_both(world, stack)

    assert isinstance(described, stacks.Stack)
    assert described.status == "CREATE_IN_PROGRESS"
    assert bundle == stacks.Resource("CREATE_IN_PROGRESS")
    assert world.counts["refused by IAM"] == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("deny", Doubtful),
        ("throttle", Throttled),
        ("fail", PassingFault),
        ("refuse", PassingFault),
        ("cut", PassingFault),
        ("garble", PassingFault),
    ],
)
def test_faults_strike_both_calls(
    world: World, stack: Stack, kind: str, error: type[InstanceBundleError]
) -> None:
    stack.create(_properties("one"))
    world.sleep(60)
    world.arm(Fault("*", kind, times=100))

    assert read_both(world, stack) == [error, error]

    world.disarm()


CLEANED = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"

CREATED = ("Create", "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", 0)
"""The request, the statuses of stack and resource, and the number of the answer with its ID."""


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
        number = ["", *answered].index(bundle.physical_id)
        status = stacks.describe_stack(stack.stack_id).status
        seen.append((event["RequestType"], status, bundle.status, number))
        send(event, delay)

    monkeypatch.setattr(world, "send", spy)
    run.carry_out([*steps, LATER])

    assert seen == expected


def test_a_cancelled_update_is_an_operation_that_is_rolled_back(world: World) -> None:
    run = Run(world)
    run.carry_out([CREATE, LATER, change(instance=1), later(9), CANCEL])

    assert stacks.describe_stack(run.stacks[0].stack_id).operation == "ROLLBACK"


def test_a_resource_that_was_removed_is_not_described(world: World) -> None:
    run = Run(world)
    run.carry_out([CREATE, LATER, TAKE_OUT, LATER])

    assert stacks.describe_resource(run.stacks[0].stack_id, "Bundle") == stacks.Resource("")
