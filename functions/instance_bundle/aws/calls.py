"""The AWS calls that this application makes: what each is for, which action allows it, and which
are not made while the application is paused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from instance_bundle.errors import Paused, Refused
from instance_bundle.settings import identity, is_paused


class Purpose(Enum):
    """What a call is for; this decides what a refusal of it means."""

    START = "starts work"
    GO_ON = "continues work of which a part is done already"
    READ = "reads"
    REPAIR = "repairs what exists"
    REMOVE = "removes or ends what exists"
    SAVE = "saves progress"
    PUBLISH = "publishes an event"


@dataclass(frozen=True, slots=True)
class Call:
    """A call.

    Attributes:
        purpose: what it is for.
        action: the IAM action that allows it; empty if it has the same name as the call (Service
            Authorization Reference).
    """

    purpose: Purpose
    action: str = ""


CALLS: Mapping[str, Call] = {
    "ec2:BundleInstance": Call(Purpose.START),
    "ec2:CreateImage": Call(Purpose.START),
    "ec2:CreateStoreImageTask": Call(Purpose.GO_ON),
    "ec2:RegisterImage": Call(Purpose.GO_ON),
    "cloudformation:DescribeStackEvents": Call(Purpose.READ),
    "cloudformation:DescribeStackResource": Call(Purpose.READ),
    "cloudformation:DescribeStacks": Call(Purpose.READ),
    "ec2:DescribeBundleTasks": Call(Purpose.READ),
    "ec2:DescribeImages": Call(Purpose.READ),
    "ec2:DescribeInstances": Call(Purpose.READ),
    "ec2:DescribeLockedSnapshots": Call(Purpose.READ),
    "ec2:DescribeSnapshots": Call(Purpose.READ),
    "ec2:DescribeStoreImageTasks": Call(Purpose.READ),
    "ec2:DescribeVolumes": Call(Purpose.READ),
    "ec2:ListImagesInRecycleBin": Call(Purpose.READ),
    "ec2:ListSnapshotsInRecycleBin": Call(Purpose.READ),
    "s3:GetObject": Call(Purpose.READ),
    "s3:GetObjectRetention": Call(Purpose.READ),
    "s3:HeadBucket": Call(Purpose.READ, "s3:ListBucket"),
    "s3:HeadObject": Call(Purpose.READ, "s3:GetObject"),
    "s3:ListObjectVersions": Call(Purpose.READ, "s3:ListBucketVersions"),
    "s3:ListObjectsV2": Call(Purpose.READ, "s3:ListBucket"),
    "secretsmanager:GetSecretValue": Call(Purpose.READ),
    "ec2:CreateTags": Call(Purpose.REPAIR),
    "ec2:DeleteTags": Call(Purpose.REPAIR),
    "ec2:ModifyImageAttribute": Call(Purpose.REPAIR),
    "ec2:CancelBundleTask": Call(Purpose.REMOVE),
    "ec2:DeleteSnapshot": Call(Purpose.REMOVE),
    "ec2:DeregisterImage": Call(Purpose.REMOVE),
    "s3:DeleteObjects": Call(Purpose.REMOVE, "s3:DeleteObject"),
    "dynamodb:DeleteItem": Call(Purpose.SAVE),
    "dynamodb:PutItem": Call(Purpose.SAVE),
    "dynamodb:Query": Call(Purpose.SAVE),
    "dynamodb:UpdateItem": Call(Purpose.SAVE),
    "sqs:DeleteMessageBatch": Call(Purpose.SAVE, "sqs:DeleteMessage"),
    "sqs:ReceiveMessage": Call(Purpose.SAVE),
    "sqs:SendMessage": Call(Purpose.SAVE),
    "sqs:SendMessageBatch": Call(Purpose.SAVE, "sqs:SendMessage"),
    "events:PutEvents": Call(Purpose.PUBLISH),
}


_CHANGES = {Purpose.START, Purpose.GO_ON, Purpose.REMOVE}
_ENDS_WORK = "ec2:CancelBundleTask"
"""A cancelled bundle task makes nothing more, and its cancel removes nothing."""


def require_unpaused(call: str) -> None:
    """Check that a call may be made now: while the application is paused, it starts and continues
    no work, and removes nothing.

    Raises:
        Refused: the application is paused; it may not be later.
    """
    if is_paused() and CALLS[call].purpose in _CHANGES and call != _ENDS_WORK:
        raise Refused(Paused(identity().installation))


def action_of(call: str) -> str:
    """The IAM action that allows a call."""
    return CALLS[call].action or call
