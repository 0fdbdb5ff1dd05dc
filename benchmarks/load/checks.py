"""Whether all stacks of a load ended correctly: compares the promises with the records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load.client import Stack

_BUNDLE_ID = re.compile(r"bun-[0-9a-f]{17}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on record once all is over.

    Attributes:
        bucket: the bucket for the bundles.
        bundle_requests: each BundleInstance request, as `/sandbox/bundle-requests` lists them.
        responses: each answer, as `/sandbox/responses` lists them.
        keys: of the objects in the bucket.
        left_in_queues: messages in the application's queues.
    """

    bucket: str
    bundle_requests: Sequence[Mapping[str, Any]]
    responses: Sequence[Mapping[str, Any]]
    keys: frozenset[str]
    left_in_queues: int


def problems(stacks: Sequence[Stack], seen: Seen) -> tuple[str, ...]:
    """What did not end as it should have, a sentence each; none if all did.

    Args:
        stacks: when their creation was over.
        seen: what is on record.
    """
    return (
        *_of_statuses(stacks),
        *_of_outputs(stacks, seen),
        *_of_bundle_requests(stacks, seen.bundle_requests),
        *_of_responses(stacks, seen.responses),
        *([f"{seen.left_in_queues} messages are left"] if seen.left_in_queues else []),
    )


def _of_statuses(stacks: Iterable[Stack]) -> Iterator[str]:
    for stack in stacks:
        if stack.status != "CREATE_COMPLETE":
            yield f"{stack.name} is {stack.status}: {stack.reason}"


def _of_outputs(stacks: Sequence[Stack], seen: Seen) -> Iterator[str]:
    for stack in stacks:
        outputs = dict(stack.outputs)
        place = f"{seen.bucket}/{stack.name}"
        if outputs.get("S3Uri") != f"s3://{place}":
            yield f"{stack.name} has S3Uri {outputs.get('S3Uri')}"
        if outputs.get("ManifestLocation") != f"{place}.manifest.xml":
            yield f"{stack.name} has ManifestLocation {outputs.get('ManifestLocation')}"
        if not _BUNDLE_ID.fullmatch(outputs.get("BundleId", "")):
            yield f"{stack.name} has BundleId {outputs.get('BundleId')}"
        if f"{stack.name}.manifest.xml" not in seen.keys:
            yield f"{stack.name} has no manifest"
    for bundle_id, count in Counter(_bundle_ids(stacks)).items():
        if count > 1:
            yield f"{bundle_id} is the bundle of {count} stacks"


def _of_bundle_requests(
    stacks: Sequence[Stack], requests: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    made = Counter((request["InstanceId"], request.get("BundleId")) for request in requests)
    wanted = Counter((stack.instance_id, dict(stack.outputs).get("BundleId")) for stack in stacks)
    for instance_id, bundle_id in (wanted - made) + (made - wanted):
        yield f"BundleInstance for {instance_id} and {bundle_id} did not come exactly once"


def _of_responses(stacks: Sequence[Stack], responses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    taken = {response["requestId"]: response for response in responses if response["taken"]}
    answers = Counter(response["stackId"] for response in taken.values())
    for stack in stacks:
        if answers[stack.stack_id] != 1:
            yield f"{stack.name} had {answers[stack.stack_id]} requests answered, not 1"
    for response in responses:
        if response["body"]["Status"] != "SUCCESS":
            yield f"{response['stackId']} was answered {response['body']}"
        elif response["body"] != taken.get(response["requestId"], {}).get("body"):
            yield f"{response['stackId']} was answered otherwise before"


def _bundle_ids(stacks: Iterable[Stack]) -> Iterator[str]:
    for stack in stacks:
        yield dict(stack.outputs).get("BundleId", "")
