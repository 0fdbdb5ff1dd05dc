"""Reads many things in few calls; a refusal because of one of them does not affect the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from instance_bundle.errors import InstanceBundleError, Refused

T = TypeVar("T")


def in_chunks(
    ids: Sequence[str], size: int, ask: Callable[[Sequence[str]], Mapping[str, T]]
) -> Mapping[str, T | InstanceBundleError]:
    """Ask for as many at once as a call takes; if that is refused, ask for each one separately.

    Args:
        ids: the IDs of what is asked for.
        size: how many IDs a call takes.
        ask: makes the call.

    Returns:
        What is known of each, or why it is not known; what does not exist is left out.
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
