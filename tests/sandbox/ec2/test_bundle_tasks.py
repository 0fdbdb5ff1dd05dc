"""EC2's rules for bundle tasks, through ordinary clients and a clock that the test moves."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.clients import REGION
from sandbox.ec2 import api as ec2
from sandbox.ec2 import bundle_tasks
from tests.fixtures import Clock

# Made once, since that takes longer than most tests; moto answers them while it is on.
EC2 = boto3.client("ec2", region_name=REGION)
S3 = boto3.client("s3", region_name=REGION)


@pytest.fixture
def ec2_client(clock: Clock) -> Iterator[Any]:
    with ec2.install(clock), mock_aws():
        S3.create_bucket(Bucket="images")
        yield EC2


@pytest.fixture
def instance(ec2_client: Any) -> str:
    return ec2.run_windows_instance_store(ec2_client)


def steer(ec2_client: Any, instance: str, **tags: str) -> None:
    ec2_client.create_tags(
        Resources=[instance],
        Tags=[{"Key": f"sandbox:{key}", "Value": value} for key, value in tags.items()],
    )


def bundle(ec2_client: Any, instance: str, prefix: str = "web", **s3: Any) -> str:
    storage = {"S3": {"Bucket": "images", "Prefix": prefix} | s3}
    task = ec2_client.bundle_instance(InstanceId=instance, Storage=storage)["BundleTask"]
    bundle_id: str = task["BundleId"]
    return bundle_id


def read(ec2_client: Any, bundle_id: str) -> dict[str, Any]:
    [task] = ec2_client.describe_bundle_tasks(BundleIds=[bundle_id])["BundleTasks"]
    found: dict[str, Any] = task
    return found


def state_of(ec2_client: Any, instance: str) -> str:
    described = ec2_client.describe_instances(InstanceIds=[instance])
    name: str = described["Reservations"][0]["Instances"][0]["State"]["Name"]
    return name


def keys() -> list[str]:
    found = S3.list_objects_v2(Bucket="images")
    return [item["Key"] for item in found.get("Contents", [])]


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    code: str = raised.value.response["Error"]["Code"]
    return code


def test_a_task_goes_through_its_states_in_their_order(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    steer(ec2_client, instance, seconds="100")
    bundle_id = bundle(ec2_client, instance)
    seen = []
    clock.now += 3
    for _ in range(105):
        task = read(ec2_client, bundle_id)
        seen.append((task["State"], task.get("Progress")))
        clock.now += 1

    states = list(dict.fromkeys(state for state, _ in seen))
    assert states == ["pending", "waiting-for-shutdown", "bundling", "storing", "complete"]
    progress = [int(text.removesuffix("%")) for _, text in seen if text]
    assert progress == sorted(progress)
    assert (seen[0][1], seen[-1][1]) == (None, "100%")


def test_the_instance_is_shut_down_and_runs_again_before_the_task_reads_complete(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance)
    assert state_of(ec2_client, instance) == "running"
    clock.now += 3
    read(ec2_client, bundle_id)
    assert state_of(ec2_client, instance) == "stopped"
    clock.now += 3600

    assert read(ec2_client, bundle_id)["State"] == "complete"
    assert state_of(ec2_client, instance) == "running"


def test_a_complete_bundle_is_parts_and_a_manifest_that_names_them(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance, "web/windows")
    clock.now += 8
    read(ec2_client, bundle_id)
    assert keys() == [f"web/windows.part.{number}" for number in range(3)]
    clock.now += 2
    read(ec2_client, bundle_id)

    assert "web/windows.manifest.xml" in keys()
    body = S3.get_object(Bucket="images", Key="web/windows.manifest.xml")["Body"]
    manifest = ElementTree.fromstring(body.read())  # noqa: S314  the sandbox wrote it
    named = [part.findtext("filename") for part in manifest.iter("part")]
    assert named == ["windows.part.0", "windows.part.1", "windows.part.2"]


def test_a_task_that_is_to_fail_fails_with_its_error_and_leaves_no_objects(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    steer(ec2_client, instance, outcome="failed", error="Client.S3Error: Access: denied")
    bundle_id = bundle(ec2_client, instance)
    clock.now += 8
    read(ec2_client, bundle_id)
    clock.now += 2

    task = read(ec2_client, bundle_id)
    assert task["State"] == "failed"
    assert task["BundleTaskError"] == {"Code": "Client.S3Error", "Message": "Access: denied"}
    assert keys() == []
    assert state_of(ec2_client, instance) == "running"


def test_a_bucket_that_is_not_there_fails_the_task(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance, Bucket="nobodys-bucket")
    clock.now += 10

    error = read(ec2_client, bundle_id)["BundleTaskError"]
    assert error == {
        "Code": "Client.S3Error",
        "Message": "The specified bucket does not exist",
    }


def test_a_task_that_hangs_ends_only_by_its_cancel(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    steer(ec2_client, instance, outcome="hang")
    bundle_id = bundle(ec2_client, instance)
    clock.now += 100_000
    assert read(ec2_client, bundle_id)["State"] == "bundling"

    cancelled = ec2_client.cancel_bundle_task(BundleId=bundle_id)["BundleTask"]
    assert cancelled["State"] == "cancelling"
    assert state_of(ec2_client, instance) == "stopped"
    clock.now += 1

    task = read(ec2_client, bundle_id)
    assert task["State"] == "failed"
    assert task["BundleTaskError"] == {
        "Code": "Client.Cancelled",
        "Message": "User has requested bundling operation cancellation",
    }
    assert state_of(ec2_client, instance) == "running"


def test_a_task_that_is_cancelled_while_it_stores_leaves_no_objects(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance)
    clock.now += 8
    read(ec2_client, bundle_id)
    assert keys()

    ec2_client.cancel_bundle_task(BundleId=bundle_id)
    clock.now += 1

    assert read(ec2_client, bundle_id)["State"] == "failed"
    assert keys() == []


def test_a_task_that_has_ended_can_not_be_cancelled(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance)
    clock.now += 10

    assert code_of(ec2_client.cancel_bundle_task, BundleId=bundle_id) == "IncorrectState"
    assert code_of(ec2_client.cancel_bundle_task, BundleId="bun-0") == "InvalidBundleID.NotFound"


def test_an_instance_has_one_task_at_a_time(ec2_client: Any, instance: str, clock: Clock) -> None:
    bundle(ec2_client, instance)
    storage = {"S3": {"Bucket": "images", "Prefix": "other"}}

    assert (
        code_of(ec2_client.bundle_instance, InstanceId=instance, Storage=storage)
        == "BundlingInProgress"
    )
    clock.now += 10
    assert bundle(ec2_client, instance, "other").startswith("bun-")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"InstanceId": "i-nonsense"}, "InvalidInstanceID.Malformed"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"Storage": {"S3": {"Prefix": "web"}}}, "MissingParameter"),
        ({"Storage": {"S3": {"Bucket": "images"}}}, "MissingParameter"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)
def test_a_request_that_ec2_refuses_gets_ec2s_code_and_is_on_record(
    ec2_client: Any, instance: str, arguments: dict[str, Any], code: str
) -> None:
    request = {
        "InstanceId": instance,
        "Storage": {"S3": {"Bucket": "images", "Prefix": "web"}},
    } | arguments

    assert code_of(ec2_client.bundle_instance, **request) == code

    [received] = bundle_tasks.requests_received()
    assert received["Error"] == code
    assert ec2_client.describe_bundle_tasks()["BundleTasks"] == []


@pytest.mark.parametrize("steering", [{"seconds": "soon"}, {"outcome": "explode"}])
def test_a_tag_that_steers_nowhere_is_refused(
    ec2_client: Any, instance: str, steering: dict[str, str]
) -> None:
    steer(ec2_client, instance, **steering)
    storage = {"S3": {"Bucket": "images", "Prefix": "web"}}

    code = code_of(ec2_client.bundle_instance, InstanceId=instance, Storage=storage)

    assert code == "InvalidParameterValue"


def test_an_instance_that_does_not_run_can_not_be_bundled(ec2_client: Any, instance: str) -> None:
    ec2_client.terminate_instances(InstanceIds=[instance])
    storage = {"S3": {"Bucket": "images", "Prefix": "web"}}

    code = code_of(ec2_client.bundle_instance, InstanceId=instance, Storage=storage)

    assert code == "IncorrectInstanceState"


@pytest.mark.parametrize("image", [ec2.WINDOWS_EBS_IMAGE, ec2.LINUX_EBS_IMAGE])
def test_an_instance_of_the_wrong_kind_can_not_be_bundled(ec2_client: Any, image: str) -> None:
    run = ec2_client.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    storage = {"S3": {"Bucket": "images", "Prefix": "web"}}

    with pytest.raises(ClientError, match="not applicable for") as raised:
        ec2_client.bundle_instance(InstanceId=run["Instances"][0]["InstanceId"], Storage=storage)

    assert raised.value.response["Error"]["Code"] == "OperationNotPermitted"


def test_instances_show_their_kind(ec2_client: Any, instance: str) -> None:
    ebs = ec2.run_ebs_instance(ec2_client)
    described = ec2_client.describe_instances(InstanceIds=[instance, ebs])
    kinds = {
        item["InstanceId"]: (item["RootDeviceType"], item["Platform"])
        for reservation in described["Reservations"]
        for item in reservation["Instances"]
    }

    assert kinds == {instance: ("instance-store", "windows"), ebs: ("ebs", "windows")}


def test_tasks_are_found_by_filters(ec2_client: Any, instance: str, clock: Clock) -> None:
    other = ec2.run_windows_instance_store(ec2_client)
    one, two = bundle(ec2_client, instance, "web/1"), bundle(ec2_client, other, "web/2")
    clock.now += 3

    def found(**filters: list[str]) -> set[str]:
        asked = [{"Name": k.replace("_", "-"), "Values": v} for k, v in filters.items()]
        tasks = ec2_client.describe_bundle_tasks(Filters=asked)["BundleTasks"]
        return {task["BundleId"] for task in tasks}

    assert found(bundle_id=[one, "bun-missing"]) == {one}
    assert found(instance_id=[other]) == {two}
    assert found(s3_prefix=["web/*"]) == {one, two}
    assert found(s3_prefix=["web/?"], instance_id=[instance]) == {one}
    assert found(state=["complete", "failed"]) == set()


def test_what_describe_refuses(ec2_client: Any) -> None:
    describe = ec2_client.describe_bundle_tasks

    assert code_of(describe, BundleIds=["bun-missing"]) == "InvalidBundleID.NotFound"
    assert (
        code_of(describe, Filters=[{"Name": "colour", "Values": ["red"]}])
        == "InvalidParameterValue"
    )
    many = [{"Name": "bundle-id", "Values": [f"bun-{number}" for number in range(201)]}]
    assert code_of(describe, Filters=many) == "FilterLimitExceeded"


def test_a_task_is_listed_for_an_hour_after_its_end(
    ec2_client: Any, instance: str, clock: Clock
) -> None:
    bundle_id = bundle(ec2_client, instance)
    clock.now += 10
    assert read(ec2_client, bundle_id)["State"] == "complete"
    clock.now += 3599
    assert read(ec2_client, bundle_id)
    clock.now += 1

    assert code_of(ec2_client.describe_bundle_tasks, BundleIds=[bundle_id])
    assert "web.manifest.xml" in keys()


def test_a_request_is_on_record_as_it_was_received(ec2_client: Any, instance: str) -> None:
    bundle_id = bundle(
        ec2_client,
        instance,
        AWSAccessKeyId="AKIAIOSFODNN7EXAMPLE",
        UploadPolicy=b'{"conditions": []}',
        UploadPolicySignature="c2lnbmF0dXJl",
    )

    [received] = bundle_tasks.requests_received()
    assert received | {"received": ""} == {
        "InstanceId": instance,
        "Storage": {
            "S3": {
                "Bucket": "images",
                "Prefix": "web",
                "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "UploadPolicy": '{"conditions": []}',
                "UploadPolicySignature": "c2lnbmF0dXJl",
            }
        },
        "DryRun": False,
        "received": "",
        "BundleId": bundle_id,
    }


def test_the_ticker_goes_on_where_a_task_is_broken(
    ec2_client: Any, instance: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    bundle(ec2_client, instance)

    def broken() -> float:
        raise ArithmeticError("no time")

    [tasks] = bundle_tasks._all()
    tasks._clock = broken
    bundle_tasks.advance_all()

    assert "could not be advanced" in caplog.text
