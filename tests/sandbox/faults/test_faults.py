import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.faults.faults import Fault, Faults
from tests.sandbox.faults.conftest import Function, Sandbox, deployed, once_allowed
from tests.sandbox.functions.conftest import is_running, wait_for


class Ec2:
    """Makes a key pair."""

    call = "ec2:CreateKeyPair"

    def __init__(self, sandbox: Sandbox) -> None:
        self._client = sandbox.client("ec2")
        self._name = uuid.uuid4().hex

    def make(self) -> None:
        self._client.create_key_pair(KeyName=self._name)

    def is_made(self) -> bool:
        pairs = self._client.describe_key_pairs()["KeyPairs"]
        return self._name in [pair["KeyName"] for pair in pairs]


class DynamoDb:
    """Puts an item."""

    call = "dynamodb:PutItem"

    def __init__(self, sandbox: Sandbox) -> None:
        self._client = sandbox.client("dynamodb")
        self._table = uuid.uuid4().hex
        self._client.create_table(
            TableName=self._table,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def make(self) -> None:
        self._client.put_item(TableName=self._table, Item={"id": {"S": "item"}})

    def is_made(self) -> bool:
        return bool(self._client.scan(TableName=self._table)["Items"])


class Sqs:
    """Sends a message."""

    call = "sqs:SendMessage"

    def __init__(self, sandbox: Sandbox) -> None:
        self._client = sandbox.client("sqs")
        self._url = self._client.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]

    def make(self) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody="message")

    def is_made(self) -> bool:
        return bool(self._client.receive_message(QueueUrl=self._url).get("Messages"))


class S3:
    """Puts an object that takes more than one packet."""

    call = "s3:PutObject"

    def __init__(self, sandbox: Sandbox) -> None:
        self._client = sandbox.client("s3")
        self._bucket = uuid.uuid4().hex
        self._client.create_bucket(Bucket=self._bucket)

    def make(self) -> None:
        self._client.put_object(Bucket=self._bucket, Key="a/key", Body=b"x" * 300_000)

    def is_made(self) -> bool:
        return bool(self._client.list_objects_v2(Bucket=self._bucket).get("Contents"))


class CloudFormation:
    """Creates a stack: a service with no codes of its own here."""

    call = "cloudformation:CreateStack"

    def __init__(self, sandbox: Sandbox) -> None:
        self._client = sandbox.client("cloudformation")
        self._name = f"stack-{uuid.uuid4().hex}"

    def make(self) -> None:
        template = {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}
        self._client.create_stack(StackName=self._name, TemplateBody=json.dumps(template))

    def is_made(self) -> bool:
        stacks = self._client.describe_stacks()["Stacks"]
        return self._name in [stack["StackName"] for stack in stacks]


Service = type[Ec2] | type[DynamoDb] | type[Sqs] | type[S3] | type[CloudFormation]
SERVICES: list[Service] = [Ec2, DynamoDb, Sqs, S3, CloudFormation]


@pytest.mark.parametrize(
    ("service", "fault", "status", "code"),
    [
        (Ec2, "fail", 500, "InternalError"),
        (Ec2, "throttle", 503, "RequestLimitExceeded"),
        (Ec2, "deny", 403, "UnauthorizedOperation"),
        (DynamoDb, "fail", 500, "InternalServerError"),
        (DynamoDb, "throttle", 400, "ThrottlingException"),
        (DynamoDb, "deny", 400, "AccessDeniedException"),
        (Sqs, "fail", 500, "InternalFailure"),
        (Sqs, "throttle", 400, "RequestThrottled"),
        (Sqs, "deny", 403, "AccessDenied"),
        (S3, "fail", 500, "InternalError"),
        (S3, "throttle", 503, "SlowDown"),
        (S3, "deny", 403, "AccessDenied"),
        (CloudFormation, "fail", 500, "InternalFailure"),
        (CloudFormation, "throttle", 400, "Throttling"),
        (CloudFormation, "deny", 403, "AccessDenied"),
    ],
)
def test_an_error_is_the_services_own_and_nothing_is_done(
    sandbox: Sandbox, service: Service, fault: str, status: int, code: str
) -> None:
    called = service(sandbox)
    sandbox.set(called.call, fault)
    with pytest.raises(ClientError) as refusal:
        called.make()
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["Error"]["Message"]
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert not called.is_made()
    called.make()
    assert called.is_made()


