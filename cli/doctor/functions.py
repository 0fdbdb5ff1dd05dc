"""Both functions: their configuration, and what invokes them."""

import json
from collections.abc import Iterator
from typing import Any

from cli.doctor.findings import Finding, aws, problem, warning
from cli.doctor.site import Site

_MISSING = ("ResourceNotFoundException",)
_FUNCTION = "AWS::Lambda::Function"
_INVOKE_CONFIG = "AWS::Lambda::EventInvokeConfig"
_SOURCE = "AWS::Lambda::EventSourceMapping"
_DEFAULT_CONCURRENCY = 2
"""The least that MaximumConcurrency may be (Lambda Developer Guide, Configuring maximum concurrency
for Amazon SQS event sources)."""


def configuration(site: Site) -> Iterator[Finding]:
    """Whether each function is there, works, and has the role and variables of the template."""
    for logical_id in site.template.of_type(_FUNCTION):
        name = site.template.ids[logical_id]
        found = site.reader.read(
            "lambda:GetFunctionConfiguration", absent=_MISSING, FunctionName=name
        )
        if found is None:
            yield site.missing(logical_id, "Requests are not answered.")
        else:
            yield from _configured(site, logical_id, found)


def _configured(site: Site, logical_id: str, found: dict[str, Any]) -> Iterator[Finding]:
    wanted = site.template.properties(logical_id)
    update = ("lambda", "update-function-configuration", "--function-name", found["FunctionName"])
    if found.get("State", "Active") not in ("Active", "Inactive", "Pending"):
        yield problem(
            f"{logical_id} is {found['State']}: {found.get('StateReason', '')}",
            "Lambda does not invoke it. Remove the cause, then update it.",
            aws("lambda", "get-function-configuration", "--function-name", found["FunctionName"]),
        )
    if found.get("LastUpdateStatus") == "Failed":
        yield problem(
            f"The last update of {logical_id} failed: {found.get('LastUpdateStatusReason', '')}",
            "It runs as it was before. Remove the cause, then deploy again.",
            aws("lambda", "get-function-configuration", "--function-name", found["FunctionName"]),
        )
    if found["Role"] != wanted["Role"]:
        yield problem(
            f"{logical_id} has the role {found['Role']}, not {wanted['Role']}.",
            "The template gives its permissions to its own role.",
            aws(*update, "--role", wanted["Role"]),
        )
    variables = {name: str(value) for name, value in wanted["Environment"]["Variables"].items()}
    has = found.get("Environment", {}).get("Variables", {})
    if has != variables:
        names = sorted({name for name, _ in has.items() ^ variables.items()})
        yield problem(
            f"Variables of {logical_id} are not the stack's: {', '.join(names)}.",
            "The function does not follow the stack's parameters.",
            aws(*update, "--environment", json.dumps({"Variables": variables})),
        )


def concurrency(site: Site) -> Iterator[Finding]:
    """Whether reserved concurrency throttles a function."""
    for logical_id in site.template.of_type(_FUNCTION):
        name = site.template.ids[logical_id]
        found = site.reader.read(
            "lambda:GetFunctionConcurrency", absent=_MISSING, FunctionName=name
        )
        reserved = (found or {}).get("ReservedConcurrentExecutions")
        needed = _concurrency_of_sources(site, logical_id)
        if reserved is None or reserved > needed:
            continue
        say = warning if reserved else problem
        yield say(
            f"{logical_id} has a reserved concurrency of {reserved}.",
            "Lambda does not invoke it at all."
            if not reserved
            else f"Its queues alone use {needed} executions at once; requests wait or are dropped.",
            aws("lambda", "delete-function-concurrency", "--function-name", name),
        )


def _concurrency_of_sources(site: Site, logical_id: str) -> int:
    sources = map(site.template.properties, site.template.of_type(_SOURCE))
    return sum(
        int(source.get("ScalingConfig", {}).get("MaximumConcurrency", _DEFAULT_CONCURRENCY))
        for source in sources
        if source["FunctionName"] == site.template.ids[logical_id]
    )


def recursive_loops(site: Site) -> Iterator[Finding]:
    """Whether Lambda would stop the polls as a recursive loop."""
    for logical_id in site.template.of_type(_FUNCTION):
        name = site.template.ids[logical_id]
        wanted = site.template.properties(logical_id)["RecursiveLoop"]
        found = site.reader.read(
            "lambda:GetFunctionRecursionConfig", absent=_MISSING, FunctionName=name
        )
        if found is not None and found["RecursiveLoop"] != wanted:
            yield problem(
                f"{logical_id} has RecursiveLoop {found['RecursiveLoop']}, not {wanted}.",
                "Lambda stops its polls after about 16, and stacks hang.",
                aws(
                    *("lambda", "put-function-recursion-config"),
                    *("--function-name", name, "--recursive-loop", wanted),
                ),
            )


def destinations(site: Site) -> Iterator[Finding]:
    """Whether what crashes a function goes to the other one."""
    for logical_id in site.template.of_type(_INVOKE_CONFIG):
        wanted = site.template.properties(logical_id)
        name = wanted["FunctionName"]
        found = site.reader.read(
            "lambda:GetFunctionEventInvokeConfig", absent=_MISSING, FunctionName=name
        )
        if found is None or not _is_as(found, wanted):
            yield problem(
                f"The on-failure destination of {name}, or its retries, are not the template's.",
                "A request that crashes the function is not answered, and its stack hangs.",
                aws(
                    *("lambda", "put-function-event-invoke-config", "--function-name", name),
                    *("--maximum-retry-attempts", str(wanted["MaximumRetryAttempts"])),
                    *("--maximum-event-age-in-seconds", str(wanted["MaximumEventAgeInSeconds"])),
                    *("--destination-config", json.dumps(_destination(wanted))),
                ),
            )


def _is_as(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    numbers = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")
    return all(int(found.get(name, -1)) == int(wanted[name]) for name in numbers) and (
        found.get("DestinationConfig", {}).get("OnFailure") == _destination(wanted)["OnFailure"]
    )


def _destination(wanted: dict[str, Any]) -> dict[str, Any]:
    """The template's also has a Type, which is the transform's."""
    on_failure = wanted["DestinationConfig"]["OnFailure"]
    return {"OnFailure": {"Destination": on_failure["Destination"]}}


def sources(site: Site) -> Iterator[Finding]:
    """Whether the functions receive the messages of their queues."""
    for logical_id in site.template.of_type(_SOURCE):
        wanted = site.template.properties(logical_id)
        queue, function = wanted["EventSourceArn"], wanted["FunctionName"]
        found = site.reader.read(
            "lambda:ListEventSourceMappings", EventSourceArn=queue, FunctionName=function
        )["EventSourceMappings"]
        if not found:
            yield problem(
                f"{logical_id} does not exist: {function} does not receive the messages of"
                f" {queue}.",
                "Work is not polled, or dead letters are not answered, and stacks hang.",
                aws(
                    "lambda", "create-event-source-mapping", "--cli-input-json", json.dumps(wanted)
                ),
            )
        elif found[0]["State"] in ("Disabled", "Disabling"):
            yield problem(
                f"{logical_id} is {found[0]['State']}: {function} does not receive the messages of"
                f" {queue}.",
                "Work is not polled, or dead letters are not answered, and stacks hang.",
                aws(
                    *("lambda", "update-event-source-mapping"),
                    *("--uuid", found[0]["UUID"], "--enabled"),
                ),
            )
