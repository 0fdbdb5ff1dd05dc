"""Upload policies and the bundle tasks that use them, on a clock that is moved."""

import base64
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import urllib3
from moto import mock_aws

from sandbox.clients import CREDENTIALS, REGION, Clients
from sandbox.ec2 import api as ec2
from sandbox.ec2.upload_policies import sign
from sandbox.server import Server

from .support import Observers, wait_for

KEY, SECRET = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
BUCKET, ACL = {"bucket": "images"}, {"acl": "ec2-bundle-read"}
PREFIX = ["starts-with", "$key", "web/windows"]
GOOD = [BUCKET, ACL, PREFIX]
STORES_AT, SECONDS = 6.0, 10.0

# Made once, since that takes longer than most tests; moto answers them while it is on.
EC2 = boto3.client("ec2", region_name=REGION)
IAM = boto3.client("iam", region_name=REGION)
S3 = boto3.client("s3", region_name=REGION)


@dataclass
class Clock:
    """A clock that stops until it is moved; epoch seconds."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with ec2.install(clock), mock_aws():
        S3.create_bucket(Bucket="images")
        yield clock


def policy(moment: float, *conditions: Any) -> bytes:
    """A policy that expires at a moment, in epoch seconds."""
    expiration = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return json.dumps({"expiration": expiration, "conditions": conditions}).encode()


def signed(document: bytes, key: str = KEY, secret: str = SECRET) -> dict[str, Any]:
    """What a request says of an upload policy."""
    signature = sign(base64.b64encode(document).decode(), secret)
    return {
        "AWSAccessKeyId": key,
        "UploadPolicy": document,
        "UploadPolicySignature": signature,
    }


def end_of(clock: Clock, given: dict[str, Any]) -> tuple[str, str | None]:
    """State and error of a task that has come to its end."""
    storage: Any = {"S3": {"Bucket": "images", "Prefix": "web/windows", **given}}
    instance = ec2.run_windows_instance_store(EC2)
    task = EC2.bundle_instance(InstanceId=instance, Storage=storage)["BundleTask"]
    for seconds in (STORES_AT + 1, SECONDS - STORES_AT):
        clock.now += seconds
        [task] = EC2.describe_bundle_tasks(BundleIds=[task["BundleId"]])["BundleTasks"]
    [reservation] = EC2.describe_instances(InstanceIds=[instance])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "running"
    if "BundleTaskError" not in task:
        return task["State"], None
    error = task["BundleTaskError"]
    return task["State"], f"{error['Code']}: {error['Message']}"


def keys() -> list[str]:
    return [item["Key"] for item in S3.list_objects_v2(Bucket="images").get("Contents", [])]


def test_a_good_policy_lets_the_bundle_be_written(clock: Clock) -> None:
    assert end_of(clock, signed(policy(clock.now + 86400, *GOOD))) == ("complete", None)
    assert "web/windows.manifest.xml" in keys()


def test_a_users_key_signs_as_long_as_it_is_active(clock: Clock) -> None:
    IAM.create_user(UserName="owner")
    key = IAM.create_access_key(UserName="owner")["AccessKey"]
    given = signed(policy(clock.now + 86400, *GOOD), key["AccessKeyId"], key["SecretAccessKey"])

    assert end_of(clock, given) == ("complete", None)

    IAM.update_access_key(UserName="owner", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert end_of(clock, given)[0] == "failed"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (
            [{"bucket": "others"}, ACL, PREFIX],
            'Policy Condition failed: ["eq", "$bucket", "others"]',
        ),
        (
            [BUCKET, ACL, ["starts-with", "$key", "x/"]],
            'Policy Condition failed: ["starts-with", "$key", "x/"]',
        ),
        (
            [BUCKET, {"acl": "private"}, PREFIX],
            'Policy Condition failed: ["eq", "$acl", "private"]',
        ),
        ([BUCKET, PREFIX], "Extra input fields: acl"),
    ],
)
def test_a_policy_for_something_else_fails_the_task(
    clock: Clock, conditions: list[Any], words: str
) -> None:
    given = signed(policy(clock.now + 86400, *conditions))

    assert end_of(clock, given) == (
        "failed",
        f"Client.S3Error: Invalid according to Policy: {words}",
    )
    assert keys() == []


def test_a_bad_signature_fails_the_task(clock: Clock) -> None:
    given = signed(policy(clock.now + 86400, *GOOD), secret="another")  # noqa: S106

    state, error = end_of(clock, given)

    assert state == "failed"
    assert error == (
        "Client.S3Error: The request signature we calculated does not match the signature you "
        "provided. Check your key and signing method."
    )


def test_a_key_that_nobody_has_fails_the_task(clock: Clock) -> None:
    given = signed(policy(clock.now + 86400, *GOOD), key="AKIANOBODYS")

    assert end_of(clock, given) == (
        "failed",
        "Client.S3Error: The AWS Access Key Id you provided does not exist in our records.",
    )


def test_a_key_with_no_signature_fails_the_task(clock: Clock) -> None:
    state, error = end_of(clock, {"AWSAccessKeyId": KEY})

    assert state == "failed"
    assert error is not None
    assert "must contain a field named 'Policy'" in error


@pytest.mark.parametrize("seconds", [-1, STORES_AT - 1, SECONDS - 1])
def test_a_policy_fails_the_task_that_writes_after_it_has_expired(
    clock: Clock, seconds: float
) -> None:
    given = signed(policy(clock.now + seconds, *GOOD))

    assert end_of(clock, given) == (
        "failed",
        "Client.S3Error: Invalid according to Policy: Policy expired.",
    )
    assert keys() == []


def test_a_bucket_without_acls_refuses_the_policys(clock: Clock) -> None:
    S3.put_bucket_ownership_controls(
        Bucket="images", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )

    assert end_of(clock, signed(policy(clock.now + 86400, *GOOD))) == (
        "failed",
        "Client.S3Error: The bucket does not allow ACLs",
    )
    assert end_of(clock, {}) == ("complete", None)


def test_what_counts_is_the_text_on_the_wire() -> None:
    with Server() as server:
        clients = Observers(server.endpoint)
        clients.s3.create_bucket(Bucket="images")
        instance = ec2.run_windows_instance_store(clients.ec2)
        clients.ec2.create_tags(
            Resources=[instance], Tags=[{"Key": "sandbox:seconds", "Value": "0.5"}]
        )
        text = base64.encodebytes(policy(4_000_000_000, *GOOD)).decode()
        assert text.count("\n") > 1

        _bundle(server.endpoint, instance, text, sign(text, SECRET))

        assert wait_for(lambda: _end(clients, instance), "the end of the task") == "complete"


def _bundle(endpoint: str, instance: str, text: str, signature: str) -> None:
    """Send a request whose base64 no SDK would write: with line breaks."""
    parameters = {
        "Action": "BundleInstance",
        "Version": "2016-11-15",
        "InstanceId": instance,
        "Storage.S3.Bucket": "images",
        "Storage.S3.Prefix": "web/windows",
        "Storage.S3.AWSAccessKeyId": KEY,
        "Storage.S3.UploadPolicy": text,
        "Storage.S3.UploadPolicySignature": signature,
    }
    answer = urllib3.request(
        "POST",
        endpoint,
        body=urllib.parse.urlencode(parameters),
        headers={
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/ec2/aws4_request"
            ", SignedHeaders=host, Signature=0",
        },
    )
    assert answer.status == 200, answer.data


def _end(clients: Clients, instance: str) -> str | None:
    tasks = clients.ec2.describe_bundle_tasks(
        Filters=[{"Name": "instance-id", "Values": [instance]}]
    )["BundleTasks"]
    ended = (task["State"] for task in tasks if task["State"] in {"complete", "failed"})
    return next(ended, None)