@pytest.mark.parametrize(("fault", "is_made"), [("cut", False), ("cut-after", True)])
@pytest.mark.parametrize("service", SERVICES)
def test_a_cut_call_gets_no_answer(
    sandbox: Sandbox,
    service: Service,
    fault: str,
    is_made: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    called = service(sandbox)
    sandbox.set(called.call, fault)
    with pytest.raises(ConnectionClosedError):
        called.make()
    assert called.is_made() == is_made
    assert [record for record in caplog.records if record.name == "werkzeug"] == []


@pytest.mark.parametrize("action", ["describe_instances", "head_object"])
def test_a_fault_may_be_about_what_the_call_itself_holds(sandbox: Sandbox, action: str) -> None:
    ec2, s3 = sandbox.client("ec2"), sandbox.client("s3")
    filters = [{"Name": "tag:Name", "Values": ["this one"]}]
    s3.create_bucket(Bucket="holding")
    for key in ("other", "this one"):
        s3.put_object(Bucket="holding", Key=key, Body=b"")
    call = "ec2:DescribeInstances" if action == "describe_instances" else "s3:HeadObject"
    sandbox.set(call, "deny", holding="this one")

    if action == "describe_instances":
        ec2.describe_instances()
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            ec2.describe_instances(Filters=filters)
    else:
        s3.head_object(Bucket="holding", Key="other")
        with pytest.raises(ClientError, match="403"):
            s3.head_object(Bucket="holding", Key="this one")


@pytest.mark.parametrize("service", SERVICES)
def test_a_delayed_call_is_carried_out(sandbox: Sandbox, service: Service) -> None:
    called = service(sandbox)
    sandbox.set(called.call, "delay", seconds=0.2)
    start = time.monotonic()
    called.make()
    assert time.monotonic() - start >= 0.2
    assert called.is_made()


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("fail", 500, "500"), ("throttle", 503, "503"), ("deny", 403, "403")],
)
def test_an_error_of_a_head_request_has_no_body(
    sandbox: Sandbox, fault: str, status: int, code: str
) -> None:
    s3 = sandbox.client("s3")
    bucket = uuid.uuid4().hex
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    sandbox.set("s3:HeadObject", fault)
    with pytest.raises(ClientError) as refusal:
        s3.head_object(Bucket=bucket, Key="key")
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    s3.head_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ListBuckets", {}),
        ("CreateBucket", {"Bucket": "bucket"}),
        ("HeadBucket", {"Bucket": "bucket"}),
        ("DeleteBucket", {"Bucket": "bucket"}),
        ("ListObjects", {"Bucket": "bucket", "Prefix": "p"}),
        ("ListObjectsV2", {"Bucket": "bucket", "Prefix": "p", "MaxKeys": 2}),
        ("ListObjectVersions", {"Bucket": "bucket"}),
        ("ListMultipartUploads", {"Bucket": "bucket"}),
        ("GetBucketLocation", {"Bucket": "bucket"}),
        ("GetObject", {"Bucket": "bucket", "Key": "a/b", "VersionId": "v"}),
        ("HeadObject", {"Bucket": "bucket", "Key": "a/b"}),
        ("PutObject", {"Bucket": "bucket", "Key": "a/b", "Body": b"x"}),
        ("CopyObject", {"Bucket": "bucket", "Key": "a/b", "CopySource": "other/key"}),
        ("DeleteObject", {"Bucket": "bucket", "Key": "a/b"}),
        ("DeleteObjects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a/b"}]}}),
        ("CreateMultipartUpload", {"Bucket": "bucket", "Key": "a/b"}),
        ("UploadPart", {"Bucket": "bucket", "Key": "a/b", "PartNumber": 1, "UploadId": "u"}),
        ("ListParts", {"Bucket": "bucket", "Key": "a/b", "UploadId": "u"}),
        ("CompleteMultipartUpload", {"Bucket": "bucket", "Key": "a/b", "UploadId": "u"}),
        ("AbortMultipartUpload", {"Bucket": "bucket", "Key": "a/b", "UploadId": "u"}),
    ],
)
def test_calls_of_s3_have_the_names_that_aws_gives_them(
    sandbox: Sandbox, name: str, arguments: dict[str, Any]
) -> None:
    s3 = sandbox.client("s3")
    [method] = [its for its, named in s3.meta.method_to_api_mapping.items() if named == name]
    sandbox.set(f"s3:{name}", "throttle")
    with pytest.raises(ClientError, match=r"SlowDown|\(503\)"):
        getattr(s3, method)(**arguments)
    [fault] = sandbox.shown()
    assert fault["hits"] == [f"s3:{name}"]


