"""Events that AWS's services put onto the default bus of an account."""

from __future__ import annotations

import uuid
from typing import Any

from moto.events.models import events_backends


def put(
    account: str,
    region: str,
    *,
    source: str,
    detail_type: str,
    resources: list[str],
    detail: dict[str, Any],
    moment: float,
) -> None:
    """Put an event onto the default bus, which has its rules deliver it.

    https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html

    Args:
        moment: epoch seconds, when it happened.
    """
    event: Any = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": moment,
        "region": region,
        "resources": resources,
        "detail": detail,
        "ingestion-time": moment,
    }
    for rule in list(events_backends[account][region].event_buses["default"].rules.values()):
        rule.send_to_targets(event)
