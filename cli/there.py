"""What there is in EC2 and S3 of what requests have made.

Only names, sizes and tags are read: no object's content, and no snapshot's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import calling
from cli.installation import Account
from instance_bundle.state import inspection

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

_FILTER_VALUES = 200
"""Values that one filter of an EC2 Describe call takes (EC2 API Reference, Filter)."""
_GIB = 2**30

Kind = Literal["AMI", "snapshot", "objects"]


@dataclass(frozen=True, slots=True)
class Found:
    """An AMI, a snapshot, or the objects of a bundle, as AWS describes them.

    Attributes:
        kind: which of them.
        id: its ID, or the S3 URI.
        made: which request made it; None if it does not have the tags of this application.
        bytes: that are stored, at most of a snapshot; None if that is not known, or of an AMI,
            which is its snapshots or its bundle.
        storage_class: S3's, or EC2's storage tier; empty of an AMI.
    """

    kind: Kind
    id: str
    made: inspection.Made | None = None
    bytes: int | None = None
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Objects of which AWS does not say whether they are there.

    Attributes:
        id: the S3 URI.
        why: a sentence.
    """

    id: str
    why: str


def tagged(account: Account, tag: str, values: Iterable[str] = ()) -> Sequence[Found]:
    """The account's AMIs and snapshots that have a tag, with one of these values if some are given.

    Raises:
        Refused: EC2 refuses to describe them.
    """
    if values:
        return _found(account, f"tag:{tag}", values)
    return _found(account, "tag-key", [tag])


def named(
    account: Account, image_ids: Iterable[str], snapshot_ids: Iterable[str]
) -> Sequence[Found]:
    """The account's AMIs and snapshots with these IDs; those that are gone are left out.

    Raises:
        Refused: EC2 refuses to describe them.
    """
    return [
        *_images(account, "image-id", image_ids),
        *_snapshots(account, "snapshot-id", snapshot_ids),
    ]


def _found(account: Account, name: str, values: Iterable[str]) -> Sequence[Found]:
    wanted = list(values)
    return [*_images(account, name, wanted), *_snapshots(account, name, wanted)]


def _images(account: Account, name: str, values: Iterable[str]) -> Iterator[Found]:
    """AMIs that a filter lets through, disabled ones too."""
    pages = account.ec2().get_paginator("describe_images")
    for some in _filters(name, values):
        with calling("ec2:DescribeImages"):
            for page in pages.paginate(Owners=["self"], Filters=some, IncludeDisabled=True):
                for image in page["Images"]:
                    yield Found("AMI", image["ImageId"], _made(image))


def _snapshots(account: Account, name: str, values: Iterable[str]) -> Iterator[Found]:
    pages = account.ec2().get_paginator("describe_snapshots")
    for some in _filters(name, values):
        with calling("ec2:DescribeSnapshots"):
            for page in pages.paginate(OwnerIds=["self"], Filters=some):
                for snapshot in page["Snapshots"]:
                    # The size "of all the blocks that were written to the source volume", and not
                    # what this snapshot adds to earlier ones (EC2 API Reference, Snapshot).
                    full = snapshot.get("FullSnapshotSizeInBytes")
                    size = snapshot["VolumeSize"] * _GIB if full is None else full
                    tier = snapshot.get("StorageTier", "standard")
                    yield Found("snapshot", snapshot["SnapshotId"], _made(snapshot), size, tier)


def _filters(name: str, values: Iterable[str]) -> "Iterator[list[FilterTypeDef]]":
    wanted = list(values)
    for begin in range(0, len(wanted), _FILTER_VALUES):
        yield [{"Name": name, "Values": wanted[begin : begin + _FILTER_VALUES]}]


def _made(resource: Mapping[str, Any]) -> inspection.Made | None:
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in resource.get("Tags", [])}
    return inspection.made(tags)


@dataclass(slots=True)
class Buckets:
    """The objects of bundles, in buckets that are each asked for once.

    Attributes:
        account: where they are.
    """

    account: Account
    _denials: dict[str, str] = field(default_factory=dict)

    def objects(self, s3_uri: str, *, is_object: bool) -> Found | Unreadable | None:
        """The objects of a bundle; None if there are none.

        They are listed, which shows sizes, and needs no permission to read them. Of a bucket with
        versions, the current ones are listed.

        Args:
            s3_uri: where the bundle is.
            is_object: it is the object with this URI, and not a manifest with parts.
        """
        at = inspection.location(s3_uri)
        bucket, key = at.bucket, at.prefix
        denial = self._denial(bucket)
        if denial == _MISSING:
            return None
        if denial:
            return Unreadable(s3_uri, denial)
        try:
            pages = self.account.s3().get_paginator("list_objects_v2")
            begin = key if is_object else f"{key}."
            listed = [
                each
                for page in pages.paginate(Bucket=bucket, Prefix=begin)
                for each in page.get("Contents", [])
                if each["Key"] == (key if is_object else at.manifest_key)
                or (not is_object and at.is_part(each["Key"]))
            ]
        except (BotoCoreError, ClientError) as error:
            return Unreadable(s3_uri, f"s3:ListObjectsV2: {_said(error)}")
        if not listed:
            return None
        classes = sorted({each.get("StorageClass", "STANDARD") for each in listed})
        size = sum(each["Size"] for each in listed)
        return Found("objects", s3_uri, bytes=size, storage_class=" ".join(classes))

    def _denial(self, bucket: str) -> str:
        """Why a bucket can't be listed; `_MISSING` if it does not exist."""
        if bucket not in self._denials:
            self._denials[bucket] = self._read_denial(bucket)
        return self._denials[bucket]

    def _read_denial(self, bucket: str) -> str:
        s3 = self.account.s3()
        try:
            region = s3.head_bucket(Bucket=bucket)["BucketRegion"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return _MISSING
            return f"s3:HeadBucket: {bucket}: {_said(error)}"
        except BotoCoreError as error:
            return f"s3:HeadBucket: {bucket}: {_said(error)}"
        if region != s3.meta.region_name:
            # EC2 writes to buckets of the instance's Region only, so this is another one.
            return f"the bucket {bucket} is in {region}, and bundles are in {s3.meta.region_name}"
        return ""


_MISSING = "there is no such bucket"


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return f"{said['Code']}: {said['Message']}"
    return str(error)
