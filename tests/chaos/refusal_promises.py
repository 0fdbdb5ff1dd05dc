"""What must hold of refusals: none of a read is an answer that came only once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from instance_bundle.aws.calls import CALLS, Purpose
from tests.chaos.stacks import Stack
from tests.chaos.world import World

READS = tuple(call for call, each in CALLS.items() if each.purpose is Purpose.READ)

_AT_THE_DEADLINE = "Not complete within"
_DENIED = rf"({'|'.join(READS)}) was refused\. (?:UnauthorizedOperation|AccessDenied\w*|403):"


def believed(world: World, stack: Stack) -> Iterator[str]:
    """What a Reason says of a refused read was so each time, or was named at the deadline."""
    for exchange in stack.exchanges:
        for reason in {json.loads(body).get("Reason", "") for body in exchange.bodies}:
            if reason.startswith(_AT_THE_DEADLINE):
                continue
            denied = {*re.findall(_DENIED, reason)}
            if once := [call for call in denied if world.log.count(f"deny {call}") < 2]:
                yield f"{exchange.event['RequestType']} of {stack.name} failed by one of {once}"
