"""A sandbox as a process, and how a test uses it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import urllib3
from botocore.exceptions import ClientError

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, Clients
from sandbox.instances import run_like
from sandbox.server import HOST
from tests.fixtures import PATIENCE
from tests.observing import observing

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import BundleTaskTypeDef, FilterTypeDef, ImageTypeDef


Found = TypeVar("Found")

MARK = "made-for"
"""The key of a tag by which a test knows its images, their snapshots and their objects."""


_PAUSE, _LONGEST_PAUSE = 0.2, 1.0
"""Seconds between two reads of what is waited for: the longer it takes, the fewer. Each read takes
the sandbox 10 ms."""


def wait_for(find: Callable[[], Found | None], what: str) -> Found:
    """What `find` returns, once it is not None."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < PATIENCE:
        found = find()
        if found is not None:
            return found
        time.sleep(max(_PAUSE, min(waited / 10, _LONGEST_PAUSE)))
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def side_by_side(*stories: Callable[[], object]) -> None:
    """Carry out stories at the same time, each in a thread of its own, and wait for all of them.

    Raises:
        BaseException: that of the story that failed; of several, a group of theirs.
    """
    with ThreadPoolExecutor(len(stories)) as threads:
        running = [threads.submit(story) for story in stories]
    failures = [failure for story in running if (failure := story.exception()) is not None]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(stories)} stories failed", failures)


def json_of(url: str) -> Any:
    response = urllib3.request("GET", url)
    assert response.status == 200, response.data
    return response.json()


@dataclass
class SandboxProcess:
    """`python -m sandbox serve`, as a user starts it."""

    process: subprocess.Popen[str]
    ready: dict[str, str]
    log: Path

    @classmethod
    def start(
        cls,
        directory: Path,
        parameters: Mapping[str, str] | None = None,
        *,
        host: str = HOST,
        port: int = 0,
        options: Sequence[str] = (),
    ) -> "SandboxProcess":
        """Start it, with these parameters of the application's template, and these options."""
        ready_file, log = directory / "ready.json", directory / "sandbox.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sandbox", "serve"),
                    *("--host", host, "--port", str(port), "--ready-file", str(ready_file)),
                    *(f"--parameter={name}={value}" for name, value in (parameters or {}).items()),
                    *options,
                ],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

        def is_ready() -> bool | None:
            assert process.poll() is None, log.read_text()
            return ready_file.exists() or None

        try:
            wait_for(is_ready, "the sandbox")
        except BaseException:
            process.kill()
            process.wait()
            raise
        return cls(process, json.loads(ready_file.read_text()), log)

    def end(self, with_signal: int = signal.SIGINT) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=PATIENCE)


_STARTED: list[subprocess.Popen[str]] = []
"""Sandboxes that another process may end. Python warns of each that it forgets while it runs."""


