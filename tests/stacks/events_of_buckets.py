"""Buckets that send their events to EventBridge."""

import uuid
from typing import Any

from .support import Aws


def announcing(aws: Aws) -> str:
    """A new bucket that sends events."""
    bucket = f"announced-{uuid.uuid4().hex[:12]}"
    aws.clients.s3.create_bucket(Bucket=bucket)
    send_events(aws, bucket)
    return bucket


def send_events(aws: Aws, bucket: str) -> None:
    """Switch EventBridge on for a bucket, as docs/events.md says: get, add, put."""
    s3 = aws.clients.s3
    found: Any = s3.get_bucket_notification_configuration(Bucket=bucket)
    found.pop("ResponseMetadata")
    found["EventBridgeConfiguration"] = {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=found)
