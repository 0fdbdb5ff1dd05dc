"""Images in moto's server: the actions that moto lacks, or answers at once where EC2 takes time."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2 import utils
from moto.ec2.exceptions import InvalidAMIIdError, InvalidSnapshotIdError
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.tags import TagResponse

from sandbox.ec2 import image, images, protection, recycle_bin, store_tasks
from sandbox.ec2.image_rules import NewImage, check_tags, image_of, tags_in
from sandbox.ec2.images import Images
from sandbox.ec2.protection import check_deletion
from sandbox.ec2.store_tasks import StoreTasks
from sandbox.ec2.visibility import described_at

Clock = Callable[[], float]
Respond = Callable[[Any], Any]
"""A method of one of moto's responses."""

UNDELETABLE = "X-Sandbox-Undeletable"
"""The header of DeregisterImage that names the snapshots that the caller may not delete."""

_MOTOS_REGISTER_IMAGE = AmisResponse.register_image
_MOTOS_CREATE_TAGS = TagResponse.create_tags
_MOTOS_DESCRIBE_IMAGES = AmisResponse.describe_images
_MOTOS_DESCRIBE_IMAGE_ATTRIBUTE = AmisResponse.describe_image_attribute
_MOTOS_MODIFY_IMAGE_ATTRIBUTE = AmisResponse.modify_image_attribute


def install(clock: Clock, delay: float) -> ExitStack:
    """Put images over time and store tasks into moto's EC2, until the result is closed.

    Args:
        clock: epoch seconds.
        delay: seconds until a store task, and what is in the Recycle Bin, is listed.
    """
    installed = ExitStack()

    def describe_store_image_tasks(response: AmisResponse, clock: Clock) -> ActionResult:
        return _describe_store_image_tasks(response, clock, described_at(response, clock, delay))

    actions = {**_ACTIONS, "describe_store_image_tasks": describe_store_image_tasks}
    for name, action in actions.items():
        installed.enter_context(
            patch.object(AmisResponse, name, _served(action, clock), create=True)
        )
    installed.enter_context(patch.object(TagResponse, "create_tags", _create_tags))
    installed.enter_context(patch.object(AmisResponse, "describe_images", _describe_images))
    installed.enter_context(
        patch.object(AmisResponse, "describe_image_attribute", _describe_image_attribute)
    )
    delete_snapshot = _unless_locked(ElasticBlockStore.delete_snapshot, clock)
    installed.enter_context(patch.object(ElasticBlockStore, "delete_snapshot", delete_snapshot))
    installed.enter_context(protection.install(clock))
    installed.enter_context(recycle_bin.install(clock, delay))
    answer = _advanced(EC2BaseResponse.call_action, clock)
    installed.enter_context(patch.object(EC2BaseResponse, "call_action", answer))
    installed.enter_context(patch.object(Snapshot, "progress", property(image.progress)))
    size = property(image.full_size)
    installed.enter_context(
        patch.object(Snapshot, "full_snapshot_size_in_bytes", size, create=True)
    )
    installed.enter_context(patch.object(EBSBackend, "create_snapshot", image.create_snapshot))
    installed.enter_context(patch.object(Ami, "get_filter_value", image.filter_value))
    installed.enter_context(patch.object(utils, "is_filter_matching", image.is_filter_matching))
    return installed


def _served(action: Callable[[AmisResponse, Clock], Any], clock: Clock) -> Respond:
    return lambda response: action(response, clock)


def _advanced(call_action: Respond, clock: Clock) -> Respond:
    """A method that answers by what images and store tasks have come to by now."""

    def advance_and_answer(response: Any) -> Any:
        _images(response, clock).advance()
        _store_tasks(response, clock).advance()
        return call_action(response)

    return advance_and_answer


def _images(response: Any, clock: Clock) -> Images:
    return images.of(response.current_account, response.region, clock)


def _store_tasks(response: Any, clock: Clock) -> StoreTasks:
    return store_tasks.of(response.current_account, response.region, clock)


def _is_true(response: AmisResponse, parameter: str) -> bool:
    return bool(response._get_bool_param(parameter, False))


def _new_image(response: AmisResponse, *taggable: str) -> NewImage:
    tags = tags_in(response._get_param("TagSpecifications", []), taggable)
    return NewImage(
        name=response._get_param("Name", ""),
        description=response._get_param("Description"),
        image_tags=tags["image"],
        snapshot_tags=tags.get("snapshot", {}),
    )


def _create_image(response: AmisResponse, clock: Clock) -> ActionResult:
    made = _images(response, clock).create(
        response._get_param("InstanceId"),
        _new_image(response, "image", "snapshot"),
        no_reboot=_is_true(response, "NoReboot"),
        dry_run=_is_true(response, "DryRun"),
    )
    return ActionResult({"ImageId": made.id})


def _register_image(response: AmisResponse, clock: Clock) -> ActionResult:
    location = response._get_param("ImageLocation")
    mappings = response._get_param("BlockDeviceMappings", [])
    if mappings and not location:
        made = _images(response, clock).register_snapshots(
            _new_image(response, "image"),
            mappings,
            dry_run=_is_true(response, "DryRun"),
            architecture=response._get_param("Architecture", "i386"),
            root_device_name=response._get_param("RootDeviceName"),
            virtualization_type=response._get_param("VirtualizationType", "paravirtual"),
        )
        return ActionResult({"ImageId": made.id})
    if not location:
        return _MOTOS_REGISTER_IMAGE(response)
    made = _images(response, clock).register(
        _new_image(response, "image"),
        location,
        architecture=response._get_param("Architecture"),
        virtualization_type=response._get_param("VirtualizationType"),
        dry_run=_is_true(response, "DryRun"),
    )
    return ActionResult({"ImageId": made.id})


