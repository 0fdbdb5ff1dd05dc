import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.functions import code_store
from sandbox.functions import service as lambda_functions
from tests.fixtures import Clock
from tests.moto_server import moto_server
from tests.sandbox.functions.conftest import Account, is_running, package, wait_for

Deploy = Callable[..., str]


def test_an_invocation_answers_what_the_handler_returns(account: Account, deploy: Deploy) -> None:
    deploy("echo", Timeout=7)
    answer = account.invoke({"number": 1})
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert answer["Payload"]["event"] == {"number": 1}
    assert 5000 < answer["Payload"]["remaining_ms"] <= 7000


def test_an_idle_process_takes_the_next_invocation(account: Account, deploy: Deploy) -> None:
    deploy("echo")
    first, second = (account.invoke()["Payload"] for _ in range(2))
    assert first["pid"] == second["pid"]
    assert first["request_id"] != second["request_id"]


def test_changed_configuration_takes_a_new_process(account: Account, deploy: Deploy) -> None:
    deploy("echo")
    first = account.invoke()["Payload"]
    account.client("lambda").update_function_configuration(FunctionName="Fn", MemorySize=512)
    second = account.invoke()["Payload"]
    assert first["pid"] != second["pid"]
    assert not is_running(first["pid"])


def test_an_exception_is_a_function_error_and_leaves_the_process_warm(
    account: Account, deploy: Deploy
) -> None:
    deploy("fail")
    answer = account.invoke()
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "ValueError"
    assert answer["Payload"]["errorMessage"] == "no good"
    account.invoke()
    assert len({record["pid"] for record in account.records()}) == 1


def test_a_function_is_killed_with_its_children_at_its_deadline(
    account: Account, deploy: Deploy
) -> None:
    deploy("hold", Timeout=1)
    answer = account.invoke()
    assert answer["FunctionError"] == "Unhandled"
    [record] = account.records()
    assert answer["Payload"] == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {record['request_id']} Error: "
        "Task timed out after 1.00 seconds",
    }
    assert not is_running(record["pid"])
    wait_for(lambda: not is_running(record["event"]["child"]))
    account.release.touch()
    assert "FunctionError" not in account.invoke()
    assert account.records()[1]["pid"] != record["pid"]


def test_a_process_that_exits_is_reported_with_its_status(account: Account, deploy: Deploy) -> None:
    deploy("die")
    answer = account.invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "Runtime.ExitError"
    assert answer["Payload"]["errorMessage"].endswith(
        "Error: Runtime exited with error: exit status 3"
    )


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("broken.handler", ("RuntimeError", "broken at import")),
        ("app.absent", ("Runtime.HandlerNotFound", "Handler 'absent' missing on module 'app'")),
    ],
)
def test_code_that_does_not_load_is_a_function_error(
    account: Account, deploy: Deploy, handler: str, error: tuple[str, str]
) -> None:
    deploy(handler)
    answer = account.invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert (answer["Payload"]["errorType"], answer["Payload"]["errorMessage"]) == error


def test_a_function_sees_the_environment_of_aws_and_not_ours(
    account: Account, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "secret")
    deploy(
        "describe", MemorySize=256, LoggingConfig={"LogFormat": "JSON", "LogGroup": "/bundle/logs"}
    )
    seen = account.invoke(["json", "awslambdaric", "app", "moto", "boto3", "pip"])["Payload"]
    environment = seen["environment"]
    assert environment | account.variables() == environment
    expected = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "Fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/bundle/logs",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": seen["directory"],
        "TZ": ":UTC",
        "_HANDLER": "app.describe",
    }
    assert environment | expected == environment
    assert "OURS" not in environment
    assert seen["importable"] == ["json", "awslambdaric", "app", "boto3"]


def test_printed_lines_reach_the_log_whole(account: Account, deploy: Deploy) -> None:
    deploy("say")
    lines = ["plain", json.dumps({"level": "INFO", "text": "ü" * 70_000}), "{}"]
    account.invoke({"lines": lines})
    wait_for(lambda: len(account.lines) >= 3)
    assert account.lines == [("Fn", line) for line in lines]


def test_a_dry_run_runs_nothing(account: Account, deploy: Deploy) -> None:
    deploy("fail")
    answer = account.invoke(InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert account.records() == []


def test_a_payload_that_is_no_json_is_refused(account: Account, deploy: Deploy) -> None:
    deploy("echo")
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        account.client("lambda").invoke(FunctionName="Fn", Payload=b"{")


def test_reserved_concurrency_throttles_calls_that_wait_and_delays_those_that_do_not(
    account: Account, deploy: Deploy
) -> None:
    deploy("hold")
    account.client("lambda").put_function_concurrency(
        FunctionName="Fn", ReservedConcurrentExecutions=1
    )
    account.invoke(InvocationType="Event")
    wait_for(account.records)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        account.invoke()
    account.invoke("second", InvocationType="Event")
    account.release.touch()
    wait_for(lambda: len(account.records()) == 2)
    assert account.records()[1]["event"]["event"] == "second"


def test_an_event_that_fails_to_the_end_goes_to_the_on_failure_queue(
    account: Account, deploy: Deploy
) -> None:
    arn = deploy("fail")
    url, queue_arn = account.create_queue("failures")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue_arn}},
    )
    answer = account.invoke({"key": "value"}, InvocationType="Event")
    assert answer["StatusCode"] == 202
    assert answer["Payload"] is None
    [message] = wait_for(lambda: account.messages(url))
    record = json.loads(message["Body"])
    assert record["version"] == "1.0"
    assert record["timestamp"].endswith("Z")
    [request_id] = {seen["request_id"] for seen in account.records()}
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": f"{arn}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert record["requestPayload"] == {"key": "value"}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "no good"
    assert len(account.records()) == 2


