"""What AWS answers, and what its errors mean.

This room guarantees that no call outlasts its invocation, that an unreadable answer is an error,
and that each error is an exception of `instance_bundle.errors` that says whether the call may have
had its effect.

Example:
    with aws.calling("ec2:DescribeImages"):
        images = aws.ec2().describe_images(Owners=["self"])["Images"]
"""

from instance_bundle.aws import (
    access_key,
    bucket,
    bundle_objects,
    image_changes,
    image_removal,
    images,
    instance,
    object_locks,
    objects,
    stacks,
)
from instance_bundle.aws.chunks import in_chunks
from instance_bundle.aws.clients import (
    FILTER_VALUES,
    calling,
    cloudformation,
    dynamodb,
    ec2,
    ec2_once,
    events,
    s3,
    secretsmanager,
    sqs,
)
from instance_bundle.aws.objects import Written
from instance_bundle.aws.refusals import meaning

__all__ = [
    "FILTER_VALUES",
    "Written",
    "access_key",
    "bucket",
    "bundle_objects",
    "calling",
    "cloudformation",
    "dynamodb",
    "ec2",
    "ec2_once",
    "events",
    "image_changes",
    "image_removal",
    "images",
    "in_chunks",
    "instance",
    "meaning",
    "object_locks",
    "objects",
    "s3",
    "secretsmanager",
    "sqs",
    "stacks",
]
