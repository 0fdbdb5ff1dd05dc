"""How an update's clean-up deletes what it left.

"CloudFormation attempts to delete the old resource three times. If CloudFormation can't delete the
old resource, it removes the old resource from the stack and continues updating the stack"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html). Assumed: each
attempt has its events, and what the resource needs is deleted after the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sandbox.cloudformation.steps import Removal
from sandbox.cloudformation.views import Resource

TRIES = 3
INCOMPLETE = "One or more resources could not be deleted."
"""Its words: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/744."""

Layer = tuple[dict[str, Resource], set[str]]
"""Resources to delete, by their logical IDs, and which of them were created again."""


def layers(removed: Mapping[str, Resource], replaced: Iterable[Resource]) -> list[Layer]:
    """The resources, so that no layer has two of one logical ID."""
    found: list[Layer] = [(dict(removed), set())]
    for resource in replaced:
        name = resource.declaration.logical_id
        if all(name in to_delete for to_delete, _ in found):
            found.append(({}, set()))
        to_delete, recreated = next(layer for layer in found if name not in layer[0])
        to_delete[name] = resource
        recreated.add(name)
    return found


def repeated(
    to_delete: Mapping[str, Resource], remove: Callable[[Mapping[str, Resource]], Removal]
) -> list[str]:
    """Delete resources, each in three attempts. Returns those that are skipped then.

    remove: makes an attempt to delete some.
    """
    attempts: Counter[str] = Counter()
    skipped: list[str] = []
    left = dict(to_delete)
    while left:
        removal = remove(left)
        attempts.update(removal.failed)
        given_up = [name for name in removal.failed if attempts[name] == TRIES]
        skipped += given_up
        left = {name: each for name, each in removal.left.items() if name not in given_up}
    return skipped
