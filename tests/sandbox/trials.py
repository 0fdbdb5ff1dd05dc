"""Stacks that go through one phase of their life each, many at once."""

import json
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .faults import ledger_items
from .support import Aws, json_of

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
            "UploadCredentials": self.aws.ready["secret"],
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
    tags = {"seconds": "1", "outcome": phase.outcome, "bundled": "yes"}
    return Trial(aws, instance=aws.instance(**tags))
