"""One sandbox, a process of its own, for all whole-stack tests of a worker."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import urllib3

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef
    from mypy_boto3_ec2.type_defs import BundleTaskTypeDef

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, patience: float = 60) -> Found:
    """What a look finds, once it finds something; `patience` is in seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {patience:.0f} s for {what}")


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
    def start(cls, directory: Path) -> "SandboxProcess":
        ready_file, log = directory / "ready.json", directory / "sandbox.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sandbox", "serve"),
                    *("--port", "0", "--ready-file", str(ready_file)),
                ],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

        def is_ready() -> bool | None:
            assert process.poll() is None, log.read_text()
            return ready_file.exists() or None

        wait_for(is_ready, "the sandbox")
        return cls(process, json.loads(ready_file.read_text()), log)

    def end(self, with_signal: int = signal.SIGINT) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)


@dataclass(frozen=True)
class Aws:
    """The sandbox, as a test uses it."""

    ready: dict[str, str]
    clients: Clients

    def instance(self, **steering: str) -> str:
        """A new Windows instance with an instance-store root, its next task steered by tags."""
        return self._run_like(self.ready["instance_id"], steering)

    def ebs_instance(self) -> str:
        return self._run_like(self.ready["ebs_instance_id"], {})

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

    def at_rest(self, stack_id: str) -> "StackTypeDef":
        """The stack, once no operation on it is in progress."""

        def rests() -> "StackTypeDef | None":
            stack = self.stack(stack_id)
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        return wait_for(rests, f"{stack_id} to come to rest")

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

    def bundle_requests(self, instance_id: str) -> list[dict[str, Any]]:
        """The BundleInstance requests for an instance, as EC2 received them."""
        received = json_of(f"{self.clients.endpoint}/sandbox/bundle-requests")
        return [request for request in received if request["InstanceId"] == instance_id]

    def responses(self, stack_id: str) -> list[dict[str, Any]]:
        """The answers about a stack's resources, as CloudFormation received them."""
        received = json_of(f"{self.clients.endpoint}/sandbox/responses")
        return [response["body"] for response in received if response["stackId"] == stack_id]

    def _run_like(self, instance_id: str, tags: dict[str, str]) -> str:
        [reservation] = self.clients.ec2.describe_instances(InstanceIds=[instance_id])[
            "Reservations"
        ]
        run = self.clients.ec2.run_instances(
            ImageId=reservation["Instances"][0]["ImageId"],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [
                        {"Key": f"sandbox:{key}", "Value": value} for key, value in tags.items()
                    ],
                }
            ]
            if tags
            else [],
        )
        return run["Instances"][0]["InstanceId"]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    yield Aws(sandbox.ready, Clients(sandbox.ready["endpoint"]))
    assert sandbox.end() == 0


@pytest.fixture
def template(aws: Aws) -> Callable[..., dict[str, Any]]:
    """Makes a template of one bundle, with the properties that a test gives."""

    def make(instance_id: str, prefix: str | None = None, **properties: Any) -> dict[str, Any]:
        s3 = {"Bucket": aws.ready["bucket"]} | ({"Prefix": prefix} if prefix else {})
        return {
            "Resources": {
                "Bundle": {
                    "Type": "Custom::InstanceBundle",
                    "Properties": {
                        "ServiceToken": {"Fn::ImportValue": "cfn-instance-bundle-ServiceToken"},
                        "InstanceId": instance_id,
                        "Storage": {"S3": s3},
                    }
                    | properties,
                }
            },
            "Outputs": {
                "BundleId": {"Value": {"Ref": "Bundle"}},
                "S3Uri": {"Value": {"Fn::GetAtt": ["Bundle", "S3Uri"]}},
            },
        }

    return make


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


