"""The method that works today against an EC2 that keeps EC2's rules."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

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
    NotSuited,
    PassingFault,
    Refused,
    Unsuitable,
)
from instance_bundle.methods.method import Bundle, Task, Work, known
from instance_bundle.methods.store_image import StoreImage
from instance_bundle.methods.store_task import BUCKET_TAG
from instance_bundle.request.properties import Image, Location, Properties, Target
from instance_bundle.settings import Limits, Tag
from sandbox.ec2 import api as ec2
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import image_of, snapshots_of, state_of, tag, tags_of

from .test_images import (
    DENIAL,
    FAULT,
    KEY,
    NAME,
    NOWHERE,
    OWN_TAGS,
    TAGGED,
    THROTTLE,
    become,
    cut_after,
    failing,
    faults,
    hiding,
    is_hidden_by_default,
    is_too_young,
    noting_calls,
    own_images,
)

START, LATER = 1_800_000_000.0, 1_800_003_600.0


@pytest.fixture
def instance(clock: Clock) -> Iterator[str]:
    """An instance with two volumes of EBS."""
    # No delay: what the rules are, not when others see what was done. tests/chaos has the delay.
    with ec2.install(clock, delay=0), mock_aws():
        aws.s3().create_bucket(Bucket="images")
        instance = ec2.run_ebs_instance(aws.ec2())
        [reservation] = aws.ec2().describe_instances(InstanceIds=[instance])["Reservations"]
        zone = reservation["Instances"][0]["Placement"]["AvailabilityZone"]
        volume = aws.ec2().create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        aws.ec2().attach_volume(InstanceId=instance, VolumeId=volume, Device="/dev/sdf")
        yield instance


@pytest.fixture
def method() -> StoreImage:
    return StoreImage(Limits())


@pytest.fixture
def calls() -> Iterator[list[str]]:
    with noting_calls() as made:
        yield made


def target(instance: str, request: str = "r1", bucket: str = "images") -> Target:
    return Target("StoreImage", request, instance, Location(bucket, f"stack/Bundle/{request}"))


def work(instance: str, image: Image | None = None, **where: str) -> Work:
    aim = target(instance, **where)
    properties = Properties(
        method="StoreImage",
        instance_id=instance,
        bucket=aim.location.bucket,
        prefix=None,
        upload_policy=None,
        upload_credentials=None,
        image=image or Image(),
        dry_run=False,
    )
    return Work(properties, aim, replace(KEY, request_id=aim.request_id), START, LATER)


def seen(method: StoreImage, task: Task) -> Task:
    found = known(method.describe([task.id])[task.id])
    assert found is not None
    return found


def available(method: StoreImage, asked: Work, clock: Clock) -> Task:
    task = method.start(asked)
    clock.now += 2
    return seen(method, task)


def advance(method: StoreImage, asked: Work, task: Task) -> Task:
    """Do what comes next where a task is as it was known before."""
    return method.advance(asked, task, task)


def remove(method: StoreImage, made: Bundle) -> None:
    """Remove what was made, as a Delete does."""
    method.remove(method.removable(made))


def make(method: StoreImage, asked: Work, clock: Clock) -> Bundle:
    advance(method, asked, available(method, asked, clock))
    clock.now += 2
    task = next(iter(found(method, asked)))
    written = method.finished(asked.target.location, task)
    assert written is not None
    return Bundle(task.id, asked.target.request_id, asked.target.location, written.etag)


def found(method: StoreImage, asked: Work) -> list[Task]:
    task = method.find(asked.target, asked.since)
    return [] if task is None else [task]


def snapshots() -> set[str]:
    listed = aws.ec2().describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "description", "Values": ["*CreateImage*"]}]
    )
    return {snapshot["SnapshotId"] for snapshot in listed["Snapshots"]}


def snapshot_ids(image_id: str) -> set[str]:
    return {snapshot["SnapshotId"] for snapshot in snapshots_of(image_of(image_id))}


def all_tags(image_id: str) -> list[dict[str, str]]:
    """The tags of an image, and of each of its snapshots."""
    image = image_of(image_id)
    return [tags_of(each) for each in (image, *snapshots_of(image))]


def made_tags(tags: Mapping[str, str], request: str = "r1") -> list[dict[str, str]]:
    """The tags of an image that was made for the bucket `images`, and of its two snapshots."""
    of_all = {**tags, **OWN_TAGS, REQUEST_TAG: request}
    return [{**of_all, BUCKET_TAG: "images"}, of_all, of_all]


def keys() -> list[str]:
    listed = aws.s3().list_objects_v2(Bucket="images")
    return [item["Key"] for item in listed.get("Contents", [])]


# Starting


def test_an_image_is_started_seen_and_found(method: StoreImage, instance: str) -> None:
    with time_machine.travel(START, tick=False):
        task = method.start(work(instance))

        [image_id] = own_images()
        now = "2027-01-15T08:00:00Z"
        assert task == Task(image_id, "running", "pending", "0%", now, now, image_id=image_id)
        task = replace(task, snapshot_ids=",".join(images.snapshots_in(image_of(image_id))))
        assert method.describe([task.id]) == {task.id: task}
        assert method.find(target(instance), START) == task


def test_an_image_is_made_as_it_was_asked_for(method: StoreImage, instance: str) -> None:
    task = method.start(work(instance, replace(TAGGED, name="web 1")))

    image = image_of(task.id)
    assert (image["Name"], image["Description"]) == ("web 1", "of the web")
    assert all_tags(task.id) == made_tags({"of": "web", "stage": "test"})


def test_an_image_of_which_nothing_is_said_has_the_requests_tag_alone(
    method: StoreImage, instance: str
) -> None:
    assert all_tags(method.start(work(instance)).id) == made_tags({})


@pytest.mark.parametrize(("no_reboot", "state"), [(False, "stopped"), (True, "running")])
def test_the_instance_runs_on_where_it_is_asked_for(
    method: StoreImage, instance: str, clock: Clock, no_reboot: bool, state: str
) -> None:
    method.start(work(instance, Image(no_reboot=no_reboot)))
    assert state_of(instance) == state

    clock.now += 2
    assert state_of(instance) == "running"


@pytest.mark.parametrize(
    "prefix",
    ["s/B/r", "stack/Bundle/r1", "s" * 128 + "/" + "B" * 255 + "/r1", "arn:aws:%&é#*/Bündel/r1"],
)
def test_a_generated_name_is_valid_and_contains_the_request(
    method: StoreImage, instance: str, prefix: str
) -> None:
    asked = work(instance)
    location = Location("images", prefix)
    task = method.start(replace(asked, target=replace(asked.target, location=location)))

    name = image_of(task.id)["Name"]
    assert NAME.fullmatch(name)
    assert name.endswith("/r1")


def test_made_names_differ_between_requests(method: StoreImage, instance: str) -> None:
    tasks = [method.start(work(instance, request=request)) for request in ("r1", "r2", "r3")]

    assert len({image_of(task.id)["Name"] for task in tasks}) == 3


@pytest.mark.parametrize("name", [None, "web"])
def test_a_repeated_start_takes_up_its_own_image(
    method: StoreImage, instance: str, clock: Clock, name: str | None
) -> None:
    asked = work(instance, Image(name=name))
    first = method.start(asked)
    assert method.start(asked).id == first.id

    clock.now += 2
    assert method.start(asked).state == "available"
    assert own_images() == [first.id]


def test_a_name_that_anothers_image_has_is_a_refusal(method: StoreImage, instance: str) -> None:
    other = method.start(work(instance, Image(name="web"), request="r2"))

    with pytest.raises(NameTaken, match=f"the AMI {other.id} has the name web already"):
        method.start(work(instance, Image(name="web")))
    assert own_images() == [other.id]


def test_an_image_whose_name_is_taken_may_be_our_own_that_can_not_be_seen_yet(
    method: StoreImage, instance: str
) -> None:
    """What may have been started must not be taken for what was not."""
    asked = work(instance)
    first = method.start(asked)

    with hiding(is_too_young), pytest.raises(PassingFault, match="is not visible yet") as raised:
        method.start(asked)
    assert not isinstance(raised.value, NothingDone)
    assert method.start(asked).id == first.id
    assert own_images() == [first.id]


def test_our_own_image_is_taken_up_whatever_is_known_of_its_storing(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    first = available(method, asked, clock)

    with failing("DescribeStoreImageTasks", DENIAL):
        assert method.start(asked).id == first.id


# Dry runs


def test_a_dry_run_starts_nothing(method: StoreImage, instance: str, calls: list[str]) -> None:
    method.dry_run(work(instance))

    assert calls == ["DescribeInstances", "DescribeVolumes", "DescribeImages", "CreateImage"]
    assert own_images() == []
    assert state_of(instance) == "running"


@pytest.mark.parametrize("attempt", [StoreImage.start, StoreImage.dry_run])
def test_an_instance_whose_image_can_not_be_stored_is_refused_before_anything_is_made(
    method: StoreImage, instance: str, calls: list[str], attempt: Callable[..., Any]
) -> None:
    large = aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=5000)["VolumeId"]
    aws.ec2().attach_volume(InstanceId=instance, VolumeId=large, Device="/dev/sdg")
    calls.clear()

    with pytest.raises(Unsuitable, match="5009 GB together, and EC2 stores an AMI of 5000 GB"):
        attempt(method, work(instance))

    assert calls == ["DescribeInstances", "DescribeVolumes"]


def test_a_product_code_that_is_refused_ends_the_work_and_is_named(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    tag(instance, product_code="bz4vuply68xrif53movwbkpnl")
    asked = work(instance)
    task = available(method, asked, clock)

    with pytest.raises(Denied, match="OperationNotPermitted"):
        advance(method, asked, task)

    assert "product codes bz4vuply68xrif53movwbkpnl" in method.hint(asked.target)


def test_a_dry_run_that_ec2_refuses_is_refused(method: StoreImage, instance: str) -> None:
    method.start(work(instance, Image(name="web"), request="r2"))
    with pytest.raises(NameTaken):
        method.dry_run(work(instance, Image(name="web")))
    with pytest.raises(Doubtful, match=r"InvalidInstanceID\.NotFound"):
        method.dry_run(work("i-0123456789abcdef0"))
    with failing("CreateImage", DENIAL), pytest.raises(Denied, match="Allow ec2:CreateImage"):
        method.dry_run(work(instance))


@pytest.mark.parametrize("attempt", [StoreImage.start, StoreImage.dry_run])
def test_an_instance_of_another_kind_is_refused_before_anything_is_made(
    method: StoreImage, instance: str, calls: list[str], attempt: Callable[..., Any]
) -> None:
    classic = ec2.run_windows_instance_store(aws.ec2())
    calls.clear()

    with pytest.raises(NotSuited, match="Use `Method: BundleInstance`"):
        attempt(method, work(classic))
    assert calls == ["DescribeInstances"]


@pytest.mark.parametrize("attempt", [StoreImage.start, StoreImage.dry_run])
def test_an_instance_without_the_tag_is_refused_before_anything_is_made(
    instance: str, calls: list[str], attempt: Callable[..., Any]
) -> None:
    with pytest.raises(NotAllowed, match=f"{instance} does not have the tag image=yes"):
        attempt(StoreImage(Limits(instance_tag=Tag("image", "yes"))), work(instance))
    assert calls == ["DescribeInstances"]


# Finding


def test_an_image_of_another_request_is_not_ours(method: StoreImage, instance: str) -> None:
    other = method.start(work(instance, request="r2"))
    assert method.find(target(instance), START) is None

    task = method.start(work(instance))
    assert found(method, work(instance))[0].id == task.id
    assert found(method, work(instance, request="r2"))[0].id == other.id


def test_an_image_that_is_gone_is_not_found(method: StoreImage, instance: str) -> None:
    method.cancel(method.start(work(instance)).id)

    assert method.find(target(instance), START) is None


# Describing


def test_an_image_that_is_not_listed_is_left_out_and_none_takes_no_call(
    method: StoreImage, instance: str, calls: list[str]
) -> None:
    assert method.describe([NOWHERE]) == {}

    calls.clear()
    assert method.describe([]) == {}
    assert calls == []


def test_an_image_reads_as_the_first_half_and_its_object_as_the_second(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    tag(instance, image_seconds="10", store_seconds="100")
    asked = work(instance)
    task = method.start(asked)
    read = []
    for seconds in (9, 1):
        clock.now += seconds
        read.append(seen(method, task))
    advance(method, asked, read[-1])
    for seconds in (0, 1, 49, 49, 1):
        clock.now += seconds
        read.append(seen(method, task))

    assert [(each.phase, each.state, each.progress) for each in read] == [
        ("running", "pending", "0%"),
        ("running", "available", "50%"),
        ("running", "storing", "50%"),
        ("running", "storing", "50%"),
        ("running", "storing", "75%"),
        ("running", "storing", "99%"),
        ("complete", "complete", "100%"),
    ]
    assert {each.started for each in read} == {"2027-01-15T08:00:00Z"}


def test_an_image_that_failed_is_a_failure_in_ec2s_words(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    tag(instance, image_outcome="failed", image_error="Server.Broken: So: it is")
    task = available(method, work(instance), clock)

    assert (task.phase, task.state) == ("failed", "failed")
    assert (task.error_code, task.error_message) == ("Server.Broken", "So: it is")


def test_an_image_between_two_states_is_not_ready(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    task = available(method, asked, clock)
    become(task.id, "transient")

    between = seen(method, task)
    assert (between.phase, between.state, between.progress) == ("running", "transient", "0%")
    assert advance(method, asked, between) == between


@pytest.mark.parametrize("state", ["disabled", "invalid", "error", "deregistered"])
def test_an_image_that_can_not_be_stored_is_a_failure(
    method: StoreImage, instance: str, clock: Clock, state: str
) -> None:
    task = available(method, work(instance), clock)
    become(task.id, state)

    with hiding(is_hidden_by_default):
        ended = seen(method, task)
    assert (ended.phase, ended.state, ended.error_code) == ("failed", "failed", state)


def test_an_image_whose_storing_failed_is_a_failure_in_ec2s_words(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    tag(instance, store_outcome="failed", store_error="No more room")
    asked = work(instance)
    task = advance(method, asked, available(method, asked, clock))
    clock.now += 2

    task = seen(method, task)
    assert (task.phase, task.state) == ("failed", "failed")
    assert (task.error_code, task.error_message) == ("StoreTaskFailed", "No more room")


def test_more_images_than_a_call_takes_are_seen(
    method: StoreImage, instance: str, clock: Clock, calls: list[str]
) -> None:
    quiet = Image(no_reboot=True)
    asked = [work(instance, quiet, request=f"r{number}") for number in range(45)]
    tasks = []
    for each in asked:  # one after the other: a volume has few snapshots that are pending
        tasks.append(method.start(each))
        clock.now += 2
    tag(instance, store_seconds="100")
    for each, task in zip(asked[::2], tasks[::2], strict=True):
        advance(method, each, seen(method, task))

    calls.clear()
    unknown = [f"ami-{number:017}" for number in range(356)]
    described = method.describe([*(task.id for task in tasks), *unknown])

    states = [getattr(described[task.id], "state", None) for task in tasks]
    assert states == ["storing" if number % 2 == 0 else "available" for number in range(45)]
    assert len(described) == 45
    assert calls.count("DescribeImages") == 3
    # The 23 that are available take two or three calls, and those that are gone one for each 20.
    assert 20 <= calls.count("DescribeStoreImageTasks") <= 23


@pytest.mark.parametrize(
    "steering",
    [
        {"image_seconds": "7", "store_seconds": "61"},
        {"image_seconds": "60", "store_seconds": "5"},
        {"image_seconds": "3", "store_seconds": "40", "store_stalls": "0"},
        {"image_seconds": "3", "store_seconds": "40", "store_stalls": "37"},
    ],
)
def test_progress_never_runs_backwards(
    method: StoreImage, instance: str, clock: Clock, steering: dict[str, str]
) -> None:
    tag(instance, **steering)
    asked = work(instance)
    task = method.start(asked)
    shown = [task.progress]
    while task.phase == "running":
        clock.now += 1
        task = seen(method, task)
        shown.append(task.progress)
        task = advance(method, asked, task)
        shown.append(task.progress)

    numbers = [int(each.removesuffix("%")) for each in shown]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == (0, 100)
    assert set(numbers) - {0, 100} <= set(range(50, 100))


# Storing


def test_an_image_is_stored_once_it_is_available_and_not_before(
    method: StoreImage, instance: str, clock: Clock, calls: list[str]
) -> None:
    asked = work(instance)
    pending = method.start(asked)
    assert advance(method, asked, pending) == pending
    assert "CreateStoreImageTask" not in calls

    clock.now += 2
    ready = seen(method, pending)
    storing = advance(method, asked, ready)
    assert storing == replace(ready, state="storing", progress="50%")
    clock.now += 1
    assert advance(method, asked, seen(method, ready)).state == "storing"
    clock.now += 1
    complete = advance(method, asked, seen(method, ready))

    assert complete.phase == "complete"
    assert calls.count("CreateStoreImageTask") == 1
    assert keys() == [f"{ready.id}.bin"]


def test_an_image_that_is_stored_already_is_not_stored_again(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    advance(method, asked, ready)

    assert advance(method, asked, ready).state == "storing"
    clock.now += 2
    assert advance(method, asked, ready).phase == "complete"
    assert len(aws.ec2().describe_store_image_tasks()["StoreImageTaskResults"]) == 1


def test_a_store_task_that_is_too_young_to_be_listed_is_not_started_again(
    method: StoreImage, instance: str, clock: Clock, calls: list[str]
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    storing = advance(method, asked, ready)

    assert method.advance(asked, storing, ready) == storing
    clock.now += 1
    later = method.advance(asked, storing, seen(method, ready))
    assert (later.state, later.progress) == ("storing", "75%")
    clock.now += 1
    assert method.advance(asked, later, seen(method, ready)).phase == "complete"
    assert calls.count("CreateStoreImageTask") == 1


def test_an_image_that_another_stores_elsewhere_is_stored_nevertheless(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    aws.s3().create_bucket(Bucket="others")
    tag(instance, store_seconds="1")
    asked = work(instance)
    task = available(method, asked, clock)
    aws.ec2().create_store_image_task(ImageId=task.id, Bucket="others")
    for seconds in (0, 1):
        clock.now += seconds
        assert seen(method, task).state == "available"

    assert advance(method, asked, seen(method, task)).state == "storing"
    aws.s3().delete_object(Bucket="others", Key=f"{task.id}.bin")
    aws.ec2().create_store_image_task(ImageId=task.id, Bucket="others")
    assert seen(method, task).state == "storing"
    clock.now += 1
    assert seen(method, task).phase == "complete"
    assert keys() == [f"{task.id}.bin"]


def test_anothers_failure_to_store_an_image_elsewhere_is_not_ours(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    aws.s3().create_bucket(Bucket="others")
    asked = work(instance)
    storing = advance(method, asked, available(method, asked, clock))
    tag(instance, store_outcome="failed", store_seconds="1")
    aws.ec2().create_store_image_task(ImageId=storing.id, Bucket="others")
    clock.now += 1
    assert seen(method, storing).state == "storing"

    clock.now += 1
    assert seen(method, storing).phase == "complete"


def test_of_several_store_tasks_the_latest_counts(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    tag(instance, store_outcome="failed")
    asked = work(instance)
    task = advance(method, asked, available(method, asked, clock))
    clock.now += 2
    assert seen(method, task).phase == "failed"

    tag(instance, store_outcome="complete")
    aws.ec2().create_store_image_task(ImageId=task.id, Bucket="images")
    assert seen(method, task).state == "storing"
    clock.now += 2
    assert seen(method, task).phase == "complete"


def test_storing_whose_answer_was_lost_is_taken_up(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    with cut_after(aws.ec2_once(), "CreateStoreImageTask") as sent, pytest.raises(PassingFault):
        advance(method, asked, ready)

    assert len(sent) == 1
    assert seen(method, ready).state == "storing"
    assert len(aws.ec2().describe_store_image_tasks()["StoreImageTaskResults"]) == 1


def test_storing_that_has_begun_unseen_is_not_begun_again(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    """Should the poll after a lost answer not see the task yet, EC2's refusal leads to it."""
    asked = work(instance)
    ready = available(method, asked, clock)
    with cut_after(aws.ec2_once(), "CreateStoreImageTask"), pytest.raises(PassingFault):
        advance(method, asked, ready)

    assert advance(method, asked, ready).state == "storing"
    assert len(aws.ec2().describe_store_image_tasks()["StoreImageTaskResults"]) == 1


