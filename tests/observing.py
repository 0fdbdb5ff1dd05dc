"""How a test looks at what has become of things in EC2."""

from typing import Any

from sandbox.ec2.visibility import PRESENT


def observing(client: Any) -> Any:
    """A client of EC2 that is told what there is now, and not what AWS would show by now."""
    client.meta.events.register("before-call.ec2", _see_the_present)
    return client


def _see_the_present(params: dict[str, Any], **_: Any) -> None:
    params["headers"][PRESENT] = "yes"
