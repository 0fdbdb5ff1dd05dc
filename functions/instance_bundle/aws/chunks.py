"""Asking for many things in few calls, so that what one of them is refused for is no other's."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from instance_bundle.errors import InstanceBundleError, Refused

T = TypeVar("T")


def in_chunks(
    ids: Sequence[str], size: int, ask: Callable[[Sequence[str]], Mapping[str, T]]
) -> Mapping[str, T | InstanceBundleError]:
    """Ask for as many at once as a call takes; where that is refused, for each by itself.

    Args:
        ids: of what is asked for.
        size: as many a call takes.
        ask: makes the call.

    Returns:
        What is known of each, or why it is not known; what is not there is left out.
    """
    found: dict[str, T | InstanceBundleError] = {}
    for start in range(0, len(ids), size):
        chunk = ids[start : start + size]
        try:
            found |= ask(chunk)
        except Refused as refused:
            one_by_one = len(chunk) > 1
            found |= in_chunks(chunk, 1, ask) if one_by_one else {chunk[0]: refused}
        except InstanceBundleError as error:
            found |= dict.fromkeys(chunk, error)
    return found
