"""The classic method against an EC2 that keeps EC2's rules."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from instance_bundle import aws
from instance_bundle.aws import images
from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.errors import (
    Denied,
    Doubtful,
    NameTaken,
    NotAllowed,
    NotDeletable,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refused,
    Throttled,
    Unsuitable,
)
from instance_bundle.methods.bundle_instance import BundleInstance
from instance_bundle.methods.method import Bundle, Method, Task, Work, known
from instance_bundle.request import upload_policy
from instance_bundle.request.properties import Image, Location, Properties, Target
from instance_bundle.settings import Limits, Tag
from sandbox.ec2 import api as ec2
from sandbox.ec2 import bundle_tasks
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import image_of, tags_of

from .test_images import (
    DENIAL,
    FAULT,
    KEY,
    NAME,
    OWN_TAGS,
    TAGGED,
    THROTTLE,
    become,
    cut_after,
    error,
    failing,
    faults,
    hiding,
    is_hidden_by_default,
    is_seen_by_name_alone,
    is_too_young,
    noting_calls,
    own_images,
)

HERE = Location("images", "web")
NEXT = replace(KEY, request_id="r2")
AT = "images/web.manifest.xml"
START, LATER = 1_800_000_000.0, 1_800_003_600.0
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's example


@pytest.fixture
def instance(cloud: None, clock: Clock) -> Iterator[str]:
    # No delay: what the rules are, not when others see what was done. tests/chaos has the delay.
    with ec2.install(clock, delay=0):
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
        image=None,
        dry_run=False,
    )
    return Work(replace(asked, **properties), target(instance, location), KEY, START, LATER)


def target(instance: str, location: Location = HERE) -> Target:
    return Target("BundleInstance", "r1", instance, location)


def start(method: Method, instance: str, location: Location = HERE) -> Task:
    return method.start(work(instance, location))


@pytest.fixture
def calls(instance: str) -> Iterator[list[str]]:
    with noting_calls() as made:
        yield made


@pytest.fixture
def complete(method: Method, instance: str, clock: Clock) -> Task:
    """The task of a bundle that is complete, made for the request `r1`."""
    return finish(method, instance, clock)


def finish(method: Method, instance: str, clock: Clock, location: Location = HERE) -> Task:
    task = start(method, instance, location)
    clock.now += 10
    return described(method, task)


def described(method: Method, task: Task) -> Task:
    found = known(method.describe([task.id])[task.id])
    assert found is not None
    return found


def made(complete: Task) -> Bundle:
    etag = aws.s3().head_object(Bucket="images", Key="web.manifest.xml")["ETag"]
    return Bundle(complete.id, "r1", HERE, etag)


def advance(method: Method, instance: str, complete: Task, image: Image | None) -> Task:
    return method.advance(work(instance, image=image), complete, complete)


def register(name: str, request_id: str | None = None, at: str = AT) -> str:
    """An image that was not registered by the function; its ID."""
    tags = images.tags({"of": "another"} if request_id is None else {REQUEST_TAG: request_id})
    return aws.ec2().register_image(
        Name=name,
        ImageLocation=at,
        TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
    )["ImageId"]


def copied() -> str:
    """Where a copy of the bundle is."""
    aws.s3().create_bucket(Bucket="copies")
    aws.s3().copy_object(
        Bucket="copies",
        Key="web.manifest.xml",
        CopySource={"Bucket": "images", "Key": "web.manifest.xml"},
    )
    return "copies/web.manifest.xml"


@contextmanager
def registering(state: str, why: str = "") -> Iterator[None]:
    """Have images be in a state when they are registered; moto has them available at once."""

    def hold(parsed: Any, **_: Any) -> None:
        become(parsed["ImageId"], state, {"Code": "Code", "Message": why} if why else None)

    events = aws.ec2_once().meta.events
    events.register("after-call.ec2.RegisterImage", hold)
    try:
        yield
    finally:
        events.unregister("after-call.ec2.RegisterImage", hold)


def keys() -> set[str]:
    listed = aws.s3().list_objects_v2(Bucket="images")
    return {item["Key"] for item in listed.get("Contents", [])}


BUNDLE = {"web.manifest.xml", "web.part.0", "web.part.1", "web.part.2"}


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


@pytest.mark.parametrize("fault", [THROTTLE, FAULT, DENIAL])
def test_a_fault_in_taking_up_a_task_may_have_started_it(
    method: Method, instance: str, fault: Exception
) -> None:
    """What may have been started must not be taken for what was not."""
    start(method, instance)

    with failing("DescribeBundleTasks", fault), pytest.raises(PassingFault) as raised:
        start(method, instance)
    assert not isinstance(raised.value, NothingDone)


def test_an_instance_that_is_busy_with_anothers_task_is_a_refusal(
    method: Method, instance: str, clock: Clock
) -> None:
    start(method, instance, Location("images", "other"))

    with pytest.raises(Denied, match="can have one bundle task at a time"):
        start(method, instance)


def test_a_dry_run_starts_nothing(method: Method, instance: str) -> None:
    method.dry_run(work(instance))

    assert [request["DryRun"] for request in bundle_tasks.requests_received()] == [True]


def test_a_dry_run_that_ec2_refuses_is_refused(method: Method, instance: str) -> None:
    with pytest.raises(Doubtful, match=r"InvalidInstanceID\.NotFound"):
        method.dry_run(work("i-0123456789abcdef0"))


def test_only_an_instance_with_the_tag_is_bundled(instance: str, clock: Clock) -> None:
    method = BundleInstance(Limits(instance_tag=Tag("bundle", "yes")))
    for value in ("", "no"):
        aws.ec2().create_tags(Resources=[instance], Tags=[{"Key": "bundle", "Value": value}])
        with pytest.raises(NotAllowed, match=f"{instance} does not have the tag bundle=yes"):
            start(method, instance)
        with pytest.raises(NotAllowed):
            method.dry_run(work(instance))
    assert bundle_tasks.requests_received() == []

    aws.ec2().create_tags(Resources=[instance], Tags=[{"Key": "bundle", "Value": "yes"}])

    assert start(method, instance).phase == "running"


def test_a_missing_instance_is_reported_before_its_tag(clock: Clock, instance: str) -> None:
    method = BundleInstance(Limits(instance_tag=Tag("bundle", "yes")))

    with pytest.raises(Doubtful, match="there is no such instance"):
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
    with pytest.raises(Doubtful, match="secretsmanager:GetSecretValue was refused"):
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
        BundleInstance(Limits(deletes_objects=False)).removable(Bundle("bun-1", "r1", HERE, "etag"))


def test_a_task_is_cancelled_once_and_an_ended_one_not_at_all(
    method: Method, instance: str, clock: Clock
) -> None:
    task = start(method, instance)

    method.cancel(task.id)
    method.cancel(task.id)
    clock.now += 1
    method.cancel(task.id)

    ended = described(method, task)
    assert (ended.phase, ended.error_code) == ("failed", "Client.Cancelled")
    method.cancel("bun-00000000000000000")


def test_a_bundle_is_stored_once_its_manifest_is_there(
    method: Method, instance: str, clock: Clock
) -> None:
    task = start(method, instance)
    clock.now += 8
    method.describe([task.id])
    assert (method.is_taken(HERE), method.has_finished(HERE)) == (True, False)

    clock.now += 2
    complete = described(method, task)
    assert (complete.phase, complete.progress) == ("complete", "100%")
    assert method.has_finished(HERE)


def test_a_bucket_that_is_not_there_stores_nothing(method: Method, instance: str) -> None:
    assert not method.is_taken(Location("nobodys-bucket", "web"))


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (error("RequestLimitExceeded", 503), Throttled),
        (error("Throttling", 400), Throttled),
        (error("InternalError", 500), PassingFault),
        (error("Unavailable", 503), PassingFault),
        (ConnectTimeoutError(endpoint_url="https://ec2"), PassingFault),
        (ReadTimeoutError(endpoint_url="https://ec2"), PassingFault),
        (error("UnauthorizedOperation", 403), Doubtful),
    ],
)
def test_what_an_error_of_ec2_means(
    method: Method, monkeypatch: pytest.MonkeyPatch, fault: Exception, meaning: type[Exception]
) -> None:
    def fail(*args: Any) -> None:
        raise fault

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)

    assert type(method.describe(["bun-1"])["bun-1"]) is meaning


def test_a_manifest_that_may_not_be_seen_is_a_refusal_that_names_the_action(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*args: Any) -> None:
        raise error("403", 403)

    monkeypatch.setattr(BaseClient, "_make_api_call", forbid)

    with pytest.raises(Doubtful, match="Allow s3:GetObject in the role"):
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


# Registering the AMI


def test_no_image_is_registered_where_none_is_asked_for(
    method: Method, instance: str, complete: Task, calls: list[str]
) -> None:
    calls.clear()

    assert advance(method, instance, complete, None) == complete
    assert calls == []


def test_no_image_is_registered_before_the_bundle_is_complete(
    method: Method, instance: str, clock: Clock, calls: list[str]
) -> None:
    task = start(method, instance)
    clock.now += 9
    running = described(method, task)
    assert (running.phase, running.progress) == ("running", "90%")
    calls.clear()

    assert method.advance(work(instance, image=Image()), task, running) == running
    assert calls == []


def test_a_bundle_is_registered_as_it_was_asked_for(
    method: Method, instance: str, complete: Task
) -> None:
    asked = replace(TAGGED, name="web 1", architecture="i386")
    task = advance(method, instance, complete, asked)

    assert own_images() == [task.image_id]
    assert task == replace(complete, image_id=task.image_id)
    image = image_of(task.image_id)
    assert (image["Name"], image["Description"]) == ("web 1", "of the web")
    assert (image["ImageLocation"], image["RootDeviceType"]) == (AT, "instance-store")
    assert (image["Architecture"], image["VirtualizationType"]) == ("i386", "hvm")
    assert tags_of(image) == {**TAGGED.tags, **OWN_TAGS}


def test_an_image_of_which_nothing_is_said_is_what_the_manifest_says(
    method: Method, instance: str, complete: Task
) -> None:
    image = image_of(advance(method, instance, complete, Image()).image_id)

    assert image.get("Description", "") == ""
    assert (image["Architecture"], image["VirtualizationType"]) == ("x86_64", "hvm")
    assert tags_of(image) == OWN_TAGS
    assert image["Name"].startswith("web/r1-")


@pytest.mark.parametrize("image", [Image(), replace(TAGGED, name="web 1", architecture="x86_64")])
def test_a_bundle_that_is_registered_is_not_registered_again(
    method: Method, instance: str, complete: Task, calls: list[str], image: Image
) -> None:
    first = advance(method, instance, complete, image)
    calls.clear()

    assert advance(method, instance, complete, image) == first
    assert method.update_image(made(complete), NEXT, image, image) == first.image_id
    assert set(calls) == {"DescribeImages"}
    assert own_images() == [first.image_id]


@pytest.mark.parametrize("image", [Image(), Image(name="web 1")])
def test_the_sdk_does_not_repeat_the_registration_whose_image_is_found_by_its_tag(
    method: Method, instance: str, complete: Task, image: Image
) -> None:
    with cut_after(aws.ec2_once(), "RegisterImage") as sent, pytest.raises(PassingFault):
        advance(method, instance, complete, image)
    assert len(sent) == 1

    assert [advance(method, instance, complete, image).image_id] == own_images()


@pytest.mark.parametrize("image", [Image(), Image(name="web 1", architecture="x86_64")])
def test_an_image_whose_tags_can_not_be_seen_yet_is_found_by_its_name(
    method: Method, instance: str, complete: Task, calls: list[str], image: Image
) -> None:
    first = advance(method, instance, complete, image)
    calls.clear()

    with hiding(is_seen_by_name_alone), pytest.raises(PassingFault, match="is not visible yet"):
        advance(method, instance, complete, image)
    assert calls == ["DescribeImages", "RegisterImage", "DescribeImages", "DescribeImages"]

    assert advance(method, instance, complete, image) == first
    assert own_images() == [first.image_id]


def test_an_image_that_is_known_by_its_name_alone_is_taken_once_it_can_be_seen(
    method: Method, instance: str, complete: Task
) -> None:
    first = advance(method, instance, complete, Image())
    reads: list[str] = []

    def is_seen_from_the_second_read_on(asked: Any, image: Any) -> bool:
        reads.append(image["ImageId"])
        return len(reads) == 1

    with hiding(is_seen_from_the_second_read_on):
        assert advance(method, instance, complete, Image()) == first
    assert own_images() == [first.image_id]


def test_an_image_that_can_not_be_seen_at_all_yet_is_waited_for(
    method: Method, instance: str, complete: Task
) -> None:
    for words in ("the AMI ami-", "the AMI that has the name web 1 is not"):
        with hiding(is_too_young), pytest.raises(PassingFault, match=words):
            advance(method, instance, complete, Image(name="web 1"))

    assert [advance(method, instance, complete, Image(name="web 1")).image_id] == own_images()


@pytest.mark.parametrize("request_id", [None, "r2"])
def test_a_name_that_another_image_has_is_reported_with_the_bundles_location(
    method: Method, instance: str, complete: Task, request_id: str | None
) -> None:
    other = register("web 1", request_id)

    with pytest.raises(NotRegistered) as raised:
        advance(method, instance, complete, Image(name="web 1"))

    reason = str(raised.value)
    assert reason.startswith(
        f"Image: the bundle {complete.id} is complete and kept at s3://images/web, but no AMI"
    )
    assert f"already in use by AMI {other}. Image.Name: " in reason
    assert (own_images(), keys()) == ([other], BUNDLE)


def test_a_bundle_whose_manifest_is_gone_is_not_registered(
    method: Method, instance: str, complete: Task
) -> None:
    aws.s3().delete_object(Bucket="images", Key="web.manifest.xml")

    with pytest.raises(Unsuitable, match=r"somebody has removed its manifest at s3://images/web\."):
        advance(method, instance, complete, Image())


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [(THROTTLE, Throttled), (FAULT, PassingFault), (DENIAL, Refused)],
)
def test_what_an_error_in_registering_means(
    method: Method, instance: str, complete: Task, fault: Exception, meaning: type[Exception]
) -> None:
    with failing("RegisterImage", fault), pytest.raises(meaning) as raised:
        advance(method, instance, complete, Image())
    assert type(raised.value) is meaning
    assert own_images() == []


def test_a_name_whose_holder_may_not_be_seen_is_no_refusal(
    method: Method, instance: str, complete: Task
) -> None:
    """An answer of EC2 after the read of the images is final; without that read nothing is done."""
    register("web 1")
    reads: list[str] = []

    def deny_from_the_second_read_on(**_: Any) -> None:
        reads.append("read")
        if len(reads) > 1:
            raise DENIAL

    events = aws.ec2().meta.events
    events.register("before-call.ec2.DescribeImages", deny_from_the_second_read_on)
    try:
        with pytest.raises(PassingFault):
            advance(method, instance, complete, Image(name="web 1"))
    finally:
        events.unregister("before-call.ec2.DescribeImages", deny_from_the_second_read_on)


def test_an_image_that_is_pending_is_waited_for(
    method: Method, instance: str, complete: Task, calls: list[str]
) -> None:
    asked = replace(TAGGED, name="web 1")
    with registering("pending"), pytest.raises(NothingDone, match="is not available yet"):
        advance(method, instance, complete, asked)
    [image_id] = own_images()
    with pytest.raises(NothingDone, match=f"the AMI {image_id} is not available yet"):
        advance(method, instance, complete, asked)
    with pytest.raises(NothingDone):
        method.update_image(made(complete), NEXT, TAGGED, asked)

    become(image_id, "available")
    assert advance(method, instance, complete, asked).image_id == image_id
    assert calls.count("RegisterImage") == 1


@pytest.mark.parametrize("state", ["failed", "invalid", "disabled"])
def test_an_image_that_does_not_become_available_is_reported(
    method: Method, instance: str, complete: Task, state: str
) -> None:
    with hiding(is_hidden_by_default):
        with registering(state, "A part is gone"), pytest.raises(NotRegistered) as raised:
            advance(method, instance, complete, Image())

        [image_id] = own_images() or [""]
        assert f"{image_id} is {state}. A part is gone" in str(raised.value)
        assert f"{complete.id} is complete and kept at s3://images/web" in str(raised.value)
        with pytest.raises(NotRegistered, match=f"is {state}"):
            advance(method, instance, complete, Image())


@pytest.mark.parametrize("fault", [THROTTLE, FAULT, DENIAL])
def test_a_fault_in_reading_the_image_registers_nothing(
    method: Method, instance: str, complete: Task, calls: list[str], fault: Exception
) -> None:
    with failing("DescribeImages", fault), pytest.raises((PassingFault, Denied)):
        advance(method, instance, complete, Image())
    assert "RegisterImage" not in calls


# Names


def test_generated_names_are_valid_and_stable_and_differ_for_each_description(
    method: Method, instance: str, complete: Task
) -> None:
    described = [
        *(Image(), Image(description="a"), Image(tags={"a": "b"}), Image(tags={"b": "a"})),
        *(Image(architecture="x86_64"), Image(architecture="i386"), TAGGED),
    ]
    ids = [advance(method, instance, complete, image).image_id for image in described]
    names = {image_of(image_id)["Name"] for image_id in ids}

    assert len(names) == len(described)
    assert all(NAME.fullmatch(name) for name in names)
    assert image_of(ids[-1])["Name"] == "web/r1-8153d4d1"  # as earlier versions made it
    again = [*described[:-1], replace(TAGGED, tags=dict(reversed([*TAGGED.tags.items()])))]
    assert [advance(method, instance, complete, image).image_id for image in again] == ids


@pytest.mark.parametrize(
    "prefix", ["stack/Bundle/r1", "s" * 128 + "/" + "B" * 255 + "/r1", "%&é#*/Bündel", "w"]
)
def test_whatever_the_prefix_a_name_is_made(
    method: Method, instance: str, clock: Clock, prefix: str
) -> None:
    location = Location("images", prefix)
    complete = finish(method, instance, clock, location)
    asked = work(instance, location, image=Image())

    image = image_of(method.advance(asked, complete, complete).image_id)
    assert NAME.fullmatch(image["Name"])
    assert "/r1-" in image["Name"]
    assert image["ImageLocation"] == f"images/{prefix}.manifest.xml"


@pytest.mark.parametrize("attempt", [BundleInstance.start, BundleInstance.dry_run])
@pytest.mark.parametrize("state", ["available", "pending", "disabled"])
def test_a_name_that_is_taken_is_reported_before_the_bundle_is_made(
    method: BundleInstance,
    instance: str,
    clock: Clock,
    attempt: Any,
    state: str,
) -> None:
    finish(method, instance, clock)
    other = register("web 1")
    become(other, state)
    asked = work(instance, Location("images", "next"), image=Image(name="web 1"))

    with hiding(is_hidden_by_default), pytest.raises(NameTaken) as raised:
        attempt(method, asked)
    assert str(raised.value).startswith(f"Image.Name: the AMI {other} has the name web 1 already, ")
    assert len(bundle_tasks.requests_received()) == 1


@pytest.mark.parametrize("image", [None, Image(), Image(name="web 2")])
def test_a_name_that_is_free_or_to_be_made_starts_the_bundle(
    method: Method, instance: str, clock: Clock, image: Image | None
) -> None:
    finish(method, instance, clock)
    register("web 1")

    task = method.start(work(instance, Location("images", "next"), image=image))
    assert task.phase == "running"


@pytest.mark.parametrize("attempt", [BundleInstance.start, BundleInstance.dry_run])
@pytest.mark.parametrize("fault", [THROTTLE, FAULT, ReadTimeoutError(endpoint_url="https://ec2")])
@pytest.mark.parametrize("operation", ["DescribeInstances", "DescribeImages"])
def test_a_fault_in_a_read_before_the_start_means_nothing_was_done(
    method: BundleInstance, instance: str, attempt: Any, fault: Exception, operation: str
) -> None:
    with failing(operation, fault), pytest.raises(NothingDone):
        attempt(method, work(instance, image=Image(name="web 1")))
    assert bundle_tasks.requests_received() == []


# What another has made of the bundle


def test_a_copy_of_an_image_has_its_tags_and_is_anothers(
    method: Method, instance: str, complete: Task
) -> None:
    first = advance(method, instance, complete, Image()).image_id
    copy = register(image_of(first)["Name"] + " copy", "r1", copied())
    other = register("of the same bundle")

    assert advance(method, instance, complete, Image()).image_id == first
    method.remove(made(complete))

    assert sorted(own_images()) == sorted([copy, other])
    assert tags_of(image_of(copy)) == {REQUEST_TAG: "r1"}
    assert keys() == set()


def test_a_copy_that_has_the_name_is_not_taken_for_the_bundles_image(
    method: Method, instance: str, complete: Task
) -> None:
    copy = register("web 1", "r1", copied())

    with pytest.raises(NotRegistered, match=f"already in use by AMI {copy}"):
        advance(method, instance, complete, Image(name="web 1"))
    assert own_images() == [copy]


# Updating


def test_another_description_makes_another_image_and_the_old_one_stays(
    method: Method, instance: str, complete: Task
) -> None:
    new = replace(TAGGED, description="another", tags={"of": "api", "team": "blue"})
    first = advance(method, instance, complete, TAGGED).image_id

    second = method.update_image(made(complete), NEXT, TAGGED, new)

    assert own_images() == [first, second]
    assert image_of(first)["Description"] == "of the web"
    assert tags_of(image_of(first)) == {**TAGGED.tags, **OWN_TAGS}
    image = image_of(second)
    assert (image["Description"], image["ImageLocation"]) == ("another", AT)
    assert image["VirtualizationType"] == "hvm"
    assert tags_of(image) == {**new.tags, **OWN_TAGS}
    assert method.update_image(made(complete), NEXT, TAGGED, new) == second
    assert len(bundle_tasks.requests_received()) == 1


@pytest.mark.parametrize("old", [None, Image(), TAGGED])
def test_an_image_can_be_asked_for_later(
    method: Method, instance: str, complete: Task, old: Image | None
) -> None:
    image_id = method.update_image(made(complete), NEXT, old, replace(TAGGED, name="web 1"))

    assert own_images() == [image_id]
    image = image_of(image_id)
    assert (image["Name"], image["Description"]) == ("web 1", "of the web")
    assert tags_of(image) == {**TAGGED.tags, **OWN_TAGS}


def test_an_image_that_is_asked_for_no_more_stays(
    method: Method, instance: str, complete: Task, calls: list[str]
) -> None:
    first = advance(method, instance, complete, TAGGED).image_id
    calls.clear()

    assert method.update_image(made(complete), NEXT, TAGGED, None) == ""
    assert method.update_image(made(complete), NEXT, None, None) == ""
    assert calls == []
    assert own_images() == [first]


def test_an_image_that_is_asked_for_again_gets_what_is_described_now(
    method: Method, instance: str, complete: Task
) -> None:
    first = advance(method, instance, complete, replace(TAGGED, name="web 1")).image_id
    assert method.update_image(made(complete), NEXT, replace(TAGGED, name="web 1"), None) == ""

    new = Image("web 1", "another", tags={"of": "api", "stage": "test"})
    assert method.update_image(made(complete), NEXT, None, new) == first
    assert image_of(first)["Description"] == "another"
    assert tags_of(image_of(first)) == {**new.tags, **OWN_TAGS}


def test_an_image_that_keeps_its_given_name_is_changed_in_place(
    method: Method, instance: str, complete: Task
) -> None:
    old = replace(TAGGED, name="web 1")
    first = advance(method, instance, complete, old).image_id
    aws.ec2().create_tags(Resources=[first], Tags=[{"Key": "backup", "Value": "daily"}])

    new = replace(old, description="another", tags={"of": "api", "team": "blue"})
    for _ in range(2):
        assert method.update_image(made(complete), NEXT, old, new) == first
        assert image_of(first)["Description"] == "another"
        assert tags_of(image_of(first)) == {**new.tags, "backup": "daily", **OWN_TAGS}
    assert method.update_image(made(complete), NEXT, new, old) == first
    assert image_of(first)["Description"] == "of the web"
    assert tags_of(image_of(first)) == {**old.tags, "backup": "daily", **OWN_TAGS}
    assert own_images() == [first]


@pytest.mark.parametrize(
    ("architecture", "fits"), [(None, True), ("x86_64", True), ("i386", False), ("arm64", False)]
)
def test_the_architecture_of_an_image_is_not_changed_in_place(
    method: Method, instance: str, complete: Task, architecture: Any, fits: bool
) -> None:
    old = Image(name="web 1")
    first = advance(method, instance, complete, old).image_id
    new = replace(old, architecture=architecture)

    if fits:
        assert method.update_image(made(complete), NEXT, old, new) == first
    else:
        with pytest.raises(NotRegistered, match=f"already in use by AMI {first}"):
            method.update_image(made(complete), NEXT, old, new)
        other = method.update_image(made(complete), NEXT, old, replace(new, name="web 2"))
        assert image_of(other)["Architecture"] == architecture
    assert image_of(first)["Architecture"] == "x86_64"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Image(), TAGGED),
        (TAGGED, Image(architecture="i386")),
        (Image(name="web 1"), Image(name="web 2")),
        (replace(TAGGED, name="web 1"), replace(TAGGED, description="another", tags={"a": "b"})),
        (TAGGED, replace(TAGGED, name="web 1", description="another", tags={"of": "api"})),
    ],
)
def test_a_rollback_finds_the_image_of_before_as_it_was(
    method: Method, instance: str, complete: Task, old: Image, new: Image
) -> None:
    first = advance(method, instance, complete, old).image_id
    before = image_of(first)
    second = method.update_image(made(complete), NEXT, old, new)
    assert second != first

    assert method.update_image(made(complete), NEXT, new, old) == first
    assert image_of(first) == before
    assert method.update_image(made(complete), NEXT, old, new) == second
    assert own_images() == [first, second]


def test_an_image_that_an_earlier_update_registered_gets_what_is_described_now(
    method: Method, instance: str, complete: Task
) -> None:
    """The Update to `mistaken` was rolled back; what is described since may be as it was before."""
    old = replace(TAGGED, name="web 1")
    mistaken = Image("web 2", "a mistake", tags={"of": "mistake", "stage": "test"})
    new = replace(TAGGED, name="web 2")
    first = advance(method, instance, complete, old).image_id
    second = method.update_image(made(complete), NEXT, old, mistaken)
    assert method.update_image(made(complete), NEXT, mistaken, old) == first

    assert method.update_image(made(complete), NEXT, old, new) == second
    assert image_of(second)["Description"] == "of the web"
    assert tags_of(image_of(second)) == {**TAGGED.tags, **OWN_TAGS}


def test_an_image_that_was_deregistered_is_registered_again(
    method: Method, instance: str, complete: Task
) -> None:
    first = advance(method, instance, complete, TAGGED).image_id
    aws.ec2().deregister_image(ImageId=first)

    again = method.update_image(made(complete), NEXT, TAGGED, TAGGED)
    assert own_images() == [again]
    assert again != first


@pytest.mark.parametrize("name", [None, "web 2"])
def test_an_amendment_that_is_refused_says_where_the_bundle_is_kept(
    method: Method, instance: str, complete: Task, name: str | None
) -> None:
    first = advance(method, instance, complete, Image()).image_id

    with (
        failing("RegisterImage", DENIAL),
        pytest.raises(Refused, match=f"{complete.id} is complete"),
    ):
        method.update_image(made(complete), NEXT, Image(), replace(TAGGED, name=name))
    assert own_images() == [first]


@pytest.mark.parametrize("operation", ["ModifyImageAttribute", "CreateTags", "DeleteTags"])
def test_an_amendment_in_place_that_a_fault_cut_short_is_done_by_repeating_it(
    method: Method, instance: str, complete: Task, operation: str
) -> None:
    old = replace(TAGGED, name="web 1")
    new = replace(old, description="another", tags={"team": "blue"})
    first = advance(method, instance, complete, old).image_id
    for fault, meaning in faults(operation):
        with failing(operation, fault), pytest.raises(meaning):
            method.update_image(made(complete), NEXT, old, new)

    assert method.update_image(made(complete), NEXT, old, new) == first
    assert image_of(first)["Description"] == "another"
    assert tags_of(image_of(first)) == {"team": "blue", **OWN_TAGS}


# Removing


def test_all_images_of_a_bundle_go_with_it_and_no_others(
    method: Method, instance: str, clock: Clock, complete: Task
) -> None:
    for image in (Image(), TAGGED, Image(name="web 1")):
        advance(method, instance, complete, image)
    other = Location("images", "other")
    theirs = finish(method, instance, clock, other)
    [*ours, others] = [
        *own_images(),
        method.advance(work(instance, other, image=Image()), theirs, theirs).image_id,
    ]
    become(ours[1], "disabled")
    assert len(ours) == 3

    gone = made(complete)
    with hiding(is_hidden_by_default):
        for _ in range(2):
            method.remove(gone)
            assert keys() == {key.replace("web.", "other.") for key in BUNDLE}
    assert own_images() == [others]


def test_without_an_etag_only_the_images_are_removed(
    method: Method, instance: str, complete: Task
) -> None:
    advance(method, instance, complete, Image())

    method.remove(replace(made(complete), etag=""))
    assert (own_images(), keys()) == ([], BUNDLE)


def test_images_stay_where_nothing_may_be_deleted(
    method: Method, instance: str, complete: Task
) -> None:
    first = advance(method, instance, complete, Image()).image_id

    with pytest.raises(NotDeletable):
        BundleInstance(Limits(deletes_objects=False)).removable(made(complete))
    assert (own_images(), keys()) == ([first], BUNDLE)


@pytest.mark.parametrize("operation", ["DescribeImages", "DeregisterImage", "DeleteObjects"])
def test_a_removal_that_a_fault_cut_short_is_done_by_repeating_it(
    method: Method, instance: str, complete: Task, operation: str
) -> None:
    """An image outlasts its manifest in no case: it could be found no more."""
    for image in (Image(), TAGGED):
        advance(method, instance, complete, image)
    gone = made(complete)
    for fault, meaning in faults(operation):
        with failing(operation, fault), pytest.raises(meaning):
            method.remove(gone)
        assert keys() == BUNDLE

    method.remove(gone)
    assert (own_images(), keys()) == ([], set())


@pytest.mark.parametrize(("allowed", "left"), [(True, set()), (False, BUNDLE)])
def test_the_images_of_failed_work_are_deregistered(
    method: Method, instance: str, complete: Task, allowed: bool, left: set[str]
) -> None:
    task = advance(method, instance, complete, Image())
    other = register("of the same bundle")

    BundleInstance(Limits(deletes_objects=allowed)).remove_leftovers(target(instance), task)
    assert (own_images(), keys()) == ([other], left)


def test_no_image_is_read_where_there_was_no_bundle(
    method: Method, instance: str, clock: Clock, calls: list[str]
) -> None:
    task = start(method, instance)
    method.cancel(task.id)
    clock.now += 1
    ended = described(method, task)
    calls.clear()

    method.remove_leftovers(target(instance), ended)
    assert calls == []


# Outputs


def test_what_was_made_is_found_where_the_outputs_say(
    method: Method, instance: str, complete: Task
) -> None:
    outputs = method.outputs(HERE, complete)

    assert (outputs.prefix, outputs.s3_uri) == ("web", "s3://images/web")
    assert outputs.manifest_location == AT
    assert register("web 1", at=outputs.manifest_location) in own_images()
