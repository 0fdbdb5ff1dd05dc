"""A fault proxy by others between the functions and AWS: whatever it does to the answers of each
service, all stacks end right and nothing is left over.

The functions' own variables name the proxy as the endpoint of each service that they call. Each
kind of fault strikes each service, and each call that starts or removes something, while all stacks
go through their lives side by side. Which call is struck is counted, and not left to chance.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.deployment import STACK_NAME
from tests.stacks.faults import hurry, wait_for_empty_queues
from tests.stacks.support import Aws, Observers, SandboxProcess, signing_secret
from tests.stacks.trials import (
    BUNDLE_AND_REGISTER,
    BUNDLE_INSTANCE,
    STORE_IMAGE,
    Method,
    Sight,
    Steps,
    Trial,
    carry_out,
)

from . import proxy
from .proxy import Proxy
from .table import Suite

[_VERSION] = re.findall(
    r"^microburst==(\S+)", (REPOSITORY / "requirements" / "judges.txt").read_text(), re.MULTILINE
)

SUITE = Suite(
    "microburst",
    _VERSION,
    "whole stacks of both methods, through a proxy that throttles, truncates, corrupts, resets and "
    "delays the answers of each service that the functions call",
)

SERVICES = {
    "cloudformation": ("CLOUDFORMATION", "Throttling", 400),
    "dynamodb": ("DYNAMODB", "ProvisionedThroughputExceededException", 400),
    "ec2": ("EC2", "RequestLimitExceeded", 503),
    "events": ("EVENTBRIDGE", "ThrottlingException", 400),
    "s3": ("S3", "SlowDown", 503),
    "secretsmanager": ("SECRETS_MANAGER", "ThrottlingException", 400),
    "sqs": ("SQS", "RequestThrottled", 403),
}
"""Each service that the functions call: the end of AWS_ENDPOINT_URL_..., and how it throttles."""

_READ = 6
"""Seconds for which the functions wait for an answer: `budget.READ`."""

KINDS = ("throttled", "truncated", "cut short", "corrupt", "reset", "slow", "too slow")

STRIKES = 2
"""How often each kind of fault strikes a service at most."""

ACTS = {
    **dict.fromkeys(("BundleInstance", "CreateImage", "CreateStoreImageTask"), "ec2"),
    **dict.fromkeys(("RegisterImage", "DeregisterImage"), "ec2"),
    "DeleteObjects": "s3",
}
"""Calls that start work, which nobody may repeat before it is known what they have done, and calls
that remove something."""

KINDS_OF_ACTS = ("truncated", "corrupt", "reset", "too slow")
"""What leaves open whether the call was carried out. One that is too slow is carried out after the
function has given up."""

PAIRS = (
    *((service, operation, kind) for operation, service in ACTS.items() for kind in KINDS_OF_ACTS),
    *((service, "", kind) for service in SERVICES for kind in KINDS),
)
"""Service, operation (any if it is empty) and kind of fault of each rule. The first one that is due
takes effect."""

METHODS = (BUNDLE_INSTANCE, BUNDLE_AND_REGISTER, STORE_IMAGE)
STACKS = 2
"""Of each method."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of the stacks.

    Attributes:
        problems: what is not right, by stack and step.
        rules: the ID of each rule, by service, operation and kind of fault.
        fired: the proxy's log.
        seen: how many requests it received, by service.
    """

    problems: dict[str, list[str]]
    rules: dict[tuple[str, str, str], int]
    fired: list[dict[str, Any]]
    seen: dict[str, int]


def _rule(service: str, operation: str, kind: str) -> dict[str, Any]:
    """One request of many is struck, so that the rules of a service take turns."""
    _, code, status = SERVICES[service]
    effects: dict[str, dict[str, Any]] = {
        "throttled": {"error": {"code": code, "status": status}},
        "truncated": {"response": {"truncate_frac": 0.5}},
        "cut short": {"response": {"abort_frac": 0.5}},
        "corrupt": {"response": {"corrupt_bytes": 1}},
        "reset": {"reset": True},
        "slow": {"latency": (_READ - 2) * 1000},
        "too slow": {"latency": (_READ + 2) * 1000},
    }
    turns = {"operation": operation, "times": 1} if operation else {"times": STRIKES}
    passed = 1 if operation else 3 * len(KINDS)
    return {
        "service": service,
        "sequence": {"fail": 1, "pass": passed},
        **turns,
        **effects[kind],
    }


def _point(aws: Aws, between: Proxy) -> None:
    """Have the application's functions call AWS through the proxy."""
    endpoints = {f"AWS_ENDPOINT_URL_{end}": between.endpoint for end, *_ in SERVICES.values()}
    functions = aws.clients.functions
    for function in functions.list_functions()["Functions"]:
        variables: dict[str, str] = function.get("Environment", {}).get("Variables", {})
        if function["FunctionName"].startswith(STACK_NAME):
            functions.update_function_configuration(
                FunctionName=function["FunctionName"],
                Environment={"Variables": variables | endpoints},
            )


