"""Compares two recordings of a phase: what does not depend on the moment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.record.fixtures import Recording

_SUFFIX = re.compile(r"\{suffix-\d+\}")

Line = str


@dataclass(frozen=True, slots=True)
class Outline:
    """What is compared of a recording.

    Resources of a stack that do not need each other come in any order, so each resource's requests
    and statuses are a sequence of their own.

    Attributes:
        calls: each call, whether it was refused and with which code, and the stack's status at
            rest after it.
        requests: by stack and resource: each request, with its physical ID, the names of its
            members and of its properties, and what the stack and the resource were meanwhile.
        statuses: by stack and resource: its statuses in the stack's events.
    """

    calls: tuple[Line, ...]
    requests: dict[str, tuple[Line, ...]]
    statuses: dict[str, tuple[Line, ...]]


def outline(recording: Recording) -> Outline:
    """What is compared of this recording."""
    requests: defaultdict[str, list[Line]] = defaultdict(list)
    for entry in _of_kind(recording, "request"):
        event = entry["event"]
        resource = f"{_stack(event['StackId'].split('/')[1])} {event['LogicalResourceId']}"
        requests[resource].append(_request(entry))
    return Outline(
        calls=tuple(_calls(recording)),
        requests=_fixed(requests),
        statuses=_fixed(_statuses(recording)),
    )


def differences(one: Recording, other: Recording) -> list[str]:
    """What differs, a line each; none if the recordings agree."""
    first, second = outline(one), outline(other)
    found = [*_differing("calls", first.calls, second.calls)]
    for what in ("requests", "statuses"):
        ours, theirs = getattr(first, what), getattr(second, what)
        for resource in sorted({*ours, *theirs}):
            found += _differing(
                f"{what} of {resource}", ours.get(resource, ()), theirs.get(resource, ())
            )
    return [f"{one.phase}: {line}" for line in found]


def _differing(what: str, ours: tuple[Line, ...], theirs: tuple[Line, ...]) -> Iterator[str]:
    for number in range(max(len(ours), len(theirs))):
        pair = [side[number] if number < len(side) else "none" for side in (ours, theirs)]
        if pair[0] != pair[1]:
            yield f"{what}, number {number + 1}: {pair[0]} | {pair[1]}"
            return


def _calls(recording: Recording) -> Iterator[Line]:
    for entry in recording.entries:
        match entry["kind"]:
            case "call":
                refused = entry.get("error")
                yield f"{entry['call']} {refused['Code'] if refused else 'accepted'}"
            case "at-rest":
                [stack] = entry["describes"]["DescribeStacks"]["Stacks"]
                yield stack["StackStatus"]
            case "problem":
                yield "problem"


def _request(entry: dict[str, Any]) -> Line:
    event, described = entry["event"], entry["describes"]
    later = described["later"] or described["first"]
    stacks = later["DescribeStacks"].get("Stacks")
    detail = later["DescribeStackResource"].get("StackResourceDetail", {})
    return "; ".join(
        [
            f"{event['RequestType']} of {_physical(event.get('PhysicalResourceId'))}",
            f"members {' '.join(sorted(event))}",
            f"properties {' '.join(sorted(event['ResourceProperties']))}",
            f"stack {stacks[0]['StackStatus'] if stacks else 'unknown'}",
            f"resource {detail.get('ResourceStatus', 'unknown')}",
            f"as {_physical(detail.get('PhysicalResourceId'))}",
        ]
    )


def _statuses(recording: Recording) -> dict[str, list[Line]]:
    """A status that is repeated is one: of some resources CloudFormation has two events, the
    second one with the physical ID."""
    statuses: defaultdict[str, list[Line]] = defaultdict(list)
    for stack, events in recording.events.items():
        for event in events:
            own = event["LogicalResourceId"] == event["StackName"]
            resource = f"{_stack(stack)} {'itself' if own else event['LogicalResourceId']}"
            if statuses[resource][-1:] != [event["ResourceStatus"]]:
                statuses[resource].append(event["ResourceStatus"])
    return statuses


def _of_kind(recording: Recording, kind: str) -> Iterator[dict[str, Any]]:
    return (entry for entry in recording.entries if entry["kind"] == kind)


def _stack(name: str) -> str:
    """A stack's name, without what CloudFormation made up."""
    return _SUFFIX.sub("{suffix}", name)


def _physical(physical_id: str | None) -> str:
    return _SUFFIX.sub("{suffix}", physical_id) if physical_id else "no ID"


def _fixed(lists: dict[str, list[Line]]) -> dict[str, tuple[Line, ...]]:
    return {name: tuple(lines) for name, lines in lists.items()}
