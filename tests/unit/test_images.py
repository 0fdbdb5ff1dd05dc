"""What both methods know of AMIs, against an EC2 that keeps EC2's rules."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from instance_bundle import aws
from instance_bundle.aws import image_changes, images
from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.errors import (
    Denied,
    Doubtful,
    Gone,
    NothingDone,
    PassingFault,
    Refused,
    Throttled,
    Unsuitable,
)
from instance_bundle.request import RequestKey
from instance_bundle.request.properties import Image, Location
from sandbox.ec2 import api as ec2
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import image_of, snapshots_of, tags_of

NOWHERE = "ami-0123456789abcdef0"
TAGGED = Image(description="of the web", tags={"of": "web", "stage": "test"})
KEY = RequestKey("arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d", "Bundle", "r1")
OWN_TAGS = {
    REQUEST_TAG: "r1",
    "cfn-instance-bundle:stack-id": KEY.stack_id,
    "cfn-instance-bundle:stack-name": "web",
    "cfn-instance-bundle:logical-id": "Bundle",
}
NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
"""A name that an AMI can have (EC2 API Reference, CreateImage)."""


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
        "Call",
    )


THROTTLE = error("RequestLimitExceeded", 503)
FAULT = error("InternalError", 500)
DENIAL = error("UnauthorizedOperation", 403)
PASSING = ((THROTTLE, Throttled), (FAULT, PassingFault))


WAITED_OUT = {"CreateStoreImageTask", "CreateTags", "DeleteTags", "ModifyImageAttribute"}


def faults(operation: str) -> list[tuple[Exception, type[Exception]]]:
    """What a call of EC2 or S3 can meet, and what that means."""
    if operation.startswith(("Describe", "Head")):
        return [*PASSING, (DENIAL, Doubtful)]
    return [*PASSING, (DENIAL, Refused if operation in WAITED_OUT else Denied)]


@contextmanager
def failing(operation: str, fault: Exception) -> Iterator[None]:
    original: Any = vars(BaseClient)["_make_api_call"]

    def call(client: BaseClient, name: str, arguments: Any) -> Any:
        if name == operation:
            raise fault
        return original(client, name, arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        yield


@contextmanager
def cut_after(client: Any, operation: str) -> Iterator[list[str]]:
    """Have the first answer of a call lost; the tries that the SDK makes."""
    sent: list[str] = []

    def lose(request: AWSPreparedRequest, event_name: str, **_: Any) -> None:
        if event_name.endswith(f".{operation}"):
            sent.append(event_name)
            if len(sent) == 1:
                raise ReadTimeoutError(endpoint_url=request.url)

    # moto answers at the same event, by its shortest name.
    client.meta.events.register_last("before-send", lose)
    try:
        yield sent
    finally:
        client.meta.events.unregister("before-send", lose)


@contextmanager
def noting_calls() -> Iterator[list[str]]:
    """The calls of EC2 that are made, by their names."""
    made: list[str] = []

    def note(model: Any, **_: Any) -> None:
        made.append(model.name)

    clients = (aws.ec2(), aws.ec2_once())
    for client in clients:
        client.meta.events.register("before-call.ec2", note)
    try:
        yield made
    finally:
        for client in clients:
            client.meta.events.unregister("before-call.ec2", note)


Asked = Mapping[str, Any]
"""The parameters of a call."""


@contextmanager
def hiding(is_hidden: Callable[[Asked, Any], bool]) -> Iterator[None]:
    """Have DescribeImages leave out images, by what it was asked and by the image."""

    def note(params: Any, context: Any, **_: Any) -> None:
        context["asked"] = params

    def hide(parsed: Any, context: Any, **_: Any) -> None:
        parsed["Images"] = [
            image for image in parsed["Images"] if not is_hidden(context["asked"], image)
        ]

    events = aws.ec2().meta.events
    events.register("before-parameter-build.ec2.DescribeImages", note)
    events.register("after-call.ec2.DescribeImages", hide)
    try:
        yield
    finally:
        events.unregister("before-parameter-build.ec2.DescribeImages", note)
        events.unregister("after-call.ec2.DescribeImages", hide)


def is_too_young(asked: Asked, image: Any) -> bool:
    """An image that was made just now is not seen yet."""
    return True


def is_seen_by_name_alone(asked: Asked, image: Any) -> bool:
    """Of an image that was made just now the tags are not seen yet."""
    return all(each["Name"] != "name" for each in asked["Filters"])


def is_hidden_by_default(asked: Asked, image: Any) -> bool:
    """EC2 shows no disabled images to those who do not ask for them, which moto does (EC2 API
    Reference, DescribeImages)."""
    return image["State"] == "disabled" and not asked.get("IncludeDisabled")


def become(image_id: str, state: str, why: Mapping[str, str] | None = None) -> None:
    """Have an image be in a state that moto does not bring it to by itself."""
    image: Any = ec2_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].amis[image_id]
    image.state, image.state_reason = state, why


def own_images() -> list[str]:
    """The account's images, the oldest first."""
    return [image["ImageId"] for image in aws.ec2().describe_images(Owners=["self"])["Images"]]