def test_a_subresource_is_not_taken_for_what_it_belongs_to(sandbox: Sandbox) -> None:
    s3 = sandbox.client("s3")
    bucket = uuid.uuid4().hex
    sandbox.set("s3:CreateBucket", "fail", nth=2)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    [fault] = sandbox.shown()
    assert fault["seen"] == 1


def test_faults_begin_at_the_nth_call_and_repeat_as_often_as_set(sandbox: Sandbox) -> None:
    fault = sandbox.set("ec2:DescribeVpcs", "fail", nth=2, times=2)
    ec2 = sandbox.client("ec2")

    def succeeds() -> bool:
        try:
            ec2.describe_vpcs()
        except ClientError:
            return False
        return True

    ec2.describe_subnets()
    assert [succeeds() for _ in range(5)] == [True, False, False, True, True]
    assert sandbox.shown() == [{**fault, "seen": 5, "hits": ["ec2:DescribeVpcs"] * 2}]


def test_each_fault_counts_and_the_oldest_whose_turn_it_is_strikes(sandbox: Sandbox) -> None:
    sandbox.set("ec2:DescribeVpcs", "deny", nth=2)
    sandbox.set("ec2:DescribeVpcs", "throttle", times=3)
    codes = []
    for _ in range(3):
        with pytest.raises(ClientError) as refusal:
            sandbox.client("ec2").describe_vpcs()
        codes.append(refusal.value.response["Error"]["Code"])
    assert codes == ["RequestLimitExceeded", "UnauthorizedOperation", "RequestLimitExceeded"]
    assert [fault["seen"] for fault in sandbox.shown()] == [3, 3]
    assert [len(fault["hits"]) for fault in sandbox.shown()] == [1, 2]


def test_a_fault_is_injected_as_often_as_set_when_calls_are_concurrent() -> None:
    faults = Faults()
    faults.set(Fault("ec2:DescribeVpcs", "fail", nth=100, times=300))
    start = threading.Barrier(8)

    def call(_: int) -> int:
        start.wait()
        struck = [faults.strike("ec2:DescribeVpcs", None, by_function=False) for _ in range(100)]
        return sum(fault is not None for fault in struck)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(call, range(8))) == 300
    [described] = faults.described()
    assert described["seen"] == 800


