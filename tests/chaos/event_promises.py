"""Promises about the events of tasks, of work that has ended, and of bundles that were removed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from tests.chaos.custody import Contents
from tests.chaos.handles import Signal
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import EVENTS_PUT, World

Detail = Mapping[str, str]

OF_TASKS = frozenset({"started", "progress"})
ENDED = frozenset({"complete", "failed"})
REMOVED = frozenset({"removed"})


def removals(world: World, stack: Stack, foreign: Set[str]) -> Iterator[str]:
    """Each bundle, and each AMI, that was announced as complete and is gone was announced as
    removed; no other was.

    Args:
        world: where the stack is.
        stack: the stack.
        foreign: keys of objects that others have written.
    """
    found = [each for details in _details(world, stack, REMOVED).values() for each in details]
    removed = {_what(detail) for detail in found}
    complete = {
        _what(detail)
        for details in _details(world, stack, ENDED).values()
        for detail in details
        if detail["State"] == "complete"
    }
    for what in removed:
        if not _is_gone(world, what[0], foreign):
            yield f"{what} of {stack.name} was announced as removed, but is not"
    if world.refuses_to_store() or any(_is_hindered(world, each) for each in stack.exchanges):
        return
    for what in removed - complete:
        yield f"{what} of {stack.name} was announced as removed, but never as complete"
    for what in complete - removed:
        if _is_gone(world, what[0], foreign):
            yield f"{what} of {stack.name} is gone, but was not announced as removed"


def _what(detail: Detail) -> tuple[str, str]:
    return detail["BundleId"], detail["ImageId"]


def _is_gone(world: World, bundle_id: str, foreign: Set[str]) -> bool:
    left = Contents.of(world, bundle_id)
    if left is None:
        return True
    objects = {key for _, key in left.objects} - foreign - _written_after(world, bundle_id)
    return not (objects or left.images or left.snapshots)


def _written_after(world: World, bundle_id: str) -> Set[str]:
    """The keys of bundles that have finished since: a bundle that is made where one was removed has
    its keys."""
    finished = [*world.finished]
    later = finished[finished.index(bundle_id) + 1 :] if bundle_id in world.finished else []
    return {key for each in later for key in world.finished[each].written}


def events(world: World, stack: Stack) -> Iterator[str]:
    """Each request that ended work has an event. All of a request's events are the same and agree
    with its answer. No other request has an event."""
    by_request = _details(world, stack, ENDED)
    exchanges = {exchange.event["RequestId"]: exchange for exchange in stack.exchanges}
    for request_id, details in by_request.items():
        if request_id not in exchanges:
            continue  # forged
        exchange = exchanges[request_id]
        about = f"{exchange.event['RequestType']} of {stack.name}"
        if _did_no_work(stack, exchange):
            yield f"{about} did no work, and has the event {details[0]}"
        if world.refuses_to_store():
            continue
        if any(detail != details[0] for detail in details):
            yield f"{about} has different events: {details}"
        yield from _agrees_with_the_answer(stack, exchange, details[0])
    for request_id, exchange in exchanges.items():
        missing = request_id not in by_request and not _is_hindered(world, exchange)
        if missing and _ended_work(stack, exchange):
            yield f"{exchange.event['RequestType']} of {stack.name} ended work without an event"


def of_tasks(world: World, stack: Stack) -> Iterator[str]:
    """A request that has made something may have had `started`, and then `progress` that rises;
    each of them may be lost, or put again by the SDK. No Delete has either, and both are about the
    task that the event of its end names, if any."""
    ended = _details(world, stack, ENDED)
    types = {each.event["RequestId"]: each.event["RequestType"] for each in stack.exchanges}
    for request_id, put in _details(world, stack, OF_TASKS).items():
        details = [detail for detail, _ in itertools.groupby(put)]
        about = f"{types.get(request_id, 'forged')} of {stack.name}"
        later = {detail["State"] for detail in details[1:]}
        if types.get(request_id) == "Delete" or "started" in later:
            yield f"{about} has the events {details}"
        progress = [int(detail["Progress"].removesuffix("%")) for detail in details]
        if any(after <= before for before, after in itertools.pairwise(progress)):
            yield f"{about} has events whose progress is {progress}"
        tasks = {detail["BundleId"] for detail in details}
        at_the_end = {each["BundleId"] for each in ended.get(request_id, [])} - {""}
        if len(tasks) > 1 or not tasks >= at_the_end:
            yield f"{about} has events about the tasks {tasks}, and ended with {at_the_end}"


def _details(world: World, stack: Stack, states: Set[str]) -> Mapping[str, list[Detail]]:
    """The details of a stack's events that have one of these states, by their requests."""
    by_request = defaultdict(list)
    for entry in world.events_put.described():
        is_of_stack = entry["Detail"]["StackId"] == stack.stack_id
        if is_of_stack and entry["Detail"]["State"] in states:
            by_request[entry["Detail"]["RequestId"]].append(entry["Detail"])
    return by_request


def _did_no_work(stack: Stack, exchange: Exchange) -> bool:
    """Whether the request was a Delete, had invalid properties, or was an Update in place that does
    not change the image."""
    if exchange.event["RequestType"] == "Delete":
        return True
    if exchange.result is None:
        return False
    if not exchange.succeeded:
        return "in the properties" in exchange.result["Reason"]
    old = exchange.event.get("OldResourceProperties", {})
    same = old.get("Image") == exchange.event["ResourceProperties"].get("Image")
    return same and not _is_new(stack, exchange)


def _ended_work(stack: Stack, exchange: Exchange) -> bool:
    """Whether the request has made an image, complete or failed, and has its result."""
    if exchange.event["RequestType"] == "Delete" or exchange.result is None:
        return False
    if exchange.is_accepted and _signal(stack, exchange) is None:
        return False
    return exchange.physical_id.startswith(("bun-", "ami-")) and _is_new(stack, exchange)


def _is_new(stack: Stack, exchange: Exchange) -> bool:
    """Whether no earlier request was answered with the same ID."""
    before = stack.exchanges[: stack.exchanges.index(exchange)]
    return exchange.physical_id not in {each.physical_id for each in before}


def _agrees_with_the_answer(stack: Stack, exchange: Exchange, detail: Detail) -> Iterator[str]:
    result = exchange.result
    if exchange.is_accepted:
        signal = _signal(stack, exchange)
        result = {**signal.content, "Data": signal.data} if signal else None
    if result is None:
        return
    expected = {"State": "failed", "Reason": result.get("Reason", "")}
    if result["Status"] == "SUCCESS":
        expected |= {name: result["Data"][name] for name in ("BundleId", "ImageId", "S3Uri")}
        expected["State"] = "complete"
    if {name: detail[name] for name in expected} != expected:
        about = f"{exchange.event['RequestType']} of {stack.name}"
        yield f"{about} has the event {detail}, which should have {expected}"


def _signal(stack: Stack, exchange: Exchange) -> Signal | None:
    handle = stack.handles.get(exchange.handle or "")
    request_id = exchange.event["RequestId"]
    of_handle = handle.signals if handle else []
    return next((each for each in of_handle if each.content["UniqueId"] == request_id), None)


def _is_hindered(world: World, exchange: Exchange) -> bool:
    """Whether the event may have been refused, or lost after the request's deadline."""
    late = any(moment >= exchange.work_ends_by for moment in world.answers_struck)
    hindering = (f"deny {EVENTS_PUT}", "deny dynamodb:")
    return late or any(line.startswith(hindering) for line in world.log)