@pytest.fixture
def instance(clock: Clock) -> Iterator[str]:
    # No delay: what the rules are, not when others see what was done. tests/chaos has the delay.
    with ec2.install(clock, delay=0), mock_aws():
        yield ec2.run_ebs_instance(aws.ec2())


@pytest.fixture
def calls(instance: str) -> Iterator[list[str]]:
    with noting_calls() as made:
        yield made


def create(instance: str, name: str = "web", **tags: str) -> str:
    """An image that was not made by the function."""
    return aws.ec2().create_image(
        InstanceId=instance,
        Name=name,
        NoReboot=True,
        TagSpecifications=[{"ResourceType": "image", "Tags": images.tags(tags)}] if tags else [],
    )["ImageId"]


def create_for(request_id: str, instance: str, name: str = "web", **tags: str) -> str:
    return create(instance, name, **{REQUEST_TAG: request_id}, **tags)


# Seeing


def test_images_are_seen_by_request_and_by_name(instance: str) -> None:
    ours, other = create_for("r1", instance, "web"), create_for("r2", instance, "api")

    def seen(*filters: Any) -> list[str]:
        return [image["ImageId"] for image in images.describe([*filters])]

    assert seen(images.made_for("r1")) == [ours]
    assert seen(images.named("api")) == [other]
    assert seen(images.made_for("r1"), images.named("api")) == []


def test_images_of_other_accounts_are_not_seen(instance: str) -> None:
    [image] = aws.ec2().describe_images(ImageIds=[ec2.WINDOWS_EBS_IMAGE])["Images"]

    assert images.describe([images.named(image["Name"])]) == []


def test_an_image_that_was_disabled_is_seen(instance: str) -> None:
    image_id = create_for("r1", instance)
    become(image_id, "disabled")

    with hiding(is_hidden_by_default):
        assert [image["ImageId"] for image in images.describe([images.made_for("r1")])] == [
            image_id
        ]


@pytest.mark.parametrize(("fault", "meant"), faults("DescribeImages"))
def test_what_an_error_in_seeing_means(
    instance: str, fault: Exception, meant: type[Exception]
) -> None:
    with failing("DescribeImages", fault), pytest.raises(meant) as raised:
        images.describe([images.named("web")])
    assert type(raised.value) is meant


# A name that is taken


def test_a_name_may_be_taken_by_the_requests_own_image(instance: str) -> None:
    image_id = create_for("r1", instance)

    own = images.own_of_taken_name("web", "r1")
    assert own is not None
    assert own["ImageId"] == image_id


@pytest.mark.parametrize("tags", [{REQUEST_TAG: "r2"}, {}, {"of": "r1"}])
def test_a_name_may_be_taken_by_anothers_image(instance: str, tags: dict[str, str]) -> None:
    create(instance, **tags)

    assert images.own_of_taken_name("web", "r1") is None


def test_an_image_that_can_not_be_seen_yet_may_be_the_requests_own(instance: str) -> None:
    create_for("r1", instance)

    with hiding(is_too_young), pytest.raises(PassingFault, match="name web is not visible yet"):
        images.own_of_taken_name("web", "r1")


@pytest.mark.parametrize("fault", [THROTTLE, FAULT, DENIAL])
def test_an_image_that_may_not_be_seen_may_be_the_requests_own(
    instance: str, fault: Exception
) -> None:
    create_for("r1", instance)

    with failing("DescribeImages", fault), pytest.raises(PassingFault) as raised:
        images.own_of_taken_name("web", "r1")
    assert not isinstance(raised.value, NothingDone)


# Names


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("stack/Bundle/r1", "stack/Bundle/r1"),
        ("images/web", "images/web/r1"),
        ("arn:aws:%&é#*/Bündel", "arn-aws------/B-ndel/r1"),
        ("with (all) [it's] @ may_have.", "with (all) [it's] @ may_have./r1"),
        ("p" * 900, "p" * 125 + "/r1"),
        ("r", "r/r1"),
    ],
)
def test_a_name_is_made_that_ec2_takes(prefix: str, name: str) -> None:
    assert NAME.fullmatch(name)
    assert images.made_name(Location("images", prefix), "r1") == name