@contextmanager
def shared(
    directory: Path, parameters: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """A sandbox that all processes use that come with the same directory; what it has ready.

    The first process starts it, with these parameters of the application's template, and the last
    one ends it.
    """
    directory.mkdir(exist_ok=True)
    ready = directory / "ready.json"
    with (directory / "users").open("w") as users:
        with locked(directory / "changes"):
            if not ready.exists():
                process = SandboxProcess.start(directory, parameters).process
                _STARTED.append(process)
                (directory / "pid").write_text(str(process.pid))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield json.loads(ready.read_text())
        finally:
            with locked(directory / "changes"):
                if _is_last(users):
                    ready.unlink()
                    _end(int((directory / "pid").read_text()), directory / "sandbox.log")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes, and other threads, from what is done with the same file locked."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    """Whether no other process has a shared lock on this file; the own one is released."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end(pid: int, log: Path) -> None:
    """End a sandbox that another process may have started, which alone can read its status."""
    os.kill(pid, signal.SIGINT)
    ended = "The sandbox has ended."
    wait_for(lambda: ended in log.read_text() or None, f"the sandbox to end; see {log}")


class _Busy:
    """The stacks that are in progress, read once for all threads that wait for some of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -_PAUSE
        self._stack_ids: set[str] = set()

    def holds(self, clients: Clients, stack_id: str) -> bool:
        """Whether a stack is in progress, by what is read from now on."""
        asked_at = time.monotonic()
        with self._lock:
            if self._read_at < asked_at:
                time.sleep(max(0.0, self._read_at + _PAUSE - time.monotonic()))
                self._read_at = time.monotonic()
                self._stack_ids = _stacks_in_progress(clients)
            return stack_id in self._stack_ids


def _stacks_in_progress(clients: Clients) -> set[str]:
    pages = clients.cloudformation.get_paginator("list_stacks").paginate(
        StackStatusFilter=[
            *("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"),
            *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            *("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
            "REVIEW_IN_PROGRESS",
        ]
    )
    return {stack["StackId"] for page in pages for stack in page["StackSummaries"]}


class Observers(Clients):
    """Clients by which a test sees what there is of EC2's, and not what AWS would show by now."""

    @cached_property
    def ec2(self) -> "EC2Client":
        """EC2."""
        client: EC2Client = observing(self.client("ec2"))
        return client


@dataclass(frozen=True)
class Aws:
    """The sandbox, as a test uses it."""

    ready: dict[str, str]
    clients: Clients
    _busy: _Busy = field(default_factory=_Busy, repr=False, compare=False)

    def instance(self, **steering: str) -> str:
        """A new Windows instance with an instance-store root, its next task steered by tags."""
        return run_like(self.clients.ec2, self.ready["instance_id"], steering)[0]

    def ebs_instance(self, **steering: str) -> str:
        """A new instance with an EBS root, its next image steered by tags: `image_seconds` is
        `sandbox:image-seconds`."""
        return run_like(self.clients.ec2, self.ready["ebs_instance_id"], steering)[0]

    def create_stack(self, template: dict[str, Any]) -> str:
        """Create a stack, and return its ID."""
        return self.clients.cloudformation.create_stack(
            StackName=f"test-{uuid.uuid4().hex[:12]}", TemplateBody=json.dumps(template)
        )["StackId"]

    def update_stack(self, stack_id: str, template: dict[str, Any]) -> None:
        self.clients.cloudformation.update_stack(
            StackName=stack_id, TemplateBody=json.dumps(template)
        )

    def stack(self, stack_id: str) -> "StackTypeDef":
        return self.clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]

    def at_rest(self, stack: str) -> "StackTypeDef":
        """The stack of this name or ID, once no operation on it is in progress."""
        stack_id = stack if stack.startswith("arn:") else self.stack(stack)["StackId"]

        def rests() -> bool | None:
            return None if self._busy.holds(self.clients, stack_id) else True

        wait_for(rests, f"{stack} to come to rest")
        return self.stack(stack_id)

    def outputs(self, stack: "StackTypeDef") -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def events(self, stack_id: str) -> "list[StackEventTypeDef]":
        """The stack's events, oldest first."""
        pages = self.clients.cloudformation.get_paginator("describe_stack_events").paginate(
            StackName=stack_id
        )
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def failure(self, stack_id: str, logical_id: str = "Bundle") -> str:
        """The one reason for which a resource failed."""
        [reason] = [
            event["ResourceStatusReason"]
            for event in self.events(stack_id)
            if event["LogicalResourceId"] == logical_id
            and event["ResourceStatus"] == "CREATE_FAILED"
        ]
        return reason

    def keys(self, prefix: str) -> list[str]:
        """The keys of the objects whose keys begin with the prefix."""
        found = self.clients.s3.list_objects_v2(Bucket=self.ready["bucket"], Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def tasks(self, instance_id: str) -> "list[BundleTaskTypeDef]":
        """The bundle tasks of an instance."""
        return self.clients.ec2.describe_bundle_tasks(
            Filters=[{"Name": "instance-id", "Values": [instance_id]}]
        )["BundleTasks"]

    def cancel(self, bundle_id: str) -> None:
        """Cancel a bundle task, once EC2 knows it everywhere."""

        def cancelled() -> bool | None:
            try:
                self.clients.ec2.cancel_bundle_task(BundleId=bundle_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidBundleID.NotFound":
                    raise
                return None
            return True

        wait_for(cancelled, f"EC2 to cancel {bundle_id}")

    def bundle_requests(self, instance_id: str) -> list[dict[str, Any]]:
        """The BundleInstance requests for an instance, as EC2 received them."""
        received = json_of(f"{self.clients.endpoint}/sandbox/bundle-requests")
        return [request for request in received if request["InstanceId"] == instance_id]

    def images(self, mark: str) -> "list[ImageTypeDef]":
        """The images that carry a mark, whatever their state."""
        return self.clients.ec2.describe_images(Filters=[_marked(mark)])["Images"]

    def snapshots(self, mark: str) -> set[str]:
        """The IDs of the snapshots that carry a mark."""
        found = self.clients.ec2.describe_snapshots(Filters=[_marked(mark)])["Snapshots"]
        return {snapshot["SnapshotId"] for snapshot in found}

    def store_tasks(self, image_ids: Collection[str]) -> dict[str, str]:
        """The state of the store task of each image that has one, images that are gone included."""
        states: dict[str, str] = {}
        for image_id in image_ids:
            described = self.clients.ec2.describe_store_image_tasks(ImageIds=[image_id])
            states |= {
                task["AmiId"]: task["StoreTaskState"] for task in described["StoreImageTaskResults"]
            }
        return states

    def responses(self, stack_id: str) -> list[dict[str, Any]]:
        """The answers about a stack's resources, as CloudFormation received them."""
        received = json_of(f"{self.clients.endpoint}/sandbox/responses")
        return [response["body"] for response in received if response["stackId"] == stack_id]


def created(aws: Aws, template: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The ID and the outputs of a new stack."""
    stack_id = aws.create_stack(template)
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    return stack_id, aws.outputs(stack)


def deleted(aws: Aws, stack_id: str) -> None:
    aws.clients.cloudformation.delete_stack(StackName=stack_id)
    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE", aws.events(stack_id)


def _marked(mark: str) -> "FilterTypeDef":
    return {"Name": f"tag:{MARK}", "Values": [mark]}


def signing_secret(clients: Clients, kms_key: str | None = None) -> str:
    """The ARN of a new secret, with the access key that the sandbox knows.

    kms_key: the ARN of the key that encrypts it; AWS's own if absent.
    """
    key = {
        "AccessKeyId": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    made = clients.client("secretsmanager").create_secret(
        Name=f"bundles/{uuid.uuid4().hex}",
        SecretString=json.dumps(key),
        **({"KmsKeyId": kms_key} if kms_key else {}),
    )
    arn: str = made["ARN"]
    return arn


def children(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    found: set[int] = set()
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                parent = int((directory / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found |= {int(directory.name)} | children(int(directory.name))
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
