"""Quotas of AWS's that moto lacks: those on the rules of a bus and on a function's permissions.

The errors, and their words, are those that Lambda and EventBridge were seen to give. What moto has
of its own: the size and the delay of SQS's messages, and the size of DynamoDB's items.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.policy import Policy
from moto.core.exceptions import JsonRESTError
from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule

POLICY_BYTES = 20_480
"""Of a function's resource-based policy, as compact JSON
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
STATEMENT_ID = 100
"""Characters (https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html)."""
RULES = 300
"""On a bus; 100 in some Regions, more on request
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html)."""
TARGETS = 5
"""Of a rule (the same page)."""
RULE_NAME = 64
"""Characters (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html)."""
PATTERN = 2_048
"""Characters of a rule's event pattern; 4,096 on request
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html)."""
TARGET_INPUT = 8_192
"""Characters (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html)."""


class PolicyLengthExceeded(LambdaClientError):
    """A function's policy would be larger than it may be."""

    def __init__(self, size: int) -> None:
        super().__init__(
            "PolicyLengthExceededException",
            f"The final policy size ({size}) is bigger than the limit ({POLICY_BYTES}).",
        )


class StatementExists(LambdaClientError):
    """A function's policy has a statement of this ID."""

    code = 409

    def __init__(self, statement_id: str) -> None:
        super().__init__(
            "ResourceConflictException",
            f"The statement id ({statement_id}) provided already exists. Please provide a new "
            "statement id, or remove the existing statement.",
        )


class LimitExceeded(JsonRESTError):
    """There are as many rules, or targets, as there may be."""

    code = 400

    def __init__(self) -> None:
        super().__init__(
            "LimitExceededException", "The requested resource exceeds the maximum number allowed."
        )


@contextmanager
def enforced() -> Iterator[None]:
    """Have moto refuse what goes beyond a quota, of all accounts and regions."""
    with (
        patch.object(Policy, "add_statement", _within_policy(Policy.add_statement)),
        patch.object(EventsBackend, "put_rule", _within_bus(EventsBackend.put_rule)),
        patch.object(EventsBackend, "put_targets", _within_rule(EventsBackend.put_targets)),
    ):
        yield


def policy_bytes(policy: Policy) -> int:
    """The size of a policy as GetPolicy gives it on AWS: with no space in it."""
    return len(json.dumps(policy.get_policy()["Policy"], separators=(",", ":")).encode())


def _within_policy(add_statement: Callable[..., tuple[Any, str]]) -> Callable[..., tuple[Any, str]]:
    @functools.wraps(add_statement)
    def add(policy: Policy, raw: str, qualifier: str | None = None) -> tuple[Any, str]:
        statement_id = json.loads(raw).get("StatementId", "")
        if len(statement_id) > STATEMENT_ID:
            message = _too_long(statement_id, "statementId", STATEMENT_ID)
            raise LambdaClientError("ValidationException", message)
        if statement_id and any(each.get("Sid") == statement_id for each in policy.statements):
            raise StatementExists(statement_id)
        added = add_statement(policy, raw, qualifier)
        size = policy_bytes(policy)
        if size > POLICY_BYTES:
            policy.statements.pop()
            raise PolicyLengthExceeded(size)
        return added

    return add


def _within_bus(put_rule: Callable[..., Rule]) -> Callable[..., Rule]:
    @functools.wraps(put_rule)
    def put(
        events: EventsBackend,
        name: str,
        description: str | None = None,
        event_bus_arn: str | None = None,
        **given: Any,
    ) -> Rule:
        if len(name) > RULE_NAME:
            raise ValidationException(_too_long(name, "name", RULE_NAME))
        if len(given.get("event_pattern") or "") > PATTERN:
            raise LimitExceeded
        bus = events.event_buses.get((event_bus_arn or "default").rpartition("/")[2])
        if bus is not None and name not in bus.rules and len(bus.rules) >= RULES:
            raise LimitExceeded
        return put_rule(events, name, description, event_bus_arn, **given)

    return put


def _within_rule(put_targets: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(put_targets)
    def put(
        events: EventsBackend, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
    ) -> None:
        for number, target in enumerate(targets, start=1):
            text = target.get("Input") or ""
            if len(text) > TARGET_INPUT:
                member = f"targets.{number}.member.input"
                raise ValidationException(_too_long(text, member, TARGET_INPUT))
        there = {target["Id"] for target in events.describe_rule(name, event_bus_arn).targets}
        if len(there | {target["Id"] for target in targets}) > TARGETS:
            raise LimitExceeded
        put_targets(events, name, event_bus_arn, targets)

    return put


def _too_long(value: str, member: str, limit: int) -> str:
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}"
    )