def test_a_made_name_keeps_request_and_distinction_whatever_the_prefix() -> None:
    request = "9d2a8ba0-3c1d-4f4e-9a5c-2f9a3d1c7b01"
    for prefix in ("a", "a" * 900, f"stack/{'B' * 255}/{request}"):
        name = images.made_name(Location("images", prefix), request, "-0123abcd")
        assert NAME.fullmatch(name)
        assert name.endswith(f"/{request}-0123abcd")


# Updating


CHANGED = replace(TAGGED, description="another", tags={"of": "api", "team": "blue"})


def test_only_what_the_stack_describes_is_changed(clock: Clock, instance: str) -> None:
    image_id = create_for("r1", instance, **TAGGED.tags, backup="daily")
    clock.now += 2
    other = create_for("r1", instance, "api", **TAGGED.tags)

    for _ in range(2):
        image_changes.update([image_id], TAGGED, CHANGED)
        assert image_of(image_id)["Description"] == "another"
        assert tags_of(image_of(image_id)) == {
            **CHANGED.tags,
            "backup": "daily",
            REQUEST_TAG: "r1",
        }
    assert tags_of(image_of(other)) == {**TAGGED.tags, REQUEST_TAG: "r1"}


@pytest.mark.parametrize(
    ("new", "made"),
    [
        (replace(TAGGED, tags=dict(reversed([*TAGGED.tags.items()]))), []),
        (replace(TAGGED, name="api"), []),
        (replace(TAGGED, description=""), ["ModifyImageAttribute"]),
        (replace(TAGGED, tags={**TAGGED.tags, "team": "blue"}), ["CreateTags"]),
        (replace(TAGGED, tags={}), ["DeleteTags"]),
        (CHANGED, ["ModifyImageAttribute", "CreateTags", "DeleteTags"]),
    ],
)
def test_no_more_calls_are_made_than_there_are_changes(
    clock: Clock, instance: str, calls: list[str], new: Image, made: list[str]
) -> None:
    image_id = create_for("r1", instance, **TAGGED.tags)
    clock.now += 2
    calls.clear()

    image_changes.update([image_id], TAGGED, new)
    assert calls == made


@pytest.mark.parametrize("operation", ["ModifyImageAttribute", "CreateTags", "DeleteTags"])
def test_an_update_that_a_fault_interrupted_is_completed_by_repeating_it(
    clock: Clock, instance: str, operation: str
) -> None:
    image_id = create_for("r1", instance, **TAGGED.tags)
    clock.now += 2
    for fault, meant in faults(operation):
        with failing(operation, fault), pytest.raises(meant) as raised:
            image_changes.update([image_id], TAGGED, CHANGED)
        assert type(raised.value) is meant

    image_changes.update([image_id], TAGGED, CHANGED)
    assert image_of(image_id)["Description"] == "another"
    assert tags_of(image_of(image_id)) == {**CHANGED.tags, REQUEST_TAG: "r1"}


# Deregistering, and deleting snapshots


def test_an_image_is_deregistered_and_one_that_is_gone_is_no_error(instance: str) -> None:
    image_id, other = create_for("r1", instance), create_for("r1", instance, "api")

    for _ in range(2):
        images.deregister(image_id)
        assert own_images() == [other]
    images.deregister(NOWHERE)


def test_a_denial_to_deregister_what_is_gone_is_no_error(instance: str) -> None:
    """The role may touch what has our tag, which nothing has that is gone."""
    image_id = create_for("r1", instance)
    with failing("DeregisterImage", DENIAL), pytest.raises(Denied):
        images.deregister(image_id)
    images.deregister(image_id)

    with failing("DeregisterImage", DENIAL):
        images.deregister(image_id)


def test_what_ec2_lists_and_does_not_find_is_too_young_and_not_gone(instance: str) -> None:
    image_id = create_for("r1", instance, **TAGGED.tags)
    unavailable = error("InvalidAMIID.Unavailable", 400)

    for operation in ("ModifyImageAttribute", "CreateTags", "DeleteTags"):
        with failing(operation, unavailable), pytest.raises(Refused, match="Unavailable"):
            image_changes.update([image_id], TAGGED, CHANGED)
    with failing("DeregisterImage", unavailable), pytest.raises(Refused, match="Unavailable"):
        images.deregister(image_id)


