"""S3's events of objects on the default bus."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import EC2, S3, create_image, known

from .support import SENDS, EventBridge, Queue

ON: Any = {"EventBridgeConfiguration": {}}


@pytest.fixture
def queue(moved: EventBridge) -> Queue:
    """It gets the events of the bucket `images`, which sends them."""
    S3.create_bucket(Bucket="images")
    S3.put_bucket_notification_configuration(Bucket="images", NotificationConfiguration=ON)
    return moved.watched({"source": ["aws.s3"], "detail": {"bucket": {"name": ["images"]}}})


def briefly(event: dict[str, Any]) -> tuple[str, str, str, str]:
    detail = event["detail"]
    return event["detail-type"], detail["object"]["key"], detail["reason"], detail["requester"]


def brief(bridge: EventBridge, queue: Queue, count: int) -> set[tuple[str, str, str, str]]:
    return set(map(briefly, bridge.events(queue, count)))


def test_an_object_that_is_put_is_an_event_of_the_guides_form(
    moved: EventBridge, queue: Queue
) -> None:
    S3.put_object(Bucket="images", Key="web/a b", Body=b"hello")

    [event] = moved.events(queue)

    detail = event["detail"]
    assert len(event.pop("id")) == 36
    assert len(detail.pop("request-id")) == 16
    assert int(detail["object"].pop("sequencer"), 16)
    assert event == {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::images"],
        "detail": {
            "version": "0",
            "bucket": {"name": "images"},
            "object": {
                "key": "web/a b",
                "size": 5,
                "etag": hashlib.md5(b"hello", usedforsecurity=False).hexdigest(),
            },
            "requester": "123456789012",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    }


def test_an_event_says_what_created_the_object_and_each_way_is_one_event(
    moved: EventBridge, queue: Queue
) -> None:
    S3.put_object(Bucket="images", Key="one", Body=b"hello", Tagging="a=b")
    S3.copy_object(Bucket="images", Key="two", CopySource="images/one")
    upload = S3.create_multipart_upload(Bucket="images", Key="three")["UploadId"]
    part = S3.upload_part(
        Bucket="images", Key="three", UploadId=upload, PartNumber=1, Body=b"hello"
    )
    S3.complete_multipart_upload(
        Bucket="images",
        Key="three",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )

    assert brief(moved, queue, 3) == {
        ("Object Created", "one", "PutObject", "123456789012"),
        ("Object Created", "two", "CopyObject", "123456789012"),
        ("Object Created", "three", "CompleteMultipartUpload", "123456789012"),
    }


def test_sequencers_show_the_order_of_an_objects_events(moved: EventBridge, queue: Queue) -> None:
    for body in (b"1", b"12", b"123"):
        S3.put_object(Bucket="images", Key="one", Body=body)
    S3.delete_object(Bucket="images", Key="one")

    events = sorted(
        moved.events(queue, 4), key=lambda event: event["detail"]["object"]["sequencer"]
    )

    objects = [event["detail"]["object"] for event in events]
    assert [each.get("size") for each in objects] == [1, 2, 3, None]
    assert len({each["sequencer"] for each in objects}) == 4


def test_an_object_that_is_deleted_is_an_event_and_one_that_is_missing_is_none(
    moved: EventBridge, queue: Queue
) -> None:
    S3.put_object(Bucket="images", Key="one", Body=b"hello")
    moved.events(queue)
    S3.delete_object(Bucket="images", Key="none")
    S3.delete_objects(Bucket="images", Delete={"Objects": [{"Key": "one"}]})

    [event] = moved.events(queue)

    assert briefly(event) == ("Object Deleted", "one", "DeleteObject", "123456789012")
    assert event["detail"]["deletion-type"] == "Permanently Deleted"
    assert "version-id" not in event["detail"]["object"]


def test_events_of_a_bucket_with_versions_name_them(moved: EventBridge, queue: Queue) -> None:
    S3.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
    version = S3.put_object(Bucket="images", Key="one", Body=b"hello")["VersionId"]
    [created] = moved.events(queue)
    marker = S3.delete_object(Bucket="images", Key="one")["VersionId"]
    [marked] = moved.events(queue)
    S3.delete_object(Bucket="images", Key="one", VersionId=version)
    [gone] = moved.events(queue)

    found = [
        (event["detail"].get("deletion-type"), event["detail"]["object"]["version-id"])
        for event in (created, marked, gone)
    ]
    assert found == [
        (None, version),
        ("Delete Marker Created", marker),
        ("Permanently Deleted", version),
    ]


def test_what_ec2_writes_of_a_bundle_is_events_of_ec2(
    moved: EventBridge, queue: Queue, clock: Clock
) -> None:
    instance = ec2.run_windows_instance_store(EC2)
    EC2.bundle_instance(InstanceId=instance, Storage={"S3": {"Bucket": "images", "Prefix": "web"}})
    clock.advance(10)
    ec2.advance_all()

    written = ["web.part.0", "web.part.1", "web.part.2", "web.manifest.xml"]
    assert brief(moved, queue, 4) == {
        ("Object Created", key, "PutObject", "ec2.amazonaws.com") for key in written
    }


def test_an_image_that_ec2_stores_is_an_event_of_ec2(
    moved: EventBridge, queue: Queue, clock: Clock
) -> None:
    image = create_image(ec2.run_ebs_instance(EC2))
    clock.advance(2)
    EC2.create_store_image_task(ImageId=known(clock, image), Bucket="images")
    clock.advance(2)
    ec2.advance_all()

    assert brief(moved, queue, 1) == {
        ("Object Created", f"{image}.bin", "CompleteMultipartUpload", "ec2.amazonaws.com")
    }


def test_a_bucket_sends_events_from_when_it_is_asked_until_its_configuration_is_replaced(
    moved: EventBridge,
) -> None:
    topic = moved.client("sns").create_topic(Name="images")["TopicArn"]
    topics: Any = {
        "TopicConfigurations": [{"Id": "one", "TopicArn": topic, "Events": ["s3:ObjectRemoved:*"]}]
    }
    S3.create_bucket(Bucket="images")
    queue = moved.watched({"source": ["aws.s3"]})

    def configuration() -> dict[str, Any]:
        answer: Any = S3.get_bucket_notification_configuration(Bucket="images")
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def put(key: str, notifications: Any) -> None:
        S3.put_bucket_notification_configuration(
            Bucket="images", NotificationConfiguration=notifications
        )
        S3.put_object(Bucket="images", Key=key)

    S3.put_object(Bucket="images", Key="before")
    put("both", {**topics, **ON})
    assert set(configuration()) == {"TopicConfigurations", "EventBridgeConfiguration"}
    put("topics", topics)
    assert set(configuration()) == {"TopicConfigurations"}
    put("none", {})
    assert configuration() == {}
    put("on", ON)
    assert configuration() == ON

    assert {event[1] for event in brief(moved, queue, 2)} == {"both", "on"}


def test_the_default_bus_gets_the_events_and_no_other(moved: EventBridge, queue: Queue) -> None:
    moved.client("events").create_event_bus(Name="own")
    other = moved.queue()
    moved.rule({"source": ["aws.s3"]}, {"Arn": other.arn}, bus="own", Name="own")

    S3.put_object(Bucket="images", Key="one")

    assert {event[1] for event in brief(moved, queue, 1)} == {"one"}
    assert moved.metric("TriggeredRules", "own", EventBusName="own") == 0


def test_a_rule_hands_events_on_to_another_bus(moved: EventBridge, queue: Queue) -> None:
    bus = moved.client("events").create_event_bus(Name="own")["EventBusArn"]
    moved.rule({"source": ["aws.s3"]}, {"Arn": bus})
    other = moved.queue(SENDS)
    moved.rule({"source": ["aws.s3"]}, {"Arn": other.arn}, bus="own")

    S3.put_object(Bucket="images", Key="one")

    for each in (queue, other):
        assert {event[1] for event in brief(moved, each, 1)} == {"one"}


def test_a_bucket_of_a_template_sends_events_where_its_property_says_so(
    moved: EventBridge,
) -> None:
    queue = moved.watched({"source": ["aws.s3"]})
    stacks = moved.client("cloudformation")

    def template(enabled: bool | None) -> str:
        sends = {"EventBridgeConfiguration": {"EventBridgeEnabled": enabled}}
        properties: dict[str, Any] = {"BucketName": "stored"}
        if enabled is not None:
            properties["NotificationConfiguration"] = sends
        bucket = {"Type": "AWS::S3::Bucket", "Properties": properties}
        return json.dumps({"Resources": {"Bucket": bucket}})

    stacks.create_stack(StackName="buckets", TemplateBody=template(True))
    S3.put_object(Bucket="stored", Key="on")
    stacks.update_stack(StackName="buckets", TemplateBody=template(None))
    S3.put_object(Bucket="stored", Key="off")
    stacks.update_stack(StackName="buckets", TemplateBody=template(True))
    S3.put_object(Bucket="stored", Key="on again")

    assert {event[1] for event in brief(moved, queue, 2)} == {"on", "on again"}


def test_an_account_puts_no_event_of_awss_sources(moved: EventBridge) -> None:
    queue = moved.watched({"source": [{"prefix": ""}]})
    entries = [
        {"Source": source, "DetailType": "Test", "Detail": "{}"}
        for source in ("own.one", "aws.s3", "own.two")
    ]

    answer = moved.client("events").put_events(Entries=entries)

    assert answer["FailedEntryCount"] == 1
    assert [each.get("ErrorCode") for each in answer["Entries"]] == [
        None,
        "NotAuthorizedForSourceException",
        None,
    ]
    assert {event["source"] for event in moved.events(queue, 2)} == {"own.one", "own.two"}
    with pytest.raises(ClientError):
        moved.client("events").put_events(Entries=[entries[0]] * 11)