def test_an_event_is_tried_until_it_succeeds(account: Account, deploy: Deploy) -> None:
    deploy("fail_once")
    account.invoke(InvocationType="Event")
    wait_for(lambda: len(account.records()) == 2)
    wait_for(lambda: not _threads("sandbox function task"))
    assert len(account.records()) == 2


def test_an_event_waits_for_its_retry_and_is_given_up_at_its_maximum_age(
    account: Account, clock: Clock
) -> None:
    service = lambda_functions.install({}, account.log, clock)
    try:
        account.deploy("fail")
        url, queue_arn = account.create_queue("failures")
        account.client("lambda").put_function_event_invoke_config(
            FunctionName="Fn",
            MaximumEventAgeInSeconds=3600,
            DestinationConfig={"OnFailure": {"Destination": queue_arn}},
        )
        account.invoke(InvocationType="Event")
        wait_for(account.records)
        start = clock.now
        wait_for(lambda: clock.advance(1) and len(account.records()) == 2)
        assert clock.now - start >= 60
        clock.advance(3600)
        [message] = wait_for(lambda: account.messages(url))
    finally:
        service.close()
    context = json.loads(message["Body"])["requestContext"]
    assert context["condition"] == "EventAgeExceeded"
    assert context["approximateInvokeCount"] == 2


TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Fn": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "Fn",
                "Handler": "app.echo",
                "Runtime": "python3.13",
                "Code": {"S3Bucket": "code", "S3Key": "package.zip"},
                "Timeout": 12,
                "MemorySize": 256,
                "Architectures": ["arm64"],
                "Environment": {"Variables": {"A": "b"}},
                "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/bundle/logs"},
            },
        },
        "Retries": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Fn"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "MaximumEventAgeInSeconds": 120,
                "DestinationConfig": {
                    "OnFailure": {"Destination": {"Fn::GetAtt": ["Queue", "Arn"]}}
                },
            },
        },
        "Polls": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                "FunctionName": {"Ref": "Fn"},
                "BatchSize": 100,
                "MaximumBatchingWindowInSeconds": 1,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": 2},
            },
        },
    }
}


@pytest.mark.usefixtures("functions")
def test_cloudformation_makes_functions_with_all_that_runs_them(account: Account) -> None:
    s3, client = account.client("s3"), account.client("lambda")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="package.zip", Body=package())
    TEMPLATE["Resources"]["Fn"]["Properties"]["Role"] = account.role()
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="stack", TemplateBody=json.dumps(TEMPLATE))

    function = client.get_function_configuration(FunctionName="Fn")
    assert function["Timeout"] == 12
    assert function["MemorySize"] == 256
    assert function["Architectures"] == ["arm64"]
    assert function["Runtime"] == "python3.13"
    assert function["Environment"] == {"Variables": {"A": "b"}}
    assert function["LoggingConfig"] == {
        "LogFormat": "JSON",
        "LogGroup": "/bundle/logs",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
    }
    config = client.get_function_event_invoke_config(FunctionName="Fn")
    assert config["MaximumRetryAttempts"] == 1
    assert config["MaximumEventAgeInSeconds"] == 120
    assert config["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:sqs:")
    [mapping] = client.list_event_source_mappings()["EventSourceMappings"]
    assert mapping["FunctionArn"] == function["FunctionArn"]
    assert mapping["BatchSize"] == 100
    assert mapping["MaximumBatchingWindowInSeconds"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert account.invoke("hello")["Payload"]["event"] == "hello"

    cloudformation.delete_stack(StackName="stack")
    assert client.list_functions()["Functions"] == []


def test_a_function_calls_the_server_that_runs_it(tmp_path: Path) -> None:
    with moto_server() as endpoint:
        account = Account(tmp_path, endpoint)
        service = lambda_functions.install({"AWS_ENDPOINT_URL": endpoint}, account.log)
        try:
            account.client("sqs").create_queue(QueueName="seen")
            account.deploy("list_queues")
            [url] = account.invoke()["Payload"]["QueueUrls"]
            assert url.endswith("/seen")
        finally:
            service.close()


def test_close_leaves_nothing_behind_even_while_a_function_runs(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_store, "PLACE", tmp_path)
    before = threading.enumerate()
    service = lambda_functions.install({}, account.log)
    try:
        account.deploy("echo", "Idle")
        idle = account.invoke(name="Idle")["Payload"]["pid"]
        # A close that waited for it would outlast the test.
        account.deploy("hold", "Running", Timeout=900)
        account.invoke(name="Running", InvocationType="Event")
        [running] = wait_for(account.records)
        assert list(tmp_path.glob("sandbox-lambda-*"))
    finally:
        service.close()
    assert not is_running(idle)
    assert not is_running(running["pid"])
    wait_for(lambda: not is_running(running["event"]["child"]))
    assert set(threading.enumerate()) <= set(before)
    assert not list(tmp_path.glob("sandbox-lambda-*"))
    assert len(account.records()) == 1


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]
