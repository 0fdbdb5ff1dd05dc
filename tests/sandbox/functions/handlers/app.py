"""Handlers that the tests deploy: each does one thing that a function may do."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def echo(event: Any, context: Any) -> dict[str, Any]:
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }


def describe(event: Any, context: Any) -> dict[str, Any]:
    return {
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "python": list(sys.version_info[:2]),
        "importable": [name for name in event if importlib.util.find_spec(name)],
    }


def say(event: Any, context: Any) -> None:
    for line in event["lines"]:
        sys.stdout.write(line + "\n")


def grow(event: Any, context: Any) -> str:
    return "x" * int(event["size"])


def take_anything(event: Any, context: Any) -> None:
    pass


def fail(event: Any, context: Any) -> None:
    record(event, context)
    raise ValueError("no good")


def fail_once(event: Any, context: Any) -> None:
    record(event, context)
    if len(Path(os.environ["RECORD"]).read_text().splitlines()) == 1:
        raise ValueError("not yet")


def die(event: Any, context: Any) -> None:
    record(event, context)
    os._exit(3)


def hold(event: Any, context: Any) -> None:
    """Run until the test says so, with a child process."""
    child = subprocess.Popen(["/bin/sleep", "600"])
    record({"event": event, "child": child.pid}, context)
    while not Path(os.environ["RELEASE"]).exists():
        time.sleep(0.01)
    child.kill()
    child.wait()


def take_batch(event: Any, context: Any) -> dict[str, Any]:
    """Fail what says `bad`, the first time it comes."""
    record(event, context)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if record["body"] == "bad" and record["attributes"]["ApproximateReceiveCount"] == "1"
        ]
    }


def answer_as_given(event: Any, context: Any) -> Any:
    record(event, context)
    return json.loads(event["Records"][0]["body"])


def list_queues(event: Any, context: Any) -> Any:
    """Call SQS, with no SDK: the sandbox checks no signature."""
    request = urllib.request.Request(  # noqa: S310  the endpoint is the sandbox's
        os.environ["AWS_ENDPOINT_URL"],
        data=b"{}",
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.ListQueues",
            "Authorization": "AWS4-HMAC-SHA256 Credential="
            f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/{os.environ['AWS_REGION']}/sqs/aws4_request",
        },
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return json.load(response)


def record(event: Any, context: Any) -> None:
    entry = {
        "event": event,
        "request_id": context.aws_request_id,
        "pid": os.getpid(),
        "at": time.time(),
    }
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps(entry) + "\n")
