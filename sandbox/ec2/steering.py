"""Tags that steer what happens to images: `sandbox:<what>-seconds`, `-outcome` and `-error`."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.core import TaggedEC2Resource

_SECONDS = "2"
_OUTCOMES = ("complete", "failed", "hang")


@dataclass(frozen=True, slots=True)
class Steering:
    """The intended result of something that takes time.

    Attributes:
        seconds: how long it takes; above 0, and infinite if it is to hang.
        fails: whether it fails at its end.
        error: what is said of it then.
    """

    seconds: float
    fails: bool
    error: str

    @classmethod
    def of(cls, tags: Mapping[str, str], what: str, error: str) -> "Steering":
        """What the tags say of an image (`image`) or its storing (`store`).

        Args:
            error: what is said of a failure where no tag says it.

        Raises:
            EC2ClientError: `InvalidParameterValue`, a tag says nothing that there is.
        """
        outcome = tags.get(f"sandbox:{what}-outcome", "complete")
        if outcome not in _OUTCOMES:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The tag sandbox:{what}-outcome is one of {', '.join(_OUTCOMES)}, not '{outcome}'",
            )
        seconds = number(tags, f"sandbox:{what}-seconds", _SECONDS)
        return cls(
            seconds=inf if outcome == "hang" else max(seconds, 0.001),
            fails=outcome == "failed",
            error=tags.get(f"sandbox:{what}-error", error),
        )


def tags_of(resource: TaggedEC2Resource | None) -> dict[str, str]:
    """The tags of a resource; none of one that is not there."""
    return {tag["key"]: tag["value"] for tag in resource.get_tags()} if resource else {}


def number(tags: Mapping[str, str], name: str, default: str) -> float:
    """The number that a tag holds.

    Raises:
        EC2ClientError: `InvalidParameterValue`, it holds none.
    """
    text = tags.get(name, default)
    try:
        return float(text)
    except ValueError:
        raise EC2ClientError(
            "InvalidParameterValue", f"The tag {name} is no number: '{text}'"
        ) from None
