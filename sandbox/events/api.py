"""EventBridge in moto's server: rules that match and deliver as AWS's do, and AWS's own events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from moto.events.models import EventPattern, EventPatternParser, Rule
from moto.events.responses import EventsHandler

from sandbox.events import ami_events, bucket_notifications, object_events, patterns
from sandbox.events.deliveries import Deliveries
from sandbox.events.scheduled_rules import ScheduledRules
from sandbox.faults.faults import Faults

_NOT_AUTHORIZED = {
    "ErrorCode": "NotAuthorizedForSourceException",
    "ErrorMessage": "Not authorized for the source.",
}


def install(
    faults: Faults,
    clock: Callable[[], float] = time.time,
    scheduled_rules: ScheduledRules | None = None,
) -> ExitStack:
    """Put rules that deliver, and the events of EC2 and S3, into moto, until the result is closed,
    which waits for the deliveries at work.

    Args:
        faults: close them first, where deliveries may be held.
        clock: epoch seconds, for the time of events.
        scheduled_rules: keeps the rules that have a schedule; without it, they never run.
    """
    installed = ExitStack()
    deliveries = Deliveries(faults, others=Rule.send_to_targets)
    installed.callback(deliveries.close)

    def send(rule: Rule, original_event: Any, transform_input: bool = True) -> None:  # noqa: ARG001
        deliveries.send(rule, original_event)

    for owner, name, replacement in (
        (Rule, "send_to_targets", send),
        (EventPatternParser, "parse", _parse),
        (EventPattern, "matches_event", _matches),
        (EventsHandler, "test_event_pattern", _test_event_pattern),
        (EventsHandler, "put_events", _put_events),
    ):
        installed.enter_context(patch.object(owner, name, replacement))
    if scheduled_rules is not None:
        installed.enter_context(scheduled_rules.kept(deliveries.run))
    installed.enter_context(ami_events.raised(clock))
    installed.enter_context(object_events.raised(clock))
    installed.enter_context(bucket_notifications.served())
    return installed


def _parse(parser: EventPatternParser) -> dict[str, Any]:
    if not parser.pattern:
        return {}
    patterns.compiled(parser.pattern)
    return dict(json.loads(parser.pattern))


def _matches(pattern: EventPattern, event: Any) -> bool:
    """A rule that has only a schedule matches no event."""
    text = pattern.dump()
    return text is not None and patterns.compiled(text)(event)


def _test_event_pattern(response: EventsHandler) -> str:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html"""
    matches = patterns.compiled(response._get_param("EventPattern"))
    return json.dumps({"Result": matches(json.loads(response._get_param("Event")))})


def _put_events(response: EventsHandler) -> str:
    """moto's, which refuses sources that begin with ``aws.``: they are AWS's
    (https://github.com/aws-samples/serverless-patterns/pull/3089)."""
    entries: list[dict[str, Any]] = response._get_param("Entries")
    refused = [str(entry.get("Source")).startswith("aws.") for entry in entries]
    own = [entry for entry, is_awss in zip(entries, refused, strict=True) if not is_awss]
    results = iter(response.events_backend.put_events(own))
    answers = [dict(_NOT_AUTHORIZED) if is_awss else next(results) for is_awss in refused]
    failed = sum("ErrorCode" in answer for answer in answers)
    return json.dumps({"FailedEntryCount": failed, "Entries": answers})