def test_what_is_gone_is_left_out_of_an_update(clock: Clock, instance: str) -> None:
    image_id, other = create_for("r1", instance), create_for("r1", instance, "api")
    clock.now += 2
    images.deregister(other)

    image_changes.update([image_id, "snap-0123456789abcdef0"], Image(), TAGGED)
    with pytest.raises(Gone):
        image_changes.update([other, "snap-0123456789abcdef0"], Image(), TAGGED)

    assert tags_of(image_of(image_id)) == {**TAGGED.tags, REQUEST_TAG: "r1"}


def test_an_update_that_may_not_be_made_is_refused_for_the_tag_that_is_lost(
    clock: Clock, instance: str
) -> None:
    image_id = create_for("r1", instance)
    clock.now += 2
    with failing("CreateTags", DENIAL), pytest.raises(Refused, match="UnauthorizedOperation"):
        image_changes.update([image_id], Image(), TAGGED)

    aws.ec2().delete_tags(Resources=[image_id], Tags=[{"Key": REQUEST_TAG}])
    clock.now += 2

    with failing("CreateTags", DENIAL), pytest.raises(Unsuitable, match="without the tag"):
        image_changes.update([image_id], Image(), TAGGED)


def test_an_image_that_is_disabled_is_not_updated_and_the_reason_says_that(
    clock: Clock, instance: str
) -> None:
    image_id = create_for("r1", instance)
    clock.now += 2
    aws.ec2().disable_image(ImageId=image_id)
    clock.now += 2

    unavailable = error("InvalidAMIID.Unavailable", 400)
    with (
        failing("ModifyImageAttribute", unavailable),
        pytest.raises(Unsuitable, match=f"{image_id} is disabled"),
    ):
        image_changes.update([image_id], Image(), CHANGED)


def test_a_denial_to_update_what_is_gone_means_that_it_is_gone(clock: Clock, instance: str) -> None:
    """The role may touch what has our tag, which nothing has that is gone."""
    image_id = create_for("r1", instance)
    images.deregister(image_id)
    clock.now += 2

    with failing("CreateTags", DENIAL), pytest.raises(Gone):
        image_changes.update([image_id, "snap-0123456789abcdef0"], Image(), TAGGED)


def test_an_id_that_is_none_is_no_image_that_is_gone(instance: str) -> None:
    with pytest.raises(Denied, match=r"InvalidAMIID\.Malformed"):
        images.deregister("web")


@pytest.mark.parametrize(("fault", "meant"), faults("DeregisterImage"))
def test_what_an_error_in_deregistering_means(
    instance: str, fault: Exception, meant: type[Exception]
) -> None:
    image_id = create_for("r1", instance)
    with failing("DeregisterImage", fault), pytest.raises(meant):
        images.deregister(image_id)
    assert own_images() == [image_id]


@pytest.fixture
def snapshot(clock: Clock, instance: str) -> str:
    """A snapshot whose image is gone."""
    image_id = create_for("r1", instance)
    clock.now += 2
    [found] = snapshots_of(image_of(image_id))
    images.deregister(image_id)
    clock.now += 2
    return str(found["SnapshotId"])


def test_a_snapshot_is_deleted_and_one_that_is_gone_is_no_error(snapshot: str) -> None:
    for _ in range(2):
        images.delete_snapshot(snapshot)
        assert snapshot not in images.snapshots([])


def test_a_denial_to_delete_a_snapshot_that_is_gone_is_no_error(snapshot: str) -> None:
    """The role may touch what has our tag, which nothing has that is gone."""
    with failing("DeleteSnapshot", DENIAL), pytest.raises(Denied):
        images.delete_snapshot(snapshot)
    images.delete_snapshot(snapshot)

    with failing("DeleteSnapshot", DENIAL):
        images.delete_snapshot(snapshot)


def test_a_snapshot_that_ec2_lists_and_does_not_find_is_too_young_and_not_gone(
    snapshot: str,
) -> None:
    missing = error("InvalidSnapshot.NotFound", 400)
    with failing("DeleteSnapshot", missing), pytest.raises(Refused, match=r"Snapshot\.NotFound"):
        images.delete_snapshot(snapshot)


def test_a_snapshot_that_an_image_needs_is_waited_for(clock: Clock, instance: str) -> None:
    image_id = create_for("r1", instance)
    clock.now += 2
    [found] = snapshots_of(image_of(image_id))

    with pytest.raises(Refused, match=r"InvalidSnapshot\.InUse"):
        images.delete_snapshot(found["SnapshotId"])