def test_faults_are_shown_and_cleared(sandbox: Sandbox) -> None:
    first = sandbox.set("ec2:BundleInstance", "kill", about="i-1", nth=3)
    second = sandbox.set("*", "delay", times=1000, seconds=0.5)
    assert first == {
        "id": first["id"],
        "call": "ec2:BundleInstance",
        "fault": "kill",
        "nth": 3,
        "times": 1,
        "about": "i-1",
        "holding": None,
        "seconds": 1.0,
        "body": None,
        "code": None,
        "message": None,
        "status": None,
        "seen": 0,
        "hits": [],
    }
    assert sandbox.shown() == [first, second]
    assert sandbox.request("DELETE", f"/{first['id']}").status == 204
    assert sandbox.request("DELETE", f"/{first['id']}").status == 404
    assert sandbox.shown() == [second]
    assert sandbox.request("DELETE").status == 204
    assert sandbox.shown() == []
    assert sandbox.request("PUT").status == 405
    assert sandbox.request("GET", "/1").status == 405


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ({"call": "*", "fault": "fail", "time": 2}, "'time' is no member.*call, fault, nth"),
        ({"fault": "fail"}, "call is missing.*ec2:BundleInstance"),
        ({"call": "ec2:BundleInstance"}, "fault is missing.*one of fail, throttle"),
        ({"call": "BundleInstance", "fault": "fail"}, "call.*service:Action"),
        ({"call": ["*"], "fault": "fail"}, "call.*service:Action"),
        ({"call": "*", "fault": "explode"}, "fault.*one of fail"),
        ({"call": "*", "fault": "fail", "nth": 0}, "nth is 0.*whole number from 1"),
        ({"call": "*", "fault": "fail", "times": 0}, "times is 0.*whole number from 1"),
        ({"call": "*", "fault": "fail", "times": True}, "times is true.*whole number from 1"),
        ({"call": "*", "fault": "fail", "nth": 1.5}, "nth is 1.5.*whole number from 1"),
        ({"call": "*", "fault": "fail", "about": ""}, "about.*not empty"),
        ({"call": "*", "fault": "delay", "seconds": -1}, "seconds is -1.*number of seconds"),
        ({"call": "*", "fault": "delay", "seconds": float("nan")}, "seconds.*number of seconds"),
        (
            {"call": "*", "fault": "twice"},
            "twice is for event:Delivery and message:Delivery and bus:Delivery",
        ),
        ({"call": "event:Delivery", "fault": "fail"}, "event:Delivery takes twice"),
        ({"call": "bus:Delivery", "fault": "kill"}, "bus:Delivery takes twice, delay, cut"),
    ],
)
def test_the_answer_to_an_invalid_body_says_what_is_wrong(
    sandbox: Sandbox, body: Any, message: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = sandbox.request("POST", body=text.encode())
    assert answer.status == 400
    [line] = answer.data.decode().splitlines()
    with pytest.raises(ValueError, match=message):
        raise ValueError(line)
    assert sandbox.shown() == []


def test_a_killed_function_dies_in_its_call(function: Function) -> None:
    function.sandbox.set("ec2:CreateVpc", "kill", about="this one")
    before = _vpcs(function.sandbox)
    assert function.invoke("CreateVpc&CidrBlock=10.0.0.0/16", about="other")["Payload"] == {
        "answers": [200]
    }
    answer = function.invoke("DescribeVpcs", "CreateVpc&CidrBlock=10.0.0.0/16", about="this one")
    assert answer["FunctionError"] == "Unhandled"
    assert "signal: killed" in answer["Payload"]["errorMessage"]
    assert not is_running(function.events()[-1]["pid"])
    assert _vpcs(function.sandbox) == before + 1
    assert function.invoke("DescribeVpcs", about="this one")["Payload"] == {"answers": [200]}
    [fault] = function.sandbox.shown()
    assert (fault["seen"], fault["hits"]) == (1, ["ec2:CreateVpc"])


def test_a_function_killed_after_its_call_has_done_it(function: Function) -> None:
    function.sandbox.set("ec2:CreateVpc", "kill-after")
    before = _vpcs(function.sandbox)
    answer = function.invoke("CreateVpc&CidrBlock=10.0.0.0/16")
    assert "signal: killed" in answer["Payload"]["errorMessage"]
    assert _vpcs(function.sandbox) == before + 1
    assert "answers" not in function.records()[-1]


def test_a_users_calls_are_not_a_functions(function: Function) -> None:
    sandbox = function.sandbox
    for call, more in {
        "*": {},
        "ec2:DescribeVpcs": {"about": "this one"},
    }.items():
        sandbox.set(call, "throttle", **more)
    sandbox.set("ec2:DescribeVpcs", "kill", nth=2)
    sandbox.client("ec2").describe_vpcs()
    assert [fault["seen"] for fault in sandbox.shown()] == [0, 0, 0]
    answers = function.invoke("DescribeVpcs", about="this one")["Payload"]["answers"]
    assert answers == [503]
    assert [fault["seen"] for fault in sandbox.shown()] == [1, 1, 1]


def test_a_cut_call_of_a_function_fails_in_it(function: Function) -> None:
    function.sandbox.set("*", "cut", nth=2)
    answers = function.invoke("DescribeVpcs", "DescribeSubnets", "DescribeVpcs")
    assert answers["Payload"] == {"answers": [200, "RemoteDisconnected", 200]}
    [fault] = function.sandbox.shown()
    assert (fault["seen"], fault["hits"]) == (3, ["ec2:DescribeSubnets"])


@pytest.mark.parametrize(
    ("fault", "puts"),
    [
        ("fail", [500, 200]),
        ("throttle", [503, 200]),
        ("deny", [403, 200]),
        ("cut", ["RemoteDisconnected", 200]),
        ("cut-after", ["RemoteDisconnected", 200]),
        ("kill", [200]),
        ("kill-after", [200]),
    ],
)
def test_the_answer_of_a_custom_resource_is_struck(
    sandbox: Sandbox, tmp_path: Path, fault: str, puts: list[Any]
) -> None:
    function = deployed(sandbox, "put", tmp_path / "record.jsonl")
    stack = f"stack-{uuid.uuid4().hex}"
    sandbox.set("response:Put", fault, about=stack)
    template = {
        "Resources": {
            "Custom": {"Type": "Custom::Thing", "Properties": {"ServiceToken": function.arn}}
        }
    }
    cloudformation = sandbox.client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    wait_for(lambda: status_of(sandbox, stack) == "CREATE_COMPLETE")
    assert wait_for(lambda: puts_of(function, len(puts))) == puts
    received = sandbox.responses()
    mine = [answer for answer in received if f"/{stack}/" in answer["stackId"]]
    assert [answer["taken"] for answer in mine] == (
        [True, False] if fault.endswith("-after") else [True]
    )


def test_an_event_is_delivered_twice(function: Function) -> None:
    sandbox = function.sandbox
    sandbox.set("event:Delivery", "twice", about="this one")
    for about in ("other", "this one"):
        sandbox.client("lambda").invoke(
            FunctionName=function.name,
            Payload=json.dumps({"about": about}),
            InvocationType="Event",
        )
    wait_for(lambda: len(function.events()) == 3)
    assert sorted(record["event"]["about"] for record in function.events()) == [
        "other",
        "this one",
        "this one",
    ]
    [fault] = sandbox.shown()
    assert (fault["seen"], fault["hits"]) == (1, ["event:Delivery"])


def test_each_delivery_of_an_event_has_its_own_retries(function: Function) -> None:
    sandbox = function.sandbox
    sandbox.set("event:Delivery", "twice")
    sandbox.set("ec2:DescribeVpcs", "kill", times=2)
    sandbox.client("lambda").invoke(
        FunctionName=function.name,
        Payload=json.dumps({"actions": ["DescribeVpcs"]}),
        InvocationType="Event",
    )
    answered: Callable[[], bool] = lambda: (  # noqa: E731
        sum("answers" in record for record in function.records()) == 2
    )
    wait_for(answered)
    assert len(function.events()) == 4


def test_a_batch_of_messages_is_delivered_twice_and_deleted(function: Function) -> None:
    sandbox = function.sandbox
    sqs = sandbox.client("sqs")
    url = sqs.create_queue(QueueName=uuid.uuid4().hex, Attributes={"VisibilityTimeout": "30"})[
        "QueueUrl"
    ]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    once_allowed(
        lambda: sandbox.client("lambda").create_event_source_mapping(
            FunctionName=function.name,
            EventSourceArn=attributes["Attributes"]["QueueArn"],
            BatchSize=1,
        )
    )
    sandbox.set("message:Delivery", "twice", about="this one")
    for body in ("other", "this one"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    wait_for(lambda: len(function.events()) == 3)
    records = [record["event"]["Records"][0] for record in function.events()]
    twice = [record for record in records if record["body"] == "this one"]
    assert len(twice) == 2
    assert twice[0] == twice[1]
    wait_for(lambda: _messages(sandbox, url) == ("0", "0"))
    [fault] = sandbox.shown()
    assert (fault["seen"], fault["hits"]) == (1, ["message:Delivery"])


def _vpcs(sandbox: Sandbox) -> int:
    return len(sandbox.client("ec2").describe_vpcs()["Vpcs"])


def status_of(sandbox: Sandbox, stack: str) -> str:
    [described] = sandbox.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    status: str = described["StackStatus"]
    return status


def puts_of(function: Function, count: int) -> list[Any]:
    puts = [record["put"] for record in function.records()]
    return puts if len(puts) == count else []


def _messages(sandbox: Sandbox, url: str) -> tuple[str, str]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sandbox.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return answer["Attributes"][names[0]], answer["Attributes"][names[1]]