def _life(trial: Trial, problems: dict[str, list[str]]) -> Steps:
    """Create, update with replacement, delete."""

    def check(what: str, status: str, bundles: int, left: list[str]) -> None:
        problems[f"{trial.method.name} {trial.name}: {what}"] = trial.problems(
            status, bundles, left
        )

    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    check("create", "CREATE_COMPLETE", 1, ["one"])
    trial.update(trial.body("two", OnDelete="Delete"))
    yield trial.rests()
    check("update", "UPDATE_COMPLETE", 2, ["two"])
    trial.delete()
    yield trial.rests()
    check("delete", "DELETE_COMPLETE", 2, [])


def _trial(aws: Aws, method: Method) -> Trial:
    return Trial(aws, instance=method.instance(aws, "complete"), method=method)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Of all stacks, which are there at the same time."""
    directory: Path = tmp_path_factory.mktemp("microburst")
    sandbox = SandboxProcess.start(directory, {"AllowedInstanceTag": "sandbox:bundled=yes"})
    try:
        clients = Observers(sandbox.ready["endpoint"])
        aws = Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
        hurry(aws)
        with proxy.running(clients.endpoint, directory) as between:
            yield _outcome(aws, between)
    finally:
        status = sandbox.end()
    assert status == 0


def _outcome(aws: Aws, between: Proxy) -> Outcome:
    ids = between.add(_rule(*pair) for pair in PAIRS)
    problems: dict[str, list[str]] = {}
    _point(aws, between)
    trials = [_trial(aws, method) for method in METHODS for _ in range(STACKS)]
    carry_out(aws, [_life(trial, problems) for trial in trials])
    wait_for_empty_queues(aws)
    now = Sight(aws)
    for trial in trials:
        problems[f"{trial.method.name} {trial.name}: in the end"] = [
            *trial.problems("DELETE_COMPLETE", 2, [], now),
            *trial.not_notified(now),
        ]
    return Outcome(
        problems, dict(zip(PAIRS, ids, strict=True)), between.fired(), dict(between.seen())
    )


def test_all_calls_of_the_functions_went_through_the_proxy(outcome: Outcome) -> None:
    assert {*SERVICES} <= {*outcome.seen}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " ".join(filter(None, pair)))
def test_each_fault_struck(outcome: Outcome, pair: tuple[str, str, str]) -> None:
    service, operation, _ = pair
    of_rule = [event for event in outcome.fired if event["rule_id"] == outcome.rules[pair]]
    assert of_rule
    assert {event["service"] for event in of_rule} == {service}
    assert not operation or {event["operation"] for event in of_rule} == {operation}


@pytest.mark.parametrize("step", ["create", "update", "delete", "in the end"])
@pytest.mark.parametrize("method", METHODS, ids=["bundled", "registered", "stored"])
def test_all_stacks_end_right(outcome: Outcome, method: Method, step: str) -> None:
    of_step = {
        what: wrong
        for what, wrong in outcome.problems.items()
        if what.startswith(f"{method.name} ") and what.endswith(f": {step}")
    }
    assert len(of_step) >= STACKS
    assert {what: wrong for what, wrong in of_step.items() if wrong} == {}