def test_a_bucket_that_is_not_there_is_a_refusal(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    aws.s3().delete_bucket(Bucket="images")

    with pytest.raises(Denied, match=r"ec2:CreateStoreImageTask was refused.*images"):
        advance(method, asked, ready)


def test_an_image_that_others_disable_or_untag_while_it_is_stored_is_stored(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    storing = advance(method, asked, available(method, asked, clock))
    aws.ec2().disable_image(ImageId=storing.id)
    aws.ec2().delete_tags(Resources=[storing.id], Tags=[{"Key": BUCKET_TAG}, {"Key": REQUEST_TAG}])
    clock.now += 1
    assert seen(method, storing).state == "storing"

    clock.now += 1
    assert seen(method, storing).phase == "complete"


def test_an_image_that_others_disabled_before_it_was_stored_is_a_failure(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    aws.ec2().disable_image(ImageId=ready.id)
    clock.now += 10

    failed = seen(method, ready)

    assert (failed.phase, failed.error_code) == ("failed", "disabled")
    assert "somebody has disabled it" in failed.error_message


def test_an_image_that_lost_its_tag_and_may_not_be_stored_is_refused_for_that(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    with failing("CreateStoreImageTask", DENIAL), pytest.raises(Refused):
        advance(method, asked, ready)

    aws.ec2().delete_tags(Resources=[ready.id], Tags=[{"Key": REQUEST_TAG}])
    clock.now += 10

    with (
        failing("CreateStoreImageTask", DENIAL),
        pytest.raises(Unsuitable, match=f"{ready.id} is without the tag {REQUEST_TAG}"),
    ):
        advance(method, asked, ready)


def test_an_image_that_is_gone_can_not_be_stored(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    asked = work(instance)
    ready = available(method, asked, clock)
    aws.ec2().deregister_image(ImageId=ready.id)

    with pytest.raises(Refused, match=r"InvalidAMIID\.Unavailable"):
        advance(method, asked, ready)


def test_the_object_has_tags_of_its_own(method: StoreImage, instance: str, clock: Clock) -> None:
    nine = {f"t{number}": str(number) for number in range(9)}
    asked = work(instance, replace(TAGGED, object_tags=nine))
    made = make(method, asked, clock)

    tags = aws.s3().get_object_tagging(Bucket="images", Key=f"{made.physical_id}.bin")["TagSet"]
    assert tags_of({"Tags": tags}) == {**nine, REQUEST_TAG: "r1"}
    assert all_tags(made.physical_id) == made_tags(TAGGED.tags)


def test_an_image_has_45_tags_in_ec2s_alphabet(method: StoreImage, instance: str) -> None:
    tags = {"web (prod)": "a, b", "https://x/?a=1&b=2": "हिन्दी 🚀", "<>": "\"&'"}
    tags |= {str(number): "v" * 256 for number in range(42)}

    task = method.start(work(instance, Image(tags=tags)))

    assert len(tags) == 45
    assert all_tags(task.id) == made_tags(tags)


def test_what_was_made_is_found_where_the_outputs_say(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance), clock)
    [task] = found(method, work(instance))
    outputs = method.outputs(made.location, task)

    assert task.image_id == made.physical_id
    assert outputs.s3_uri == f"s3://images/{keys()[0]}"
    assert outputs.manifest_location == f"images/{keys()[0]}"
    assert outputs.prefix == ""
    assert made.etag == aws.s3().head_object(Bucket="images", Key=keys()[0])["ETag"]

    dry_run = method.outputs(made.location, replace(task, id="dryrun-r1", image_id=""))
    assert dry_run.s3_uri == "s3://images/"


def test_no_location_is_ever_taken(method: StoreImage, instance: str, clock: Clock) -> None:
    made = make(method, work(instance), clock)

    assert not method.is_taken(made.location)
    assert not method.has_finished(made.location)


# Cancelling


@pytest.mark.parametrize("seconds", [0, 2])
def test_an_image_that_is_not_being_stored_is_cancelled(
    method: StoreImage, instance: str, clock: Clock, seconds: int
) -> None:
    task = method.start(work(instance))
    clock.now += seconds

    method.cancel(task.id)
    assert method.describe([task.id]) == {}
    assert state_of(instance) == "running"
    method.cancel(task.id)


@pytest.mark.parametrize(("seconds", "phase"), [(1, "running"), (2, "complete")])
def test_an_image_that_is_stored_is_left_to_its_end(
    method: StoreImage, instance: str, clock: Clock, seconds: int, phase: str
) -> None:
    asked = work(instance)
    task = advance(method, asked, available(method, asked, clock))
    clock.now += seconds

    method.cancel(task.id)
    assert seen(method, task).phase == phase


def test_an_image_that_was_never_there_can_be_cancelled(method: StoreImage, instance: str) -> None:
    method.cancel(NOWHERE)


# Removing


def test_what_was_made_is_removed_and_nothing_else(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    other = make(method, work(instance, request="r2"), clock)
    others_snapshots = snapshot_ids(other.physical_id)
    made = make(method, work(instance), clock)
    assert (len(own_images()), len(snapshots()), len(keys())) == (2, 4, 2)

    for _ in range(2):
        remove(method, made)
        assert own_images() == [other.physical_id]
        assert snapshots() == others_snapshots
        assert keys() == [f"{other.physical_id}.bin"]


def test_an_object_that_has_changed_stays(method: StoreImage, instance: str, clock: Clock) -> None:
    made = make(method, work(instance), clock)
    aws.s3().put_object(Bucket="images", Key=f"{made.physical_id}.bin", Body=b"another's")

    remove(method, made)

    assert keys() == [f"{made.physical_id}.bin"]
    assert (own_images(), snapshots()) == ([], set())


def test_without_an_etag_all_of_it_is_removed(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    other = make(method, work(instance, request="r2"), clock)
    made = make(method, work(instance), clock)

    remove(method, replace(made, etag=""))

    assert (own_images(), keys()) == ([other.physical_id], [f"{other.physical_id}.bin"])
    assert snapshots() == snapshot_ids(other.physical_id)


def test_an_image_that_was_disabled_is_removed(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance), clock)
    become(made.physical_id, "disabled")

    with hiding(is_hidden_by_default):
        remove(method, made)

    assert (own_images(), snapshots(), keys()) == ([], set(), [])


def test_the_snapshots_of_an_image_that_was_restored_and_disabled_stay(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance), clock)
    restored = available(method, work(instance, request="r2"), clock)
    theirs = snapshot_ids(restored.id)
    ours = [{"Key": REQUEST_TAG, "Value": "r1"}]
    aws.ec2().create_tags(Resources=[restored.id, *theirs], Tags=ours)  # type: ignore[arg-type]
    become(restored.id, "disabled")

    with hiding(is_hidden_by_default):
        remove(method, made)

    assert snapshots() == theirs


def test_an_image_can_be_removed_whose_bucket_is_gone(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance), clock)
    aws.s3().delete_object(Bucket="images", Key=f"{made.physical_id}.bin")
    aws.s3().delete_bucket(Bucket="images")

    remove(method, made)

    assert (own_images(), snapshots()) == ([], set())


def test_an_image_that_was_restored_has_the_tags_and_stays(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    """EC2 restores an image and its snapshots with the tags that they had when they were stored
    (EC2 User Guide, How AMI store and restore works)."""
    made = make(method, work(instance), clock)
    restored = available(method, work(instance, Image(name="restored"), request="r2"), clock)
    theirs = snapshot_ids(restored.id)
    ours = [{"Key": REQUEST_TAG, "Value": "r1"}]
    aws.ec2().create_tags(Resources=[restored.id, *theirs], Tags=ours)  # type: ignore[arg-type]

    method.update_image(made, KEY, Image(), TAGGED)
    assert all_tags(restored.id) == made_tags({})
    remove(method, made)

    assert own_images() == [restored.id]
    assert snapshots() == theirs


def test_what_was_made_stays_where_nothing_may_be_deleted(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance), clock)

    with pytest.raises(NotDeletable, match=f"s3://images/{made.physical_id}.bin can't be removed"):
        remove(StoreImage(Limits(deletes_objects=False)), made)
    assert (own_images(), len(snapshots()), len(keys())) == ([made.physical_id], 2, 1)


# Removing what failed work left


def test_an_image_that_is_pending_is_removed_with_its_snapshots(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    task = method.start(work(instance))
    other = method.start(work(instance, request="r2"))

    for _ in range(2):
        method.remove_leftovers(target(instance), task)
        assert own_images() == [other.id]
        assert snapshots() == snapshot_ids(other.id)


@pytest.mark.parametrize("allowed", [True, False])
def test_snapshots_are_removed_whose_image_is_gone(
    method: StoreImage, instance: str, allowed: bool
) -> None:
    task = method.start(work(instance))
    method.cancel(task.id)
    assert len(snapshots()) == 2

    StoreImage(Limits(deletes_objects=allowed)).remove_leftovers(target(instance), task)
    assert snapshots() == set()


def test_an_image_that_failed_is_removed(method: StoreImage, instance: str, clock: Clock) -> None:
    tag(instance, image_outcome="failed")
    task = available(method, work(instance), clock)

    method.remove_leftovers(target(instance), task)
    assert (own_images(), snapshots()) == ([], set())


@pytest.mark.parametrize(("allowed", "left"), [(True, 0), (False, 1)])
def test_a_stored_object_is_removed_where_that_is_allowed(
    method: StoreImage, instance: str, clock: Clock, allowed: bool, left: int
) -> None:
    asked = work(instance)
    made = make(method, asked, clock)
    [task] = found(method, asked)

    StoreImage(Limits(deletes_objects=allowed)).remove_leftovers(asked.target, task)
    assert keys() == [f"{made.physical_id}.bin"][:left]
    assert (own_images(), snapshots()) == ([], set())


def test_leftovers_are_removed_where_the_bucket_is_gone(method: StoreImage, instance: str) -> None:
    asked = work(instance)
    task = method.start(asked)
    aws.s3().delete_bucket(Bucket="images")
    method.remove_leftovers(asked.target, task)

    assert (own_images(), snapshots()) == ([], set())


# Updating


@pytest.mark.parametrize("description", ["", "another"])
def test_the_description_is_changed(
    method: StoreImage, instance: str, clock: Clock, calls: list[str], description: str
) -> None:
    made = make(method, work(instance, TAGGED), clock)
    calls.clear()

    assert (
        method.update_image(made, KEY, TAGGED, replace(TAGGED, description=description))
        == made.physical_id
    )

    assert [call for call in calls if "Describe" not in call] == ["ModifyImageAttribute"]
    assert image_of(made.physical_id).get("Description", "") == description


def test_tags_are_added_changed_and_removed_and_others_stay(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance, TAGGED), clock)
    other = method.start(work(instance, TAGGED, request="r2"))
    resources = [made.physical_id, *snapshot_ids(made.physical_id)]
    aws.ec2().create_tags(Resources=resources, Tags=[{"Key": "backup", "Value": "daily"}])
    stay = {"backup": "daily"}

    new = replace(TAGGED, tags={"of": "api", "team": "blue"})
    for _ in range(2):
        method.update_image(made, KEY, TAGGED, new)
        assert all_tags(made.physical_id) == made_tags({"of": "api", "team": "blue", **stay})
    method.update_image(made, KEY, new, replace(TAGGED, tags={}))
    assert all_tags(made.physical_id) == made_tags(stay)
    method.update_image(made, KEY, replace(TAGGED, tags={}), TAGGED)
    assert all_tags(made.physical_id) == made_tags({**TAGGED.tags, **stay})
    assert all_tags(other.id) == made_tags(TAGGED.tags, "r2")


def test_nothing_is_updated_where_nothing_changed(method: StoreImage, calls: list[str]) -> None:
    made = Bundle(NOWHERE, "r1", Location("images", "web"), "tag")

    same = replace(TAGGED, tags=dict(TAGGED.tags), object_tags={"of": "web"})
    assert method.update_image(made, KEY, TAGGED, same) == NOWHERE
    assert method.update_image(made, KEY, None, Image()) == NOWHERE
    assert method.update_image(made, KEY, None, None) == NOWHERE
    assert calls == []


def test_an_image_of_which_nothing_is_said_any_more_keeps_nothing_of_what_was_said(
    method: StoreImage, instance: str, clock: Clock
) -> None:
    made = make(method, work(instance, TAGGED), clock)

    assert method.update_image(made, KEY, TAGGED, None) == made.physical_id
    assert image_of(made.physical_id).get("Description", "") == ""
    assert all_tags(made.physical_id) == made_tags({})
    assert method.update_image(made, KEY, None, TAGGED) == made.physical_id
    assert image_of(made.physical_id)["Description"] == "of the web"
    assert all_tags(made.physical_id) == made_tags(TAGGED.tags)


# Faults


@pytest.mark.parametrize("fault", [THROTTLE, FAULT, ReadTimeoutError(endpoint_url="https://ec2")])
@pytest.mark.parametrize("attempt", [StoreImage.start, StoreImage.dry_run])
def test_a_fault_in_reading_the_instance_means_nothing_was_done(
    method: StoreImage, instance: str, fault: Exception, attempt: Callable[..., Any]
) -> None:
    with failing("DescribeInstances", fault), pytest.raises(NothingDone):
        attempt(method, work(instance))
    assert own_images() == []


@pytest.mark.parametrize(("fault", "meaning"), faults("CreateImage"))
def test_what_an_error_in_creating_an_image_means(
    method: StoreImage, instance: str, fault: Exception, meaning: type[Exception]
) -> None:
    with failing("CreateImage", fault), pytest.raises(meaning) as raised:
        method.start(work(instance))
    assert type(raised.value) is meaning


def test_the_sdk_does_not_repeat_the_creation_whose_image_is_found(
    method: StoreImage, instance: str
) -> None:
    asked = work(instance)
    with cut_after(aws.ec2_once(), "CreateImage") as sent, pytest.raises(PassingFault) as raised:
        method.start(asked)

    assert not isinstance(raised.value, NothingDone)
    assert len(sent) == 1
    [task] = found(method, asked)
    assert own_images() == [task.id]
    assert method.start(asked).id == task.id


@pytest.mark.parametrize("fault", [THROTTLE, FAULT, DENIAL])
def test_a_fault_in_taking_up_an_image_may_have_started_it(
    method: StoreImage, instance: str, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    asked = work(instance)
    method.start(asked)
    monkeypatch.setattr(images, "require_free_name", lambda *_: None)

    with failing("DescribeImages", fault), pytest.raises(PassingFault) as raised:
        method.start(asked)
    assert not isinstance(raised.value, NothingDone)


CHANGED = replace(TAGGED, description="another", tags={"team": "blue"})
MADE_STEPS: dict[str, tuple[list[str], Callable[[StoreImage, Bundle], object]]] = {
    "remove": (
        [
            "DescribeImages",
            "DeregisterImage",
            "DescribeSnapshots",
            "HeadObject",
            "DeleteObjects",
        ],
        lambda method, made: remove(method, made),
    ),
    "update": (
        ["ModifyImageAttribute", "DescribeImages", "CreateTags", "DeleteTags"],
        lambda method, made: method.update_image(made, KEY, TAGGED, CHANGED),
    ),
}


@pytest.mark.parametrize(
    ("operation", "step"),
    [(operation, name) for name, (operations, _) in MADE_STEPS.items() for operation in operations],
)
def test_a_fault_in_dealing_with_what_was_made_passes(
    method: StoreImage, instance: str, clock: Clock, operation: str, step: str
) -> None:
    made = make(method, work(instance, TAGGED), clock)
    _, act = MADE_STEPS[step]
    for fault, meaning in faults(operation):
        with failing(operation, fault), pytest.raises(meaning):
            act(method, made)

    act(method, made)

    if step == "remove":
        assert (own_images(), snapshots(), keys()) == ([], set(), [])
    else:
        assert image_of(made.physical_id)["Description"] == "another"
        assert all_tags(made.physical_id) == made_tags({"team": "blue"})


@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("DescribeImages", lambda method, asked, task: method.find(asked.target, asked.since)),
        ("DescribeImages", lambda method, asked, task: seen(method, task)),
        ("DescribeStoreImageTasks", lambda method, asked, task: seen(method, task)),
        ("CreateStoreImageTask", advance),
        ("DescribeImages", lambda method, asked, task: method.cancel(task.id)),
        ("DeregisterImage", lambda method, asked, task: method.cancel(task.id)),
    ],
)
def test_a_fault_in_making_passes(
    method: StoreImage,
    instance: str,
    clock: Clock,
    operation: str,
    act: Callable[[StoreImage, Work, Task], Any],
) -> None:
    asked = work(instance)
    task = available(method, asked, clock)
    for fault, meaning in faults(operation):
        with failing(operation, fault), pytest.raises(meaning):
            act(method, asked, task)
    assert seen(method, task).state == "available"

    act(method, asked, task)
