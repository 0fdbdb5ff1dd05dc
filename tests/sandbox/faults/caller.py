"""The function that the tests deploy: it makes the calls that its event names."""

import http.client
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Make calls of EC2, without an SDK: the sandbox checks no signature."""
    _record({"event": event, "request_id": context.aws_request_id, "pid": os.getpid()})
    answers = [_call(action) for action in event.get("actions", [])]
    _record({"answers": answers})
    return {"answers": answers}


def put(event: Any, context: Any) -> None:
    """Answer CloudFormation, as often as it takes."""
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "resource",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    for _ in range(5):
        request = urllib.request.Request(  # noqa: S310  the sandbox's own URL
            event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
        )
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310
                _record({"put": response.status})
                return
        except OSError as problem:
            _record({"put": getattr(problem, "code", type(problem).__name__)})


def _call(action: str) -> int | str:
    request = urllib.request.Request(  # noqa: S310
        os.environ["AWS_ENDPOINT_URL"],
        f"Action={action}&Version=2016-11-15".encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE"
            "/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0",
        },
    )
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310
            status: int = response.status
            return status
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__


def _record(entry: dict[str, Any]) -> None:
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps(entry) + "\n")
