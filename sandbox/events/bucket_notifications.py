"""Buckets that send their events to EventBridge, by the API and in templates.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html

moto keeps the setting, and leaves it out of GetBucketNotificationConfiguration and of templates.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response


@contextmanager
def served() -> Iterator[None]:
    """Have moto answer the setting, and take it from templates."""
    with ExitStack() as patches:
        get = _answering(S3Response.get_bucket_notification)
        patches.enter_context(patch.object(S3Response, "get_bucket_notification", get))
        for name in ("create_from_cloudformation_json", "update_from_cloudformation_json"):
            make = _configuring(vars(FakeBucket)[name].__func__)
            patches.enter_context(patch.object(FakeBucket, name, classmethod(make)))
        yield


def sends_events(bucket: FakeBucket) -> bool:
    """Whether the bucket's notification configuration has EventBridge."""
    configuration = bucket.notification_configuration
    return configuration is not None and configuration.event_bridge is not None


def _answering(get: Callable[[S3Response], Any]) -> Callable[[S3Response], Any]:
    @functools.wraps(get)
    def answer(response: S3Response) -> Any:
        serialized = response.serialized

        def with_events(result: ActionResult) -> Any:
            members: Any = result.result
            return serialized(ActionResult({**members, "EventBridgeConfiguration": {}}))

        if not sends_events(response.backend.get_bucket(response.bucket_name)):
            return get(response)
        with patch.object(response, "serialized", with_events):
            return get(response)

    return answer


def _configuring(make: Callable[..., FakeBucket]) -> Callable[..., FakeBucket]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-eventbridgeconfiguration.html"""

    signature = inspect.signature(make)

    @functools.wraps(make)
    def configured(cls: type[FakeBucket], *args: Any, **kwargs: Any) -> FakeBucket:
        bucket = make(cls, *args, **kwargs)
        template = signature.bind(cls, *args, **kwargs).arguments["cloudformation_json"]
        wanted = template.get("Properties", {}).get("NotificationConfiguration", {})
        enabled = str(wanted.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"))
        if enabled.lower() == "true":
            bucket.set_notification_configuration({"EventBridgeConfiguration": {}})
        elif sends_events(bucket):
            bucket.set_notification_configuration(None)
        return bucket

    return configured
