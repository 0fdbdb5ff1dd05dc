"""What must hold of the events that tell of work that has ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.chaos.handles import Signal
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import EVENTS_PUT, World

Detail = Mapping[str, str]


def events(world: World, stack: Stack) -> Iterator[str]:
    """Each request that ended work has an event at least, all of its events are the same and tell
    what its answer tells, and no other request has one."""
    by_request = _details(world, stack)
    exchanges = {exchange.event["RequestId"]: exchange for exchange in stack.exchanges}
    for request_id, details in by_request.items():
        if request_id not in exchanges:
            continue  # forged
        exchange = exchanges[request_id]
        about = f"{exchange.event['RequestType']} of {stack.name}"
        if _is_no_news(stack, exchange):
            yield f"{about} did no work, and has the event {details[0]}"
        if world.refuses_to_store():
            continue
        if any(detail != details[0] for detail in details):
            yield f"{about} has different events: {details}"
        yield from _tells_the_answer(stack, exchange, details[0])
    for request_id, exchange in exchanges.items():
        missing = request_id not in by_request and not _is_hindered(world, exchange)
        if missing and _ended_work(stack, exchange):
            yield f"{exchange.event['RequestType']} of {stack.name} ended work without an event"


def _details(world: World, stack: Stack) -> Mapping[str, list[Detail]]:
    by_request = defaultdict(list)
    for entry in world.events_put.described():
        if entry["Detail"]["StackId"] == stack.stack_id:
            by_request[entry["Detail"]["RequestId"]].append(entry["Detail"])
    return by_request


def _is_no_news(stack: Stack, exchange: Exchange) -> bool:
    """Whether the request surely did nothing: a Delete, a refusal of its properties, or an Update
    in place that leaves the image as it is."""
    if exchange.event["RequestType"] == "Delete":
        return True
    if exchange.taken is None:
        return False
    if not exchange.succeeded:
        return "in the properties" in exchange.taken["Reason"]
    old = exchange.event.get("OldResourceProperties", {})
    same = old.get("Image") == exchange.event["ResourceProperties"].get("Image")
    return same and not _is_new(stack, exchange)


def _ended_work(stack: Stack, exchange: Exchange) -> bool:
    """Whether the request has made an image, whole or failed, and was answered for good."""
    if exchange.event["RequestType"] == "Delete" or exchange.taken is None:
        return False
    if exchange.is_accepted and _signal(stack, exchange) is None:
        return False
    return exchange.physical_id.startswith(("bun-", "ami-")) and _is_new(stack, exchange)


def _is_new(stack: Stack, exchange: Exchange) -> bool:
    """Whether no request before was answered with the ID that this one was answered with."""
    before = stack.exchanges[: stack.exchanges.index(exchange)]
    return exchange.physical_id not in {each.physical_id for each in before}


def _tells_the_answer(stack: Stack, exchange: Exchange, detail: Detail) -> Iterator[str]:
    expected = exchange.taken
    if exchange.is_accepted:
        signal = _signal(stack, exchange)
        expected = {**signal.content, "Data": signal.data} if signal else None
    if expected is None:
        return
    told = {"State": "failed", "Reason": expected.get("Reason", "")}
    if expected["Status"] == "SUCCESS":
        told |= {name: expected["Data"][name] for name in ("BundleId", "ImageId", "S3Uri")}
        told["State"] = "complete"
    if {name: detail[name] for name in told} != told:
        yield f"{exchange.event['RequestType']} of {stack.name} came to {told}, and told {detail}"


def _signal(stack: Stack, exchange: Exchange) -> Signal | None:
    handle = stack.handles.get(exchange.handle or "")
    request_id = exchange.event["RequestId"]
    of_handle = handle.signals if handle else []
    return next((each for each in of_handle if each.content["UniqueId"] == request_id), None)


def _is_hindered(world: World, exchange: Exchange) -> bool:
    """Whether the event may have been refused, or given up when nobody waited any more."""
    late = any(moment >= exchange.given_up for moment in world.answers_struck)
    hindering = (f"deny {EVENTS_PUT}", "deny dynamodb:")
    return late or any(line.startswith(hindering) for line in world.log)
