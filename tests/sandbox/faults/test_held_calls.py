"""Calls that are held: accepted by the server, and not answered."""

import os
import signal
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from sandbox.clients import CREDENTIALS, REGION
from tests.fixtures import PATIENCE
from tests.sandbox.faults.conftest import Function, Sandbox, deployed, held
from tests.sandbox.functions.conftest import wait_for

AN_HOUR = 3600


def impatient(sandbox: Sandbox, service: str) -> Any:
    """A client that waits a second, once."""
    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    return session.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=sandbox.endpoint,
        config=Config(read_timeout=1, retries={"total_max_attempts": 1}),
    )


def test_a_function_times_out_in_a_call_that_is_never_answered(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    function = deployed(sandbox, "handle", tmp_path / "record.jsonl")
    sandbox.client("lambda").update_function_configuration(FunctionName=function.name, Timeout=2)
    sandbox.set("ec2:DescribeBundleTasks", "delay", seconds=AN_HOUR)

    answer = function.invoke("DescribeBundleTasks")

    assert answer["FunctionError"] == "Unhandled"
    assert "timed out" in answer["Payload"]["errorMessage"]
    assert function.invoke("DescribeBundleTasks")["Payload"] == {"answers": [200]}


def test_a_call_goes_on_when_its_fault_is_cleared(sandbox: Sandbox) -> None:
    fault = sandbox.set("ec2:DescribeVpcs", "delay", seconds=AN_HOUR)
    sandbox.set("ec2:DescribeVpcs", "delay", nth=2, seconds=AN_HOUR)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sandbox.client("ec2").describe_vpcs)
        wait_for(lambda: sandbox.shown()[0]["hits"])
        assert not call.done()
        sandbox.request("DELETE", f"/{fault['id']}")
        assert call.result(PATIENCE)["Vpcs"]


@pytest.mark.parametrize("service", ["ec2", "s3"])
def test_a_call_is_carried_out_when_its_caller_is_gone(sandbox: Sandbox, service: str) -> None:
    name, client = uuid.uuid4().hex, impatient(sandbox, service)
    if service == "ec2":
        call: Callable[[], Any] = lambda: client.create_key_pair(KeyName=name)  # noqa: E731
        sandbox.set("ec2:CreateKeyPair", "delay", seconds=AN_HOUR)
    else:
        sandbox.client("s3").create_bucket(Bucket=name)
        call = lambda: client.put_object(Bucket=name, Key="key", Body=b"x" * 300_000)  # noqa: E731
        sandbox.set("s3:PutObject", "delay", seconds=AN_HOUR)

    with pytest.raises(ReadTimeoutError):
        call()

    if service == "ec2":
        wait_for(
            lambda: (
                name
                in [
                    pair["KeyName"]
                    for pair in sandbox.client("ec2").describe_key_pairs()["KeyPairs"]
                ]
            )
        )
    else:
        wait_for(lambda: sandbox.client("s3").list_objects_v2(Bucket=name).get("Contents"))


def test_a_killed_function_leaves_no_call_held(function: Function) -> None:
    sandbox = function.sandbox
    sandbox.set("ec2:DescribeVpcs", "delay", seconds=AN_HOUR, about="held")
    sandbox.set("ec2:DescribeSubnets", "kill", about="killed")
    before = len(held())
    with ThreadPoolExecutor(1) as pool:
        invoked = pool.submit(function.invoke, "DescribeVpcs", about="held")
        wait_for(lambda: sandbox.shown()[0]["hits"])
        [environment] = [record["pid"] for record in function.events()]
        os.kill(environment, signal.SIGKILL)
        assert invoked.result(PATIENCE)["FunctionError"] == "Unhandled"
    wait_for(lambda: len(held()) <= before)
