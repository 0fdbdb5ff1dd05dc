"""The classic method against an EC2 that keeps EC2's rules."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from instance_bundle import aws, upload_policy
from instance_bundle.bundle_instance import BundleInstance
from instance_bundle.errors import Denied, NotAllowed, NotDeletable, PassingFault, Throttled
from instance_bundle.limits import Limits, Tag
from instance_bundle.method import Made, Method, Task, Work
from instance_bundle.properties import Image, Location, Properties, Target
from sandbox.ec2 import api as ec2
from sandbox.ec2 import bundle_tasks

from .conftest import Clock

HERE = Location("images", "web")
START, LATER = 1_800_000_000.0, 1_800_003_600.0
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's example


@pytest.fixture
def instance(clock: Clock, request: pytest.FixtureRequest) -> Iterator[str]:
    with ec2.install(clock):
        request.getfixturevalue("cloud")
        aws.s3().create_bucket(Bucket="images")
        yield ec2.run_windows_instance_store(aws.ec2())


@pytest.fixture
def method() -> Method:
    return BundleInstance(Limits())


def work(instance: str, location: Location = HERE, **properties: Any) -> Work:
    asked = Properties(
        method="BundleInstance",
        instance_id=instance,
        bucket=location.bucket,
        prefix=location.prefix,
        upload_policy=None,
        upload_credentials=None,
        image=Image(),
        dry_run=False,
    )
    return Work(replace(asked, **properties), target(instance, location), START, LATER)


def target(instance: str, location: Location = HERE) -> Target:
    return Target("BundleInstance", "r1", instance, location)


def start(method: Method, instance: str, location: Location = HERE) -> Task:
    return method.start(work(instance, location))


def test_a_task_is_started_seen_and_found(method: Method, instance: str, clock: Clock) -> None:
    task = start(method, instance)

    assert task.phase == "running"
    assert method.describe([task.id]) == {task.id: task}
    assert method.find(target(instance, HERE), clock()) == task


def test_a_task_that_is_not_listed_is_left_out(method: Method, instance: str) -> None:
    assert method.describe(["bun-00000000000000000"]) == {}
    assert method.describe([]) == {}


def test_more_tasks_than_a_filter_takes_are_seen(
    method: Method, instance: str, clock: Clock
) -> None:
    task = start(method, instance)

    assert set(method.describe([task.id, *(f"bun-{n:017}" for n in range(450))])) == {task.id}


@pytest.mark.parametrize("location", [Location("images", "web2"), Location("others", "web")])
def test_a_task_elsewhere_is_not_ours(
    method: Method, instance: str, clock: Clock, location: Location
) -> None:
    start(method, instance)

    assert method.find(target(instance, location), clock()) is None


def test_a_task_from_before_the_request_is_not_ours(
    method: Method, instance: str, clock: Clock
) -> None:
    start(method, instance)

    assert method.find(target(instance, HERE), clock() + 60) is None


def test_an_instance_that_is_busy_with_our_own_task_is_no_refusal(
    method: Method, instance: str, clock: Clock
) -> None:
    first = start(method, instance)

    assert start(method, instance).id == first.id


def test_an_instance_that_is_busy_with_anothers_task_is_a_refusal(
    method: Method, instance: str, clock: Clock
) -> None:
    start(method, instance, Location("images", "other"))

    with pytest.raises(Denied, match="one bundle task at a time"):
        start(method, instance)


def test_a_rehearsal_starts_nothing(method: Method, instance: str) -> None:
    method.rehearse(work(instance))

    assert [request["DryRun"] for request in bundle_tasks.requests_received()] == [True]


def test_a_rehearsal_that_ec2_refuses_is_refused(method: Method, instance: str) -> None:
    with pytest.raises(Denied, match=r"InvalidInstanceID\.NotFound"):
        method.rehearse(work("i-0123456789abcdef0"))


def test_only_an_instance_with_the_tag_is_bundled(instance: str, clock: Clock) -> None:
    method = BundleInstance(Limits(instance_tag=Tag("bundle", "yes")))
    for value in ("", "no"):
        aws.ec2().create_tags(Resources=[instance], Tags=[{"Key": "bundle", "Value": value}])
        with pytest.raises(NotAllowed, match=f"{instance} does not carry the tag bundle=yes"):
            start(method, instance)
        with pytest.raises(NotAllowed):
            method.rehearse(work(instance))
    assert bundle_tasks.requests_received() == []

    aws.ec2().create_tags(Resources=[instance], Tags=[{"Key": "bundle", "Value": "yes"}])

    assert start(method, instance).phase == "running"


def test_an_instance_that_is_not_there_is_told_before_its_tag(clock: Clock, instance: str) -> None:
    method = BundleInstance(Limits(instance_tag=Tag("bundle", "yes")))

    with pytest.raises(Denied, match="there is no such instance"):
        start(method, "i-0123456789abcdef0")


def test_credentials_sign_a_policy_that_lasts_beyond_the_deadline(
    instance: str, clock: Clock
) -> None:
    key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": EXAMPLE_SECRET}
    arn = aws.secretsmanager().create_secret(Name="bundles", SecretString=json.dumps(key))["ARN"]
    BundleInstance(Limits()).start(work(instance, upload_credentials=arn))

    [request] = bundle_tasks.requests_received()
    s3 = request["Storage"]["S3"]
    policy = s3["UploadPolicy"].encode()
    assert s3["AWSAccessKeyId"] == "AKIAIOSFODNN7EXAMPLE"
    assert s3["UploadPolicySignature"] == upload_policy.sign(policy, EXAMPLE_SECRET)
    assert list(upload_policy.problems(policy, "images", "web", LATER + 12 * 3600 - 1)) == []
    assert EXAMPLE_SECRET not in json.dumps(request)


def test_a_secret_that_can_not_be_read_starts_nothing(instance: str, clock: Clock) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AbCdEf"
    with pytest.raises(Denied, match="secretsmanager:GetSecretValue was refused"):
        BundleInstance(Limits()).start(work(instance, upload_credentials=arn))

    assert bundle_tasks.requests_received() == []


def test_leftovers_stay_where_nothing_may_be_deleted(instance: str, clock: Clock) -> None:
    aws.s3().put_object(Bucket="images", Key="web.part.0", Body=b"left")
    task = Task("bun-1", "failed", "failed", "", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z")

    BundleInstance(Limits(deletes_objects=False)).remove_leftovers(target(instance), task)
    assert aws.s3().list_objects_v2(Bucket="images")["KeyCount"] == 1

    BundleInstance(Limits()).remove_leftovers(target(instance), task)
    assert aws.s3().list_objects_v2(Bucket="images")["KeyCount"] == 0


def test_a_bundle_stays_where_nothing_may_be_deleted(instance: str) -> None:
    with pytest.raises(NotDeletable, match="the application's parameter AllowObjectDeletion"):
        BundleInstance(Limits(deletes_objects=False)).remove(Made("bun-1", "r1", HERE, "seal"))


def test_a_task_is_cancelled_once_and_an_ended_one_not_at_all(
    method: Method, instance: str, clock: Clock
) -> None:
    task = start(method, instance)

    method.cancel(task.id)
    method.cancel(task.id)
    clock.now += 1
    method.cancel(task.id)

    ended = method.describe([task.id])[task.id]
    assert (ended.phase, ended.error_code) == ("failed", "Client.Cancelled")
    method.cancel("bun-00000000000000000")


def test_a_bundle_is_stored_once_its_manifest_is_there(
    method: Method, instance: str, clock: Clock
) -> None:
    task = start(method, instance)
    clock.now += 8
    method.describe([task.id])
    assert not method.is_taken(HERE)

    clock.now += 2
    complete = method.describe([task.id])[task.id]
    assert (complete.phase, complete.progress) == ("complete", "100%")
    assert method.is_taken(HERE)


def test_a_bucket_that_is_not_there_stores_nothing(method: Method, instance: str) -> None:
    assert not method.is_taken(Location("nobodys-bucket", "web"))


def error(code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "No."},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "r",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        "BundleInstance",
    )


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (error("RequestLimitExceeded", 503), Throttled),
        (error("Throttling", 400), Throttled),
        (error("InternalError", 500), PassingFault),
        (error("Unavailable", 503), PassingFault),
        (ConnectTimeoutError(endpoint_url="https://ec2"), PassingFault),
        (ReadTimeoutError(endpoint_url="https://ec2"), PassingFault),
        (error("UnauthorizedOperation", 403), Denied),
    ],
)
def test_what_an_error_of_ec2_means(
    method: Method, monkeypatch: pytest.MonkeyPatch, fault: Exception, meaning: type[Exception]
) -> None:
    def fail(*args: Any) -> None:
        raise fault

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)

    with pytest.raises(meaning) as raised:
        method.describe(["bun-1"])

    assert type(raised.value) is meaning


def test_a_manifest_that_may_not_be_seen_is_a_refusal_that_names_the_action(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*args: Any) -> None:
        raise error("403", 403)

    monkeypatch.setattr(BaseClient, "_make_api_call", forbid)

    with pytest.raises(Denied, match="Allow s3:GetObject in the role"):
        method.is_taken(HERE)


def test_the_sdk_does_not_repeat_a_call_that_starts_work(
    method: Method, instance: str, clock: Clock
) -> None:
    sent: list[str] = []

    def cut_off(request: AWSPreparedRequest, **_: Any) -> None:
        sent.append(request.method)
        raise ConnectTimeoutError(endpoint_url=request.url)

    events = aws.ec2_once().meta.events
    events.register_first("before-send.ec2.BundleInstance", cut_off)
    try:
        with pytest.raises(PassingFault):
            start(method, instance)
    finally:
        events.unregister("before-send.ec2.BundleInstance", cut_off)

    assert sent == ["POST"]
