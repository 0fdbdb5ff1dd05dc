"""How a test reads the present state of EC2."""

from typing import Any

from sandbox.ec2.visibility import PRESENT


def observing(client: Any) -> Any:
    """A client of EC2 that gets the present state, and not what AWS would show by now."""
    client.meta.events.register("before-call.ec2", _see_the_present)
    return client


def _see_the_present(params: dict[str, Any], **_: Any) -> None:
    params["headers"][PRESENT] = "yes"
