"""EC2's events of images: `EC2 AMI State Change`.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.ec2.models.amis import Ami, AmiBackend
from moto.utilities.utils import get_partition

from sandbox.events import service_events

DETAIL_TYPE = "EC2 AMI State Change"

_REPORTED = ("available", "failed", "disabled")


@contextmanager
def raised(clock: Callable[[], float]) -> Iterator[None]:
    """Raise an event for each state that an image of the account comes to, whatever brings it
    there, and for its end.

    Args:
        clock: epoch seconds.
    """

    def report(image: Ami, state: str) -> None:
        if image.owner_id != image.ec2_backend.account_id:
            return
        region = image.ec2_backend.region_name
        failure = getattr(image, "state_reason", None) if state == "failed" else None
        service_events.put(
            image.ec2_backend.account_id,
            region,
            source="aws.ec2",
            detail_type=DETAIL_TYPE,
            resources=[f"arn:{get_partition(region)}:ec2:{region}::image/{image.id}"],
            detail={
                "RequestId": str(uuid.uuid4()),
                "ImageId": image.id,
                "State": state,
                "ErrorMessage": failure["Message"] if failure else "",
            },
            moment=clock(),
        )

    with ExitStack() as patches:
        for owner, name, replacement in (
            (Ami, "__init__", _reporting_new(Ami.__init__, report)),
            (Ami, "state", _State(report)),
            (AmiBackend, "deregister_image", _reporting_end(AmiBackend.deregister_image, report)),
        ):
            patches.enter_context(patch.object(owner, name, replacement, create=True))
        yield


_Report = Callable[[Ami, str], None]


class _State:
    """An image's state, kept where moto keeps it, and reported where it changes."""

    def __init__(self, report: _Report) -> None:
        self._report = report

    def __get__(self, image: Ami | None, owner: type[Ami]) -> Any:
        return self if image is None else vars(image)["state"]

    def __set__(self, image: Ami, state: str) -> None:
        before = vars(image).get("state")
        vars(image)["state"] = state
        if before not in (None, state) and state in _REPORTED:
            self._report(image, state)


def _reporting_new(make: Callable[..., None], report: _Report) -> Callable[..., None]:
    """RegisterImage and CopyImage make images that are available at once."""

    @functools.wraps(make)
    def made(image: Ami, *args: Any, **kwargs: Any) -> None:
        make(image, *args, **kwargs)
        if image.state in _REPORTED:
            report(image, image.state)

    return made


def _reporting_end(
    deregister: Callable[[AmiBackend, str], None], report: _Report
) -> Callable[[AmiBackend, str], None]:
    @functools.wraps(deregister)
    def deregistered(backend: AmiBackend, ami_id: str) -> None:
        image = backend.amis.get(ami_id)
        deregister(backend, ami_id)
        if image is not None:
            report(image, "deregistered")

    return deregistered