def _deregister_image(response: AmisResponse, clock: Clock) -> ActionResult:
    deleted = _images(response, clock).deregister(
        response._get_param("ImageId"),
        delete_snapshots=_is_true(response, "DeleteAssociatedSnapshots"),
        undeletable=(response.headers.get(UNDELETABLE) or "").split(","),
        dry_run=_is_true(response, "DryRun"),
    )
    return ActionResult({"Return": True, "DeleteSnapshotResults": deleted})


def _modify_image_attribute(response: AmisResponse, clock: Clock) -> ActionResult:  # noqa: ARG001
    """moto's, which knows the launch permissions alone, and the description."""
    description = (response._get_param("Description") or {}).get("Value")
    if response._get_param("Attribute") == "description":
        description = response._get_param("Value")
    if description is None:
        return _MOTOS_MODIFY_IMAGE_ATTRIBUTE(response)
    response.error_on_dryrun()
    image_of(response.ec2_backend, response._get_param("ImageId")).description = description
    return EmptyResult()


def _describe_image_attribute(response: AmisResponse) -> ActionResult:
    """moto's, which knows no deregistration protection, and raises for an image that is missing."""
    image = image_of(response.ec2_backend, response._get_param("ImageId"))
    response.error_on_dryrun()
    if response._get_param("Attribute") != "deregistrationProtection":
        return _MOTOS_DESCRIBE_IMAGE_ATTRIBUTE(response)
    described = {"Value": protection.protection_of(image).described()}
    return ActionResult({"ImageId": image.id, "DeregistrationProtection": described})


def _describe_images(response: AmisResponse) -> ActionResult:
    """moto's, which shows disabled images, leaves out IDs, and filters only where it is given none.

    "A disabled AMI does not appear in DescribeImages API calls by default" (EC2 API Reference,
    DisableImage).
    """
    ec2, asked = response.ec2_backend, response._get_param("ImageIds", [])
    missing = [id_ for id_ in asked if id_ not in ec2.amis and id_ not in ec2.deleted_amis]
    if missing and all(id_.startswith("ami-") for id_ in missing):
        raise InvalidAMIIdError(missing)
    answered: Any = _MOTOS_DESCRIBE_IMAGES(response).result
    found = answered["Images"]
    if asked:
        found = utils.generic_filter(response._filters_from_querystring(), found)
    if not _is_true(response, "IncludeDisabled"):
        found = [image for image in found if image.state != "disabled"]
    return ActionResult({"Images": found})


def _unless_locked(delete_snapshot: Respond, clock: Clock) -> Respond:
    def delete(response: Any) -> Any:
        ec2, snapshot_id = response.ec2_backend, response._get_param("SnapshotId", "")
        if snapshot_id not in ec2.snapshots:
            raise InvalidSnapshotIdError
        response.error_on_dryrun()
        check_deletion(ec2, snapshot_id, clock())
        return delete_snapshot(response)

    return delete


def _create_tags(response: TagResponse) -> ActionResult:
    """moto's, which has no rules for keys and values, and tags images that are gone."""
    for resource_id in response._get_param("Resources", []):
        if resource_id.startswith("ami-"):
            image_of(response.ec2_backend, resource_id)
    # The words: https://github.com/cloud-custodian/cloud-custodian/issues/5975
    check_tags(response._get_param("Tags", []), "Value ( {} ) for parameter key is invalid. ")
    return _MOTOS_CREATE_TAGS(response)


def _create_store_image_task(response: AmisResponse, clock: Clock) -> ActionResult:
    task = _store_tasks(response, clock).create(
        response._get_param("ImageId"),
        response._get_param("Bucket"),
        response._get_param("S3ObjectTags", []),
        dry_run=_is_true(response, "DryRun"),
    )
    return ActionResult({"ObjectKey": task.target.key})


def _create_restore_image_task(response: AmisResponse, clock: Clock) -> ActionResult:
    made = _images(response, clock).restore(
        response._get_param("Bucket"),
        response._get_param("ObjectKey"),
        _new_image(response, "image", "snapshot"),
        dry_run=_is_true(response, "DryRun"),
    )
    return ActionResult({"ImageId": made.id})


def _describe_store_image_tasks(
    response: AmisResponse, clock: Clock, started_by: float
) -> ActionResult:
    response.error_on_dryrun()
    filters = response._filters_from_querystring()
    tasks, next_token = _store_tasks(response, clock).describe(
        response._get_param("ImageIds", []),
        {name: list(filters[name]) for name in filters},
        response._get_param("MaxResults"),
        response._get_param("NextToken"),
        started_by=started_by,
    )
    described = [task.described() for task in tasks]
    return ActionResult({"StoreImageTaskResults": described, "NextToken": next_token})


_ACTIONS: dict[str, Callable[[AmisResponse, Clock], ActionResult]] = {
    "create_image": _create_image,
    "register_image": _register_image,
    "deregister_image": _deregister_image,
    "modify_image_attribute": _modify_image_attribute,
    "create_store_image_task": _create_store_image_task,
    "create_restore_image_task": _create_restore_image_task,
}