@pytest.fixture(scope="session")
def quick_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox of its own, for faults: what was killed in it is taken up again within seconds.

    Each poll has an invocation of its own, so that a fault about one stack strikes no other.
    """
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("quick-sandbox"))
    aws = Aws(sandbox.ready, Clients(sandbox.ready["endpoint"]))
    try:
        _hurry(aws)
        yield aws
    finally:
        status = sandbox.end()
    assert status == 0


def _hurry(aws: Aws) -> None:
    aws.clients.functions.update_function_configuration(
        FunctionName=aws.ready["service_token"], Timeout=8
    )
    sqs = aws.clients.client("sqs")
    for url in queue_urls(aws):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "9"})
    set_batch_size(aws, 1)


def set_batch_size(aws: Aws, size: int) -> None:
    """How many polls share an invocation at most; few invocations are at work at once."""
    functions = aws.clients.functions
    [mapping] = [
        mapping
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]
        if mapping["FunctionArn"] == aws.ready["service_token"]
    ]
    functions.update_event_source_mapping(
        UUID=mapping["UUID"], BatchSize=size, ScalingConfig={"MaximumConcurrency": 3}
    )


def queue_urls(aws: Aws) -> list[str]:
    """The queue of the polls, and that of the dead letters."""
    urls: list[str] = aws.clients.client("sqs").list_queues()["QueueUrls"]
    assert len(urls) == 2, urls
    return urls


def wait_for_empty_queues(aws: Aws) -> None:
    """Wait until no poll and no dead letter is on its way or at work."""
    sqs = aws.clients.client("sqs")
    kinds = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "Delayed", "NotVisible")]

    def are_empty() -> bool | None:
        counts = [
            int(count)
            for url in queue_urls(aws)
            for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=kinds)[
                "Attributes"
            ].values()
        ]
        return None if any(counts) else True

    wait_for(are_empty, "the queues to be empty")


def set_fault(aws: Aws, call: str, fault: str, about: str, **more: float | str) -> str:
    """Set a fault, and return its ID."""
    body = json.dumps({"call": call, "fault": fault, "about": about, **more})
    answer = urllib3.request("POST", f"{aws.clients.endpoint}/sandbox/faults", body=body)
    assert answer.status == 201, answer.data
    fault_id: str = answer.json()["id"]
    return fault_id


def count_calls(aws: Aws, about: str) -> str:
    """Set what strikes all calls and harms none, so that its hits are the calls."""
    return set_fault(aws, "*", "delay", about, seconds=0, times=1_000_000)


def hits(aws: Aws) -> dict[str, list[str]]:
    """The names of the calls that each fault has struck, by the fault's ID."""
    faults = json_of(f"{aws.clients.endpoint}/sandbox/faults")
    return {fault["id"]: fault["hits"] for fault in faults}


def clear_faults(aws: Aws, *fault_ids: str) -> None:
    """Clear these faults, or all."""
    for path in [f"/{fault_id}" for fault_id in fault_ids] or [""]:
        url = f"{aws.clients.endpoint}/sandbox/faults{path}"
        assert urllib3.request("DELETE", url).status == 204


def ledger_items(aws: Aws) -> list[dict[str, Any]]:
    """What the ledger holds, in DynamoDB's own form."""
    dynamodb = aws.clients.client("dynamodb")
    [table] = dynamodb.list_tables()["TableNames"]
    items: list[dict[str, Any]] = []
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        items += page["Items"]
    return items


def forget_ledger(aws: Aws) -> None:
    """Empty the ledger: the sandbox reads all of it in each query, and many stacks slow it down."""
    dynamodb = aws.clients.client("dynamodb")
    [table] = dynamodb.list_tables()["TableNames"]
    for item in ledger_items(aws):
        key = {name: item[name] for name in ("resource", "item")}
        dynamodb.delete_item(TableName=table, Key=key)


Condition = Callable[[set[str]], bool]
"""Whether it is time to go on; gets the IDs of the stacks that are in progress."""

Steps = Generator[Condition, None, None]
"""What is done with a stack, step by step; yields what each next step waits for."""


def rests(stack_id: str) -> Condition:
    """No operation on the stack is in progress."""
    return lambda busy: stack_id not in busy


def carry_out(aws: Aws, all_steps: Iterable[Steps], patience: float, at_once: int = 16) -> None:
    """Do the steps of many stacks, so many stacks at once.

    After `patience` seconds no more is done: what hangs is still in progress, for all to see.
    """
    waiting = list(all_steps)[::-1]
    going: list[tuple[Steps, Condition]] = []
    end = time.monotonic() + patience
    while waiting or going:
        while waiting and len(going) < at_once:
            going.append((waiting.pop(), lambda _: True))
        busy = _in_progress(aws)
        if time.monotonic() >= end:
            return
        still = [(steps, is_due) for steps, is_due in going if not is_due(busy)]
        due = [steps for steps, is_due in going if (steps, is_due) not in still]
        going = still + [(steps, is_due) for steps in due if (is_due := next(steps, None))]
        time.sleep(0.2)


