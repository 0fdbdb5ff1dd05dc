"""Promises about accepted work, whose end is signalled to a wait condition handle."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.handles import Signal
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World

_MEMBERS = {"Status", "UniqueId", "Data", "Reason"}
_DATA = {"BundleId", "ImageId", "S3Uri"}
_LONGEST = 4096


def premature(world: World, body: bytes) -> Iterator[str]:
    """A signal, when it arrives, is valid JSON; if it is SUCCESS, the work is complete."""
    signal = Signal(body, 0)
    if set(signal.content) != _MEMBERS or len(body) > _LONGEST:
        yield f"A signal of {len(body)} bytes, with {sorted(signal.content)}"
        return
    if set(signal.data) != _DATA:
        yield f"A signal has the data {signal.data}"
    if not signal.succeeds:
        if not signal.content["Reason"]:
            yield "A signal of a failure without a Reason"
        return
    bundle_id, image_id = signal.data["BundleId"], signal.data["ImageId"]
    if bundle_id not in world.finished.keys() | world.images.stored:
        yield f"{bundle_id} is signalled as complete, and is not"
    seen = world.images.portrait(image_id)
    if image_id and (seen is None or seen.state != "available"):
        yield f"{image_id} is signalled as complete, and is {seen}"


def signals(world: World, stack: Stack) -> Iterator[str]:
    """All signals of a request are the same, and are sent to its handle."""
    if world.refuses_to_store():
        return
    by_id: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
    for handle in stack.handles.values():
        for signal in handle.signals:
            by_id[signal.content["UniqueId"]].add((handle.url, signal.body))
    exchanges = {exchange.event["RequestId"]: exchange for exchange in stack.exchanges}
    for request_id, puts in by_id.items():
        exchange = exchanges.get(request_id)
        if exchange is None or {url for url, _ in puts} != {exchange.handle}:
            yield f"{stack.name} was signalled about {request_id}, which has another handle: {puts}"
        elif len(puts) > 1:
            yield f"{stack.name} was signalled in different ways about {request_id}: {puts}"
        else:
            yield from _agrees_with_the_answers(exchange, next(iter(puts))[1])


def _agrees_with_the_answers(exchange: Exchange, body: bytes) -> Iterator[str]:
    """A signalled request was answered SUCCESS, with the same bundle."""
    signal = Signal(body, 0)
    answers = [json.loads(each) for each in exchange.bodies]
    if any(answer["Status"] != "SUCCESS" for answer in answers):
        yield f"{exchange.event['RequestId']} was answered FAILED, and signalled: {body!r}"
    for answer in answers:
        if signal.data["BundleId"] != answer["PhysicalResourceId"]:
            yield f"{answer['PhysicalResourceId']} was answered, and signalled: {body!r}"


def ends(world: World, stack: Stack) -> Iterator[str]:
    """Accepted work is signalled in time, unless a later request has superseded it."""
    for number, exchange in enumerate(stack.exchanges, start=1):
        deadline = exchange.work_ends_by
        later = [each for each in stack.exchanges[number:] if each.sent_at < deadline]
        if not exchange.is_accepted or any(_supersedes(each, exchange) for each in later):
            continue
        about = f"{exchange.event['RequestType']} of {stack.name}, accepted,"
        first = min((signal.at for signal in _of(stack, exchange)), default=None)
        if first is None and not _is_hindered(world, exchange):
            yield f"{about} was never signalled"
        if (first is None or first >= deadline) and not world.log:
            yield f"{about} was signalled too late, without any fault"


def _supersedes(later: Exchange, exchange: Exchange) -> bool:
    """Whether a later request supersedes a request: it has the same logical ID, and is not the
    Delete of another bundle."""
    if later.event["LogicalResourceId"] != exchange.event["LogicalResourceId"]:
        return False
    deleted = later.event.get("PhysicalResourceId", "")
    is_other = deleted.startswith(("bun-", "ami-")) and deleted != exchange.physical_id
    return not (later.event["RequestType"] == "Delete" and is_other)


def _of(stack: Stack, exchange: Exchange) -> list[Signal]:
    handle = stack.handles[exchange.handle or ""]
    request_id = exchange.event["RequestId"]
    return [each for each in handle.signals if each.content["UniqueId"] == request_id]


def _is_hindered(world: World, exchange: Exchange) -> bool:
    """Whether a signal may have been refused, or lost after the request's deadline."""
    late = any(moment >= exchange.work_ends_by for moment in world.answers_struck)
    denying = ("deny dynamodb:", "deny response:", "deny signal:")
    denied = any(line.startswith(denying) for line in world.log)
    return late or denied
