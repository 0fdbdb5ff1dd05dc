"""Signals and the clock: when URLs expire, and when waiting ends."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from sandbox.cloudformation.signals import URL_LIFETIME
from tests.sandbox.cloudformation.serving import body, condition, handle, signal
from tests.sandbox.cloudformation.support import Sandbox, eventually


def put(sandbox: Sandbox, url: str) -> tuple[int, str]:
    """PUT a signal to the URL; status and body of the answer."""
    parts = urlsplit(url)
    content = json.dumps(signal()).encode()
    return sandbox.stacks.signals.receive(parts.path, parts.query, {}, content)


def url_of(sandbox: Sandbox, logical_id: str = "Handle") -> str:
    """The handle's URL, once it is made."""
    eventually(lambda: "CREATE_COMPLETE" in sandbox.statuses(logical_id), lambda: sandbox.history())
    [resource] = [
        resource
        for resource in sandbox.client.describe_stack_resources(StackName="shop")["StackResources"]
        if resource["LogicalResourceId"] == logical_id
    ]
    return resource["PhysicalResourceId"]


def test_a_url_is_good_for_a_day_less_a_second(sandbox: Sandbox) -> None:
    sandbox.finish(body({"Handle": handle()}), "CREATE_COMPLETE")
    url = url_of(sandbox)

    sandbox.clock.ahead += URL_LIFETIME - 60
    assert put(sandbox, url) == (200, "")
    sandbox.clock.ahead += 60
    status, answer = put(sandbox, url)

    assert status == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in answer


def test_the_longest_time_out_goes_by_the_clock(sandbox: Sandbox) -> None:
    sandbox.create(body({"Handle": handle(), "Condition": condition(Timeout=43200)}))
    eventually(lambda: bool(sandbox.statuses("Condition")), lambda: sandbox.history())

    sandbox.clock.ahead += 43100
    url_of(sandbox)
    assert sandbox.statuses("Condition") == ["CREATE_IN_PROGRESS"]
    sandbox.clock.ahead += 101

    sandbox.until("ROLLBACK_COMPLETE")
    assert "timed out" in sandbox.reason("Condition", "CREATE_FAILED")


def test_the_time_runs_from_the_conditions_start_not_from_the_handles(sandbox: Sandbox) -> None:
    resources = {
        "First": handle(),
        "Second": handle(),
        "Before": condition("First", Timeout=43200),
        "After": condition("Second", DependsOn="Before", Timeout=100),
    }
    sandbox.create(body(resources))
    first, second = url_of(sandbox, "First"), url_of(sandbox, "Second")
    eventually(lambda: bool(sandbox.statuses("Before")), lambda: sandbox.history())

    sandbox.clock.ahead += 40000
    put(sandbox, first)
    eventually(lambda: bool(sandbox.statuses("After")), lambda: sandbox.history())
    put(sandbox, second)

    sandbox.until("CREATE_COMPLETE")


def test_a_reset_forgets_handles_and_signals(sandbox: Sandbox) -> None:
    sandbox.finish(body({"Handle": handle()}), "CREATE_COMPLETE")
    url = url_of(sandbox)
    put(sandbox, url)

    sandbox.stacks.signals.reset()

    assert sandbox.stacks.signals.received() == []
    assert put(sandbox, url)[0] == 403
