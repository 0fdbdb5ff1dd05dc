"""What other calls see of a write to EC2: nothing, for a while.

"The result of an API command you run that affects your Amazon EC2 resources might not be
immediately visible to all subsequent commands you run" (Amazon EC2 Developer Guide, Eventual
consistency in the Amazon EC2 API). Here this is so for all of them:

* calls that describe see images, snapshots, tags and tasks as they were `delay` seconds ago;
* calls that act on an image, a snapshot or a task use what is known of it elsewhere, which is as it
  was twice as long ago. So an AMI that DescribeImages shows as `available` can be unknown to
  CreateTags, and the snapshots of one that DescribeImages no longer shows can be in use.

Instances and volumes are visible at once, except for their tags. A test that checks the present
state sends the header `X-Sandbox-Present` with calls that describe.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from moto.core.responses import BaseResponse
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, InvalidSnapshotInUse
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.tags import TagResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from sandbox.ec2 import history
from sandbox.ec2.image import snapshot_ids
from sandbox.ec2.image_rules import check_available, check_name

DELAY = 3.0
"""Seconds until calls that describe see a write; AWS says that it can take minutes."""

PRESENT = "X-Sandbox-Present"
"""The header of a call that describes what there is now."""

Clock = Callable[[], float]
Respond = Callable[[Any], Any]
"""A method of one of moto's responses."""

Check = Callable[[EC2Backend, EC2Backend, Any], None]
"""What refuses a call by what there is, and by what is known elsewhere."""

_describing: ContextVar[float | None] = ContextVar("describing", default=None)
"""As of which moment the call that is being answered describes things; None if it does not."""

_MOTOS_BACKEND = EC2BaseResponse.ec2_backend.fget  # type: ignore[attr-defined]


def install(clock: Clock, delay: float) -> ExitStack:
    """Have calls to moto's EC2 see writes later than they are made, until the result is closed.

    What replaces methods of moto's has to be in place: these are wrapped.

    Args:
        clock: epoch seconds.
        delay: seconds.
    """
    installed = ExitStack()
    answer = _describing_the_past(EC2BaseResponse.call_action, clock, delay)
    installed.enter_context(patch.object(EC2BaseResponse, "call_action", answer))
    installed.enter_context(patch.object(EC2BaseResponse, "ec2_backend", property(_backend)))
    installed.enter_context(patch.object(TaggedEC2Resource, "get_tags", _tags))
    for owner, name in _WRITES:
        write = _written_down(getattr(owner, name), clock, delay)
        installed.enter_context(patch.object(owner, name, write))
    return installed


def described_at(response: BaseResponse, clock: Clock, delay: float) -> float:
    """As of which moment a call that describes sees things; epoch seconds."""
    return clock() - (0 if _is_observing(response) else delay)


def _is_observing(response: BaseResponse) -> bool:
    return PRESENT in response.headers


def acted_on_at(clock: Clock, delay: float) -> float:
    """The moment whose state calls that act on things see now; epoch seconds."""
    return clock() - 2 * delay


def _backend(response: EC2BaseResponse) -> EC2Backend:
    """moto's backend, as the call that is being answered sees it."""
    moment = _describing.get()
    if moment is None:
        motos: EC2Backend = _MOTOS_BACKEND(response)
        return motos
    return history.of(response.current_account, response.region).at(moment)


def _tags(resource: Any) -> list[dict[str, str]]:
    """A resource's tags, as moto has them; moto goes through those of all resources for each."""
    ec2, moment = resource.ec2_backend, _describing.get()
    tags = ec2.tags.get(resource.id, {})
    if moment is not None:
        tags = history.of_backend(ec2).tags_at(resource.id, moment)
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in dict(tags).items()
    ]


def _describing_the_past(call_action: Respond, clock: Clock, delay: float) -> Respond:
    def answer(response: Any) -> Any:
        if not response._get_action().startswith("Describe") or _is_observing(response):
            return call_action(response)
        moment = _describing.set(described_at(response, clock, delay))
        try:
            return call_action(response)
        finally:
            _describing.reset(moment)

    return answer


def _written_down(respond: Respond, clock: Clock, delay: float) -> Respond:
    """A method that refuses what is not known yet, and keeps what it changes as it was."""

    def write(response: Any) -> Any:
        ec2 = ec2_backends[response.current_account][response.region]
        changes, named = history.of_backend(ec2), _named(response)
        past = changes.at(acted_on_at(clock, delay))
        _check_known(ec2, past, named)
        for check in _checks_of(response):
            check(ec2, past, response)
        changes.forget(acted_on_at(clock, delay))
        changes.note(named, clock())
        there = {*ec2.amis, *ec2.snapshots}
        try:
            return respond(response)
        finally:
            changes.note_new({*ec2.amis, *ec2.snapshots} - there, clock())

    return write


def _named(response: Any) -> list[str]:
    """The resources that a request is about."""
    one = [response._get_param(name) for name in ("ImageId", "SnapshotId")]
    return [*filter(None, one), *response._get_param("Resources", [])]


def _check_known(now: EC2Backend, past: EC2Backend, resource_ids: Iterable[str]) -> None:
    for id_ in resource_ids:
        if id_ in now.amis and id_ not in past.amis:
            raise InvalidAMIIdError(id_)
        if id_ in now.snapshots and id_ not in past.snapshots:
            raise EC2ClientError(
                "InvalidSnapshot.NotFound", f"The snapshot '{id_}' does not exist."
            )


def _checks_of(response: Any) -> Iterator[Check]:
    """The checks of a call; a dry run does not see the state of things."""
    check = _CHECKS.get(response._get_action())
    if check is not None and (check is _check_name or not response._get_param("DryRun", False)):
        yield check


def _check_name(_: EC2Backend, past: EC2Backend, response: Any) -> None:
    """Refuse the name of an image that is deregistered, and not yet known to be."""
    check_name(past, response._get_param("Name", ""))


def _check_available(_: EC2Backend, past: EC2Backend, response: Any) -> None:
    image = past.amis.get(response._get_param("ImageId"))
    if image is not None:
        check_available(image)


def _check_unused(now: EC2Backend, past: EC2Backend, response: Any) -> None:
    snapshot_id = response._get_param("SnapshotId")
    for image in {**past.amis, **now.amis}.values():
        if snapshot_id in snapshot_ids(image):
            raise InvalidSnapshotInUse(snapshot_id, image.id)


_CHECKS: dict[str, Check] = {
    "CreateImage": _check_name,
    "RegisterImage": _check_name,
    "CreateStoreImageTask": _check_available,
    "ModifyImageAttribute": _check_available,
    "RunInstances": _check_available,
    "DeleteSnapshot": _check_unused,
}

_WRITES: tuple[tuple[type, str], ...] = (
    *((AmisResponse, name) for name in ("create_image", "register_image", "copy_image")),
    *((AmisResponse, name) for name in ("deregister_image", "modify_image_attribute")),
    *((AmisResponse, name) for name in ("disable_image", "enable_image")),
    (AmisResponse, "enable_image_deregistration_protection"),
    (AmisResponse, "disable_image_deregistration_protection"),
    (AmisResponse, "create_store_image_task"),
    *((ElasticBlockStore, name) for name in ("create_snapshot", "create_snapshots")),
    *((ElasticBlockStore, name) for name in ("copy_snapshot", "delete_snapshot")),
    *((ElasticBlockStore, name) for name in ("lock_snapshot", "unlock_snapshot")),
    (InstanceResponse, "run_instances"),
    *((TagResponse, name) for name in ("create_tags", "delete_tags")),
)
