"""`sam local` runs the built functions in containers, under Lambda's runtime emulator.

SAM's exit status and FunctionError do not show what a function did: what counts is the result,
and what arrived at the event's ResponseURL.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION, Clients
from sandbox.server import HOST
from sandbox.world import BUNDLE_ID, EBS_INSTANCE_ID, INSTANCE_ID
from tests.fixtures import PATIENCE
from tests.stacks.pages import block
from tests.stacks.support import Aws, SandboxProcess, json_of, wait_for

from . import containers
from .table import Row
from .tool import Tool

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

pytestmark = pytest.mark.containers

PORT = 4580
"""Where the events' ResponseURLs and events/env.json expect the sandbox."""

FUNCTION, LAST_RESORT = "InstanceBundleFunction", "LastResortFunction"

BAD_INPUT = {
    "combination": ("Image.Architecture: ", "Storage.S3.Prefix: ", "UploadCredentials: "),
    "expired-policy": ("Storage.S3.UploadPolicy: expires before ",),
    "handle": ("CompletionHandle: must be the URL of a wait condition handle",),
    "incomplete-policy": ("Storage.S3.UploadPolicy: ", "Storage.S3.UploadPolicySignature: "),
    "instance-kind": (
        f"InstanceId: BundleInstance does not support {EBS_INSTANCE_ID}",
        "Method: StoreImage",
    ),
    "missing-property": ("InstanceId: is required", "Storage.S3.Bucket: is required"),
    "policy-of-another-bucket": ("Storage.S3.UploadPolicy: has a condition on `bucket`",),
    "secret": ("UploadCredentials: ", "UploadSecretArns allows; it allows none"),
    "type": ("InstanceId: a list must be", "Storage: ", "must be an object"),
    "unknown-property": ("Colour: is not a property here",),
    "value": ("InstanceId: ", "OnDelete: ", "ServiceTimeout: ", "S3.Bucket: ", "S3.Prefix: "),
}
"""What the Reason says about each `create-bad-….json` that is wrong by itself."""

REFUSED = ("create-bad-response-url", "not-an-event")
OTHERS = (
    "create",
    "create-bad-instance-missing",
    "create-bad-location-taken",
    "create-dry-run",
    "create-store-image",
    "crashed-event",
    "dead-letter",
    "delete",
    "delete-invented-id",
    "env",
    "object-created",
    "poll",
    "update-in-place",
    "update-with-replacement",
)


@dataclass(frozen=True)
class Local:
    """`sam local`, and the sandbox that its containers reach."""

    sam: Tool
    aws: Aws

    def invoke(self, event: str, function: str = FUNCTION) -> Any:
        """The function's result."""
        return json.loads(self.sam.run("local", "invoke", function, "-e", f"events/{event}.json"))

    def answers(self) -> list[dict[str, Any]]:
        """All that has arrived at ResponseURLs."""
        received: list[dict[str, Any]] = json_of(f"{self.aws.clients.endpoint}/sandbox/responses")
        return received

    def answer_to(self, event: str, function: str = FUNCTION) -> dict[str, Any]:
        """The one answer that comes of an event, whose function has nothing to say itself."""
        before = len(self.answers())
        result = self.invoke(event, function)
        [answer] = self.answers()[before:]
        body: dict[str, Any] = answer["body"]
        self.sam.see(summary(body))
        assert result in (None, {"batchItemFailures": []})
        assert answer["statusCode"] == 200
        return body

    def silence_of(self, event: str, seen: str, function: str = FUNCTION) -> None:
        """Check that nothing is answered to an event."""
        before = self.answers()
        assert self.invoke(event, function) in (None, {"batchItemFailures": []})
        assert self.answers() == before
        self.sam.see(seen)


@pytest.fixture(scope="module")
def host() -> str:
    """Where a sandbox listens for containers."""
    address = containers.host_address()
    if address is None:
        reason = "no Docker engine answers; `docker info` says why"
        (pytest.fail if os.environ.get("REQUIRE_CONTAINERS") else pytest.skip)(reason)
    return address


@pytest.fixture(scope="module")
def local(
    host: str, built: Path, sam_without_account: Tool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Local]:
    process = SandboxProcess.start(tmp_path_factory.mktemp("near"), host=host, port=PORT)
    aws = Aws(process.ready, Clients(process.ready["endpoint"]))
    variables = {"SAM_SKIP_PULL_IMAGE": "true"} if containers.base_image_is_here() else {}
    # The function's calls come from a container, and SAM CLI gives it the key that is exported.
    key = {
        "AWS_ACCESS_KEY_ID": process.ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": process.ready["secret_access_key"],
    }
    environment = {**sam_without_account.environment, **variables, **key}
    try:
        yield Local(replace(sam_without_account, environment=environment), aws)
    finally:
        status = process.end()
    assert status == 0


def test_each_event_is_invoked_here() -> None:
    files = {path.stem for path in (REPOSITORY / "events").glob("*.json")}

    assert files == {f"create-bad-{kind}" for kind in BAD_INPUT} | {*REFUSED, *OTHERS}


