"""EC2 in moto's server: bundle tasks, images, and instances with an instance-store root."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import instances as motos_instances
from moto.ec2.responses.windows import Windows

from sandbox.ec2 import bundle_tasks, image_parameters, images_api, instances, kept, visibility
from sandbox.ec2.bundle_task import S3Storage
from sandbox.ec2.bundle_tasks import BundleTasks
from sandbox.ec2.images import Images
from sandbox.ec2.refusals import Ec2Error
from sandbox.ec2.store_tasks import StoreTasks
from sandbox.ec2.visibility import Clock

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# The images of `public_images.json`.

WINDOWS_INSTANCE_STORE_IMAGE = "ami-0b1d1e5a0d2f4c6e8"
"""Windows with an instance-store root."""

WINDOWS_EBS_IMAGE = "ami-03cf127a"
"""Windows with an EBS root."""

LINUX_EBS_IMAGE = "ami-760aaa0f"
"""Linux with an EBS root."""

AMAZON_LINUX_IMAGE = "ami-03c3da4cfa8e8943a"
"""The one of the public parameter of Amazon Linux 2023, as moto's Systems Manager has it."""

_logger = logging.getLogger("sandbox")

Action = Callable[[BundleTasks, Windows], dict[str, Any]]


def install(clock: Clock = time.time, *, delay: float = visibility.DELAY) -> ExitStack:
    """Put bundle tasks and images that take time into moto's EC2, until the result is closed.

    Args:
        clock: epoch seconds; tasks and images follow it.
        delay: seconds until other calls see a write; see `visibility`.
    """
    installed = ExitStack()
    installed.enter_context(images_api.install(clock, delay))

    def tasks(response: Windows) -> BundleTasks:
        return bundle_tasks.of(response.current_account, response.region, clock)

    def describe_bundle_tasks(tasks: BundleTasks, response: Windows) -> dict[str, Any]:
        moment = visibility.described_at(response, clock, delay)
        return _describe_bundle_tasks(tasks, response, moment)

    def cancel_bundle_task(tasks: BundleTasks, response: Windows) -> dict[str, Any]:
        return _cancel_bundle_task(tasks, response, visibility.acted_on_at(clock, delay))

    actions: dict[str, Action] = {
        "bundle_instance": _bundle_instance,
        "describe_bundle_tasks": describe_bundle_tasks,
        "cancel_bundle_task": cancel_bundle_task,
    }
    for name, action in actions.items():
        installed.enter_context(patch.object(Windows, name, _served(action, tasks)))
    installed.enter_context(instances.install(clock))
    installed.enter_context(visibility.install(clock, delay))
    installed.enter_context(image_parameters.install(clock, delay))
    return installed


def advance_all() -> None:
    """Bring tasks and images of all accounts and regions to where they are now; never raises."""
    bundle_tasks.advance_all()
    everything: list[Images | StoreTasks] = [
        *kept.everywhere(Images),
        *kept.everywhere(StoreTasks),
    ]
    for advancing in everything:
        try:
            advancing.advance()
        except Exception:
            _logger.exception("Images could not be advanced")


def run_windows_instance_store(ec2: "EC2Client") -> str:
    """Run a Windows instance with an instance-store root; its ID."""
    return _run(ec2, WINDOWS_INSTANCE_STORE_IMAGE)


def run_ebs_instance(ec2: "EC2Client") -> str:
    """Run a Windows instance with an EBS root; its ID."""
    return _run(ec2, WINDOWS_EBS_IMAGE)


@contextmanager
def giving_instance_id(instance_id: str) -> Iterator[None]:
    """Give this ID to the one instance that any caller runs inside."""
    with patch.object(motos_instances, "random_instance_id", lambda: instance_id):
        yield


def _run(ec2: "EC2Client", image_id: str) -> str:
    run = ec2.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)
    return run["Instances"][0]["InstanceId"]


def _served(
    action: Action, tasks: Callable[[Windows], BundleTasks]
) -> Callable[[Windows], ActionResult]:
    def serve(response: Windows) -> ActionResult:
        try:
            return ActionResult(action(tasks(response), response))
        except Ec2Error as error:
            raise EC2ClientError(error.code, error.message) from error

    return serve


def _bundle_instance(tasks: BundleTasks, response: Windows) -> dict[str, Any]:
    s3 = (response._get_param("Storage") or {}).get("S3") or {}
    storage = S3Storage(
        bucket=s3.get("Bucket", ""),
        prefix=s3.get("Prefix", ""),
        aws_access_key_id=s3.get("AWSAccessKeyId"),
        upload_policy=_text(s3.get("UploadPolicy")),
        upload_policy_signature=s3.get("UploadPolicySignature"),
        upload_policy_base64=_on_the_wire(response, "Storage.S3.UploadPolicy"),
    )
    dry_run = bool(response._get_bool_param("DryRun", False))
    task = tasks.bundle(response._get_param("InstanceId"), storage, dry_run=dry_run)
    return {"BundleTask": task.described()}


def _text(blob: bytes | str | None) -> str | None:
    return blob.decode(errors="backslashreplace") if isinstance(blob, bytes) else blob


def _on_the_wire(response: Windows, parameter: str) -> str | None:
    """A parameter's text before it is decoded: base64 can be written in more ways than one."""
    texts: list[str] = response.querystring.get(parameter, [])
    return texts[0] if texts else None


def _describe_bundle_tasks(
    tasks: BundleTasks, response: Windows, started_by: float
) -> dict[str, Any]:
    filters = response._filters_from_querystring()
    found = tasks.describe(
        response._get_param("BundleIds", []),
        {name: list(filters[name]) for name in filters},
        started_by=started_by,
    )
    return {"BundleTasks": [task.described() for task in found]}


def _cancel_bundle_task(tasks: BundleTasks, response: Windows, started_by: float) -> dict[str, Any]:
    task = tasks.cancel(response._get_param("BundleId"), started_by=started_by)
    return {"BundleTask": task.described()}