def _in_progress(aws: Aws) -> set[str]:
    stacks = aws.clients.cloudformation.list_stacks(
        StackStatusFilter=[
            *("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"),
            *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            *("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
        ]
    )
    return {stack["StackId"] for stack in stacks["StackSummaries"]}


def answers(aws: Aws, stack_id: str) -> dict[str, list[Any]]:
    """The answers to each request about a stack, by the request's ID."""
    found: dict[str, list[Any]] = {}
    for response in json_of(f"{aws.clients.endpoint}/sandbox/responses"):
        if response["stackId"] == stack_id:
            found.setdefault(response["requestId"], []).append(response["body"])
    return found


@dataclass
class Trial:
    """A stack of one bundle, named so that a fault can be about it alone."""

    aws: Aws
    name: str = field(default_factory=lambda: f"trial-{uuid.uuid4().hex}")
    instance: str = ""
    stack_id: str = ""

    def body(self, bundle: str, **properties: Any) -> dict[str, Any]:
        """A template whose bundle lies under this name."""
        s3 = {"Bucket": self.aws.ready["bucket"], "Prefix": f"{self.name}/{bundle}"}
        given = {
            "ServiceToken": self.aws.ready["service_token"],
            "InstanceId": self.instance,
            "Storage": {"S3": s3},
        }
        return {
            "Resources": {
                "Bundle": {"Type": "Custom::InstanceBundle", "Properties": given | properties}
            },
            "Outputs": {"BundleId": {"Value": {"Ref": "Bundle"}}},
        }

    def create(self, body: dict[str, Any]) -> None:
        self.stack_id = self.aws.clients.cloudformation.create_stack(
            StackName=self.name, TemplateBody=json.dumps(body)
        )["StackId"]

    def update(self, body: dict[str, Any]) -> None:
        self.aws.update_stack(self.stack_id, body)

    def delete(self) -> None:
        self.aws.clients.cloudformation.delete_stack(StackName=self.stack_id)

    def rests(self) -> Condition:
        return rests(self.stack_id)

    def is_between_polls(self) -> Condition:
        """A task runs, and the process that started it has ended its lease."""

        def waits(_: set[str]) -> bool:
            items = [item for item in ledger_items(self.aws) if self.name in item["resource"]["S"]]
            return any("task" in item and item["lease_until"]["N"] == "0" for item in items)

        return waits

    def bundles(self) -> list[str]:
        """The IDs of the tasks that were started for the stack, oldest first."""
        requests = self.aws.bundle_requests(self.instance)
        return [request["BundleId"] for request in requests if request.get("BundleId")]

    def manifests(self) -> set[str]:
        """The names of the bundles that lie in the bucket whole."""
        ending = ".manifest.xml"
        keys = [key.removeprefix(f"{self.name}/") for key in self.aws.keys(f"{self.name}/")]
        return {key.removesuffix(ending) for key in keys if key.endswith(ending)}

    def reasons(self) -> list[str]:
        """The reasons that were given for what failed."""
        return [
            event["ResourceStatusReason"]
            for event in self.aws.events(self.stack_id)
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def problems(self, status: str, bundles: int | None, left: Collection[str]) -> list[str]:
        """What of the stack, at rest, is not as it has to be.

        Args:
            status: its status.
            bundles: how many tasks were started for it; None where that may differ.
            left: the names of the bundles whose objects are there; no others are.
        """
        stack = self.aws.stack(self.stack_id)
        started = self.bundles()
        tasks = [task["State"] for task in self.aws.tasks(self.instance)]
        objects = self.aws.keys(f"{self.name}/")
        strays = [
            key for key in objects if not key.startswith(tuple(f"{self.name}/{n}." for n in left))
        ]
        return [
            *(
                [f"is {stack['StackStatus']}: {self.reasons()}"]
                if stack["StackStatus"] != status
                else []
            ),
            *(
                [f"{len(started)} tasks were started"]
                if bundles is not None and len(started) != bundles
                else []
            ),
            *([f"its tasks are {tasks}"] if {*tasks} - {"complete", "failed"} else []),
            *([f"bundles {self.manifests()} are left"] if self.manifests() != {*left} else []),
            *([f"{strays} are left"] if strays else []),
            *(
                f"request {request_id} was answered {bodies}"
                for request_id, bodies in answers(self.aws, self.stack_id).items()
                if any(body != bodies[0] for body in bodies)
            ),
        ]


@pytest.fixture
def quick_and_clear(quick_aws: Aws) -> Iterator[Aws]:
    """The sandbox for faults, with none left in it after a test, and no memory of its stacks."""
    yield quick_aws
    clear_faults(quick_aws)
    wait_for_empty_queues(quick_aws)
    forget_ledger(quick_aws)


Strike = Callable[[Trial], None]
"""Sets the fault of a trial, once what comes before the phase is done."""


@dataclass(frozen=True)
class Phase:
    """What a stack goes through while its function is killed, and what has to come of it.

    Attributes:
        steps: brings the stack to the phase, strikes, and does what the phase is about.
        status: of the stack in the end.
        bundles: how many tasks were started in the end.
        left: the names of the bundles that lie in the bucket in the end.
        outcome: of the instance's bundle task.
        answers_before: the phase's own calls are those from this many answers on; the calls up
            to then are another phase's.
    """

    steps: Callable[[Trial, Strike], Steps]
    status: str
    bundles: int
    left: Collection[str]
    outcome: str = "complete"
    answers_before: int = 0

    def own(self, calls: Sequence[str]) -> range:
        """The numbers of the phase's own calls, among all of them."""
        answers = [nth for nth, call in enumerate(calls, start=1) if call == "response:Put"]
        first = answers[self.answers_before - 1] if self.answers_before else 1
        return range(first, len(calls) + 1)


def _create(trial: Trial, strike: Strike) -> Steps:
    strike(trial)
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()


def _replace(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    strike(trial)
    trial.update(trial.body("two", OnDelete="Delete"))
    yield trial.rests()


def _update_in_place(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    strike(trial)
    trial.update(trial.body("one", OnDelete="Delete", ServiceTimeout=900))
    yield trial.rests()


def _delete(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    strike(trial)
    trial.delete()
    yield trial.rests()


def _delete_and_retain(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one"))
    yield trial.rests()
    strike(trial)
    trial.delete()
    yield trial.rests()


def _delete_while_created(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one"))
    yield trial.is_between_polls()
    strike(trial)
    trial.delete()
    yield trial.rests()


def _roll_back(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    body = trial.body("two", OnDelete="Delete")
    wrong = trial.body("wrong", InstanceId="no-instance")["Resources"]["Bundle"]
    body["Resources"]["Wrong"] = wrong | {"DependsOn": "Bundle"}
    strike(trial)
    trial.update(body)
    yield trial.rests()


PHASES = {
    "create": Phase(_create, "CREATE_COMPLETE", 1, ["one"]),
    "replace": Phase(_replace, "UPDATE_COMPLETE", 2, ["two"]),
    "update in place": Phase(_update_in_place, "UPDATE_COMPLETE", 1, ["one"]),
    "delete": Phase(_delete, "DELETE_COMPLETE", 1, []),
    "delete and retain": Phase(_delete_and_retain, "DELETE_COMPLETE", 1, ["one"]),
    "delete while created": Phase(_delete_while_created, "DELETE_COMPLETE", 1, [], outcome="hang"),
    "roll back": Phase(_roll_back, "UPDATE_ROLLBACK_COMPLETE", 2, ["one"], answers_before=1),
}


def new_trial(aws: Aws, phase: Phase) -> Trial:
    """A trial of a phase, with an instance of its own."""
    return Trial(aws, instance=aws.instance(seconds="1", outcome=phase.outcome))


@pytest.fixture(scope="session")
def calls(quick_aws: Aws) -> dict[str, list[str]]:
    """The calls of each phase, those of polls that come when all is over included."""
    counts: dict[str, str] = {}

    def counted(name: str) -> Steps:
        def strike(trial: Trial) -> None:
            counts[name] = count_calls(quick_aws, trial.name)

        return PHASES[name].steps(new_trial(quick_aws, PHASES[name]), strike)

    carry_out(quick_aws, map(counted, PHASES), patience=60)
    wait_for_empty_queues(quick_aws)
    found = hits(quick_aws)
    clear_faults(quick_aws)
    return {name: found[fault_id] for name, fault_id in counts.items()}