def test_a_bundle_lives_from_create_to_delete(local: Local) -> None:
    local.silence_of("create", f"{BUNDLE_ID} is started")
    wait_until_complete(local, 1)
    before = polls_sent(local)
    local.silence_of("object-created", "its poll is sent at once")
    assert polls_sent(local) == before + 1
    created = local.answer_to("poll")
    assert (created["Status"], created["PhysicalResourceId"]) == ("SUCCESS", BUNDLE_ID)
    assert created["Data"]["S3Uri"] == "s3://instance-bundles/web/windows"
    assert created["RequestId"] == event("create")["RequestId"]

    updated = local.answer_to("update-in-place")
    assert (updated["Status"], updated["Data"]) == ("SUCCESS", created["Data"])

    taken = local.answer_to("create-bad-location-taken")
    assert taken["Status"] == "FAILED"
    assert "the resource Bundle of the stack web has a bundle at " in taken["Reason"]

    local.silence_of("update-with-replacement", "another bundle is started")
    wait_until_complete(local, 2)
    replaced = local.answer_to("poll")
    assert replaced["Status"] == "SUCCESS"
    assert replaced["PhysicalResourceId"] not in ("", BUNDLE_ID)
    assert replaced["RequestId"] == event("update-with-replacement")["RequestId"]

    assert keys(local) == keys_of("web/windows") | keys_of("web/windows-2")
    deleted = local.answer_to("delete")
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", BUNDLE_ID)
    assert keys(local) == keys_of("web/windows-2")

    deleted = local.answer_to("delete-invented-id")
    invented = event("delete-invented-id")["PhysicalResourceId"]
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", invented)
    assert keys(local) == keys_of("web/windows-2")  # of a later request than the Create

    serve, _build, *invoke, _read = block("docs/local.md", "Invoke the functions").commands
    assert {*invoke} <= {row.command for row in local.sam.rows}
    on_linux = block("docs/local.md", "Invoke the functions", 1).commands
    assert on_linux == [f"{serve} HOST=$({containers.HOST_ADDRESS})"]


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_is_answered_with_all_that_is_wrong(local: Local, kind: str) -> None:
    before = local.aws.bundle_requests(INSTANCE_ID)

    answer = local.answer_to(f"create-bad-{kind}")

    assert answer["Status"] == "FAILED"
    assert [part for part in BAD_INPUT[kind] if part not in answer["Reason"]] == []
    assert local.aws.bundle_requests(INSTANCE_ID) == before


def test_an_instance_that_is_missing_is_asked_for_again(local: Local) -> None:
    """It may only be too new to be seen everywhere."""
    before = local.aws.bundle_requests(INSTANCE_ID)

    local.silence_of("create-bad-instance-missing", "the instance is asked for again")

    assert local.aws.bundle_requests(INSTANCE_ID) == before


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_waits_for_is_answered_nowhere(local: Local, name: str) -> None:
    local.silence_of(name, "refused, nothing is sent")


def test_the_last_resort_answers_a_crashed_event(local: Local) -> None:
    answer = local.answer_to("crashed-event", LAST_RESORT)

    assert answer["Status"] == "FAILED"
    assert "RetriesExhausted after 3 invocations" in answer["Reason"]


def test_the_last_resort_resumes_a_dead_letter_that_no_invocation_began_with(local: Local) -> None:
    local.silence_of("create-store-image", "an AMI is being made")

    local.silence_of("dead-letter", "its poll is sent again", LAST_RESORT)


def test_start_lambda_answers_invocations_of_boto3(
    local: Local, rows: list[Row], tmp_path: Path
) -> None:
    before = containers.running()
    command = ("local", "start-lambda", "--port", str(free_port()))
    with local.sam.running(*command, log=tmp_path / "log") as process:
        client = client_of(command[3])
        wait_for(lambda: listens(client, process, tmp_path / "log"), "sam local start-lambda")
        for request_id in ("1", "2"):
            typed = f"lambda.invoke(FunctionName='{FUNCTION}', Payload=…)"
            rows.append(Row("boto3", boto3.__version__, typed))
            payload = json.dumps({**event("create-dry-run"), "RequestId": request_id})

            result = client.invoke(FunctionName=FUNCTION, Payload=payload)

            answer = local.answers()[-1]["body"]
            rows[-1].seen = summary(answer)
            assert json.load(result["Payload"]) is None
            assert (answer["RequestId"], answer["Status"]) == (request_id, "SUCCESS")
            assert answer["PhysicalResourceId"] == f"dryrun-{request_id}"
    assert containers.running() <= before


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((REPOSITORY / "events" / f"{name}.json").read_text())
    return content


def summary(answer: Mapping[str, str]) -> str:
    """An answer that arrived at its ResponseURL, in short."""
    text = answer.get("Reason", answer["PhysicalResourceId"])
    return f"{answer['Status']} {shorten(text, 60, placeholder=' …')}"


def polls_sent(local: Local) -> int:
    """How many polls of the bundle have come into the queue."""
    messages = json_of(f"{local.aws.clients.endpoint}/sandbox/messages")
    request_id = event("create")["RequestId"]
    return sum(each["queue"] == "local-polls" and request_id in each["body"] for each in messages)


def wait_until_complete(local: Local, count: int) -> None:
    """Wait until so many bundles of the instance are complete."""

    def complete() -> bool | None:
        states = [task["State"] for task in local.aws.tasks(INSTANCE_ID)]
        return states == ["complete"] * count or None

    wait_for(complete, f"{count} bundles")


def keys_of(prefix: str) -> set[str]:
    return {f"{prefix}.manifest.xml", *(f"{prefix}.part.{number}" for number in range(3))}


def keys(local: Local) -> set[str]:
    return set(local.aws.keys("web/"))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        port: int = listening.getsockname()[1]
        return port


def client_of(port: str) -> "LambdaClient":
    return boto3.client(
        "lambda",
        endpoint_url=f"http://{HOST}:{port}",
        region_name=REGION,
        config=Config(
            signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=PATIENCE
        ),
    )


def listens(client: "LambdaClient", process: subprocess.Popen[str], log: Path) -> bool | None:
    """Whether the server knows its functions from others."""
    assert process.poll() is None, log.read_text()
    with suppress(EndpointConnectionError):
        with pytest.raises(ClientError, match="ResourceNotFound"):
            client.invoke(FunctionName="Other", Payload=b"{}")
        return True
    return None
