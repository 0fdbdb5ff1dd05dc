"""Requests of CloudFormation's, from an ordinary one to the largest that this application takes."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

from instance_bundle.request import upload_policy
from sandbox.clients import CREDENTIALS

Event = dict[str, Any]

FORM = 20_480
"""Bytes of the form that an upload policy is sent in, without the object
(https://docs.aws.amazon.com/AmazonS3/latest/developerguide/HTTPPOSTForms.html)."""

_OTHER_FIELDS = 2_480
"""Bytes left for them in that form: the key alone has up to 1,024."""

_URL = 560
"""Characters of a ResponseURL that was seen; the signed query is the most of it."""


def create(
    response_origin: str, properties: Event, logical_id: str = "Bundle", stack: str = "web"
) -> Event:
    """A Create, sent once.

    Args:
        response_origin: a sandbox's endpoint, which takes the answer.
        properties: ResourceProperties.
        logical_id: the resource's, 255 characters at most.
        stack: the stack's name, 128 characters at most.
    """
    request_id = str(uuid.uuid4())
    url = f"{response_origin}/sandbox/responses/{request_id}?X-Amz-Signature="
    return {
        "RequestType": "Create",
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:cfn-instance-bundle",
        "ResponseURL": url.ljust(_URL, "0"),
        "StackId": f"arn:aws:cloudformation:us-east-1:123456789012:stack/{stack}/{uuid.uuid4()}",
        "RequestId": request_id,
        "LogicalResourceId": logical_id,
        "ResourceType": "Custom::InstanceBundle",
        "ResourceProperties": properties,
    }


def ordinary(instance_id: str, bucket: str) -> Event:
    """Properties with nothing in them but what they must have."""
    return {"InstanceId": instance_id, "Storage": {"S3": {"Bucket": bucket}}}


def largest(instance_id: str, bucket: str, distinction: str) -> Event:
    """Properties as large as they may be, signed by the sandbox's access key.

    Args:
        instance_id: the instance.
        bucket: the bucket.
        distinction: what the prefix begins with, and the AMI's name.
    """
    prefix = distinction.ljust(900, "p")
    document = upload_policy.make(bucket, prefix, time.time() + 24 * 3600)
    document = document.ljust((FORM - _OTHER_FIELDS) // 4 * 3)
    return {
        "InstanceId": instance_id,
        "Storage": {
            "S3": {
                "Bucket": bucket,
                "Prefix": prefix,
                "AWSAccessKeyId": CREDENTIALS["AWS_ACCESS_KEY_ID"],
                "UploadPolicy": base64.b64encode(document).decode(),
                "UploadPolicySignature": upload_policy.sign(
                    document, CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
                ),
            }
        },
        "Image": {
            "Name": distinction.ljust(128, "n"),
            "Description": "d" * 255,
            "Architecture": "x86_64",
            "Tags": [
                {"Key": str(number).ljust(127, "k"), "Value": "v" * 256} for number in range(9)
            ],
        },
        "OnDelete": "Retain",
        "ServiceTimeout": "3600",
    }


def largest_update(response_origin: str, instance_id: str, bucket: str, distinction: str) -> Event:
    """An Update from one set of the largest properties to another, by which a bundle is made."""
    return {
        **create(
            response_origin,
            largest(instance_id, bucket, distinction),
            logical_id="B" * 255,
            stack="s" * 128,
        ),
        "RequestType": "Update",
        "PhysicalResourceId": "bun-0c1d2e3f4a5b6c7d8",
        "OldResourceProperties": largest(instance_id, bucket, f"old-{distinction}"),
    }
