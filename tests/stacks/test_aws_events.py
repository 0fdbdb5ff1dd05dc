"""Whole stacks whose polls events of EC2's and S3's make come at once."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from .support import Aws, created, side_by_side

Template = Callable[..., dict[str, Any]]

POLLING = "Polling: AWS has sent an event"
LONG = ("12", "13", "14")
"""Seconds that work takes. An event that comes when a poll is due or at work makes no other."""


def test_events_make_polls_come_at_once(aws: Aws, template: Template) -> None:
    send_events(aws)
    stack_ids: dict[str, list[str]] = {"BundleInstance": [], "StoreImage": []}

    def bundle(seconds: str) -> None:
        body = template(aws.instance(seconds=seconds), f"announced/{seconds}")
        stack_ids["BundleInstance"].append(created(aws, body)[0])

    def stored_image(seconds: str) -> None:
        instance = aws.ebs_instance(image_seconds=seconds, store_seconds=seconds)
        body = template(instance, Method="StoreImage")
        stack_ids["StoreImage"].append(created(aws, body)[0])

    side_by_side(*(partial(story, each) for story in (bundle, stored_image) for each in LONG))

    hinted = of_events(aws)
    assert [method for method, ids in stack_ids.items() if hinted.isdisjoint(ids)] == []


def send_events(aws: Aws) -> None:
    """Switch EventBridge on for the bucket, as the README says: get, add, put."""
    s3, bucket = aws.clients.s3, aws.ready["bucket"]
    found: Any = s3.get_bucket_notification_configuration(Bucket=bucket)
    found.pop("ResponseMetadata")
    found["EventBridgeConfiguration"] = {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=found)


def of_events(aws: Aws) -> set[str]:
    """The stacks that were polled at once for an event."""
    logs = aws.clients.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=aws.ready["log_group"])
    lines = [
        json.loads(event["message"])
        for page in pages
        for event in page["events"]
        if event["message"].startswith("{")
    ]
    return {line["stack_id"] for line in lines if line.get("message") == POLLING}
