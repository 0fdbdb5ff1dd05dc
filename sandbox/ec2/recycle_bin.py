"""EC2's Recycle Bin: deregistered images and deleted snapshots that a retention rule keeps.

What is in it is not described, can't be used, and is listed until its time is over (Amazon EBS User
Guide, Recycle Bin: https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html). A rule
counts at once here.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidAMIIdError,
    InvalidNextToken,
    InvalidSnapshotIdError,
)
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.utilities.paginator import paginate

from sandbox.ec2 import kept
from sandbox.ec2.visibility import Clock, described_at

IMAGE, SNAPSHOT = "EC2_IMAGE", "EBS_SNAPSHOT"
"""Types of resources (Recycle Bin API Reference, CreateRule)."""

Resources = Callable[[EC2Backend], Mapping[str, Ami | Snapshot]]
"""moto's resources of a type, by their IDs."""

Remove = Callable[[EC2Backend, str], Any]
"""What removes one of them from moto."""

_DAY = 86400
_PAGES = {
    "page": {
        "input_token": "next_token",
        "limit_key": "max_results",
        "limit_default": 1000,
        "unique_attribute": "id",
        "fail_on_invalid_token": InvalidNextToken,
    }
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A retention rule.

    Attributes:
        resource_type: `EC2_IMAGE` or `EBS_SNAPSHOT`.
        days: how long resources are kept.
        tags: a resource with any of them is kept; all resources of the Region, if there are none.
        excluded: a resource with any of them is not.
    """

    resource_type: str
    days: int
    tags: frozenset[tuple[str, str]] = frozenset()
    excluded: frozenset[tuple[str, str]] = frozenset()

    def keeps(self, resource_type: str, tags: Mapping[str, str]) -> bool:
        """Whether a resource is kept that is removed."""
        has = {*tags.items()}
        matches = not self.tags or bool(self.tags & has)
        return resource_type == self.resource_type and matches and not self.excluded & has


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource in the bin. entered, leaves: epoch seconds."""

    resource_type: str
    resource: Ami | Snapshot
    entered: float
    leaves: float

    @property
    def id(self) -> str:
        """The resource's ID."""
        resource_id: str = self.resource.id
        return resource_id

    def described(self) -> dict[str, Any]:
        """As ListImagesInRecycleBin and ListSnapshotsInRecycleBin answer it."""
        own = (
            {"ImageId": self.id, "Name": self.resource.name}
            if isinstance(self.resource, Ami)
            else {"SnapshotId": self.id, "VolumeId": self.resource.volume_id}
        )
        return {
            **own,
            "Description": self.resource.description,
            "RecycleBinEnterTime": datetime.fromtimestamp(self.entered, UTC),
            "RecycleBinExitTime": datetime.fromtimestamp(self.leaves, UTC),
        }


class RecycleBin:
    """The bin and the rules of one account and Region."""

    def __init__(self, ec2: EC2Backend) -> None:
        self.rules: list[Rule] = []
        self._ec2 = ec2
        self._kept: list[Kept] = []

    def receive(self, resource_type: str, resource: Ami | Snapshot, now: float) -> None:
        """Keep what is removed, if a rule says so, for the longest time that one says."""
        if isinstance(resource, Ami) and resource.root_device_type == "instance-store":
            return
        tags = dict(self._ec2.tags.get(resource.id, {}))
        days = [rule.days for rule in self.rules if rule.keeps(resource_type, tags)]
        if days:
            self._kept.append(Kept(resource_type, resource, now, now + max(days) * _DAY))

    def listed(self, resource_type: str, entered_by: float, now: float) -> list[Kept]:
        """What is in the bin now and was put there by a moment."""
        self._kept = [each for each in self._kept if now < each.leaves]
        kept_of_type = [each for each in self._kept if each.resource_type == resource_type]
        return [each for each in kept_of_type if each.entered <= entered_by]

    @paginate(pagination_model=_PAGES)
    def page(self, listed: list[Kept]) -> list[Kept]:
        """What is listed; moto cuts the page out."""
        return listed


@dataclass(frozen=True, slots=True)
class Listing:
    """A call that lists what is in the bin. missing: the error for IDs that are not."""

    method: str
    resource_type: str
    noun: str
    missing: Callable[[list[str]], EC2ClientError]


def of(account_id: str, region: str) -> RecycleBin:
    """The bin of an account and Region."""
    return _of_backend(ec2_backends[account_id][region])


def install(clock: Clock, delay: float) -> ExitStack:
    """Put the bin into moto's EC2, until the result is closed.

    Args:
        clock: epoch seconds.
        delay: seconds until what is put into the bin is listed.
    """
    installed = ExitStack()
    removals: tuple[tuple[type, str, str, Resources], ...] = (
        (AmiBackend, "deregister_image", IMAGE, lambda ec2: ec2.amis),
        (EBSBackend, "delete_snapshot", SNAPSHOT, lambda ec2: ec2.snapshots),
    )
    for owner, name, resource_type, resources in removals:
        remove = _keeping(getattr(owner, name), resource_type, resources, clock)
        installed.enter_context(patch.object(owner, name, remove))
    listings: tuple[tuple[type, Listing], ...] = (
        (AmisResponse, Listing("list_images_in_recycle_bin", IMAGE, "Image", InvalidAMIIdError)),
        (
            ElasticBlockStore,
            Listing(
                "list_snapshots_in_recycle_bin",
                SNAPSHOT,
                "Snapshot",
                lambda _: InvalidSnapshotIdError(),
            ),
        ),
    )
    for owner, listing in listings:
        answer = _answering(listing, clock, delay)
        installed.enter_context(patch.object(owner, listing.method, answer, create=True))
    return installed


def _of_backend(ec2: EC2Backend) -> RecycleBin:
    return kept.of(ec2, RecycleBin, lambda: RecycleBin(ec2))


def _keeping(remove: Remove, resource_type: str, resources: Resources, clock: Clock) -> Remove:
    def removed(ec2: EC2Backend, resource_id: str) -> Any:
        resource = resources(ec2).get(resource_id)
        result = remove(ec2, resource_id)
        if resource is not None:
            _of_backend(ec2).receive(resource_type, resource, clock())
        return result

    return removed


def _answering(listing: Listing, clock: Clock, delay: float) -> Callable[[Any], ActionResult]:
    def answer(response: EC2BaseResponse) -> ActionResult:
        response.error_on_dryrun()
        recycle_bin = of(response.current_account, response.region)
        found = recycle_bin.listed(
            listing.resource_type, described_at(response, clock, delay), clock()
        )
        asked = response._get_param(f"{listing.noun}Ids", [])
        missing = {*asked} - {each.id for each in found}
        if missing:
            raise listing.missing([*missing])
        page, next_token = recycle_bin.page(
            [each for each in found if not asked or each.id in asked],
            max_results=response._get_param("MaxResults"),
            next_token=response._get_param("NextToken"),
        )
        described = [each.described() for each in page]
        return ActionResult({f"{listing.noun}s": described, "NextToken": next_token})

    return answer
