"""Stacks that go through one phase of their life each, many at once."""

import json
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from .faults import ledger_items
from .support import MARK, Aws, json_of

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

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


class Method(Protocol):
    """What differs between trials of one method and of the other."""

    name: str

    def instance(self, aws: Aws, outcome: str) -> str:
        """A new instance, steered: its bundle will be `complete`, will `hang`, or be `slow`."""

    def properties(self, trial: "Trial", bundle: str) -> dict[str, Any]:
        """What makes a bundle of this name, and has another name make another one."""

    def amended(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties, with all else of the bundle that can be changed in place."""

    def made(self, trial: "Trial") -> list[str]:
        """The IDs of the tasks that were started."""

    def running(self, trial: "Trial") -> list[str]:
        """The tasks that have not ended."""

    def whole(self, trial: "Trial") -> set[str]:
        """The names of the bundles that are there whole."""

    def strays(self, trial: "Trial", left: Collection[str]) -> list[str]:
        """What is there of other bundles than those of these names."""


class _BundleInstance:
    name = "BundleInstance"

    def instance(self, aws: Aws, outcome: str) -> str:
        return aws.instance(seconds="1", outcome=outcome, bundled="yes")

    def properties(self, trial: "Trial", bundle: str) -> dict[str, Any]:
        s3 = {"Bucket": trial.aws.ready["bucket"], "Prefix": f"{trial.name}/{bundle}"}
        return {"Storage": {"S3": s3}, "UploadCredentials": trial.aws.ready["secret"]}

    def amended(self, properties: dict[str, Any]) -> dict[str, Any]:
        return properties

    def made(self, trial: "Trial") -> list[str]:
        """Oldest first."""
        requests = trial.aws.bundle_requests(trial.instance)
        return [request["BundleId"] for request in requests if request.get("BundleId")]

    def running(self, trial: "Trial") -> list[str]:
        tasks = trial.aws.tasks(trial.instance)
        return [t["BundleId"] for t in tasks if t["State"] not in {"complete", "failed"}]

    def whole(self, trial: "Trial") -> set[str]:
        ending = ".manifest.xml"
        keys = [key.removeprefix(f"{trial.name}/") for key in trial.aws.keys(f"{trial.name}/")]
        return {key.removesuffix(ending) for key in keys if key.endswith(ending)}

    def strays(self, trial: "Trial", left: Collection[str]) -> list[str]:
        own = tuple(f"{trial.name}/{bundle}." for bundle in left)
        return [key for key in trial.aws.keys(f"{trial.name}/") if not key.startswith(own)]


class _StoreImage:
    name = "StoreImage"

    _STEERING: Mapping[str, Mapping[str, str]] = {
        "complete": {"image_seconds": "1", "store_seconds": "1"},
        "hang": {"image_outcome": "hang"},
        "slow": {"image_seconds": "1", "store_seconds": "12"},
    }

    def instance(self, aws: Aws, outcome: str) -> str:
        return aws.ebs_instance(bundled="yes", **self._STEERING[outcome])

    def properties(self, trial: "Trial", bundle: str) -> dict[str, Any]:
        tags = [{"Key": MARK, "Value": trial.name}, {"Key": "first", "Value": bundle}]
        return {
            "Method": "StoreImage",
            "Storage": {"S3": {"Bucket": trial.aws.ready["bucket"]}},
            "Image": {"Name": f"{trial.name}/{bundle}", "Tags": tags},
        }

    def amended(self, properties: dict[str, Any]) -> dict[str, Any]:
        image = properties["Image"]
        tags = [image["Tags"][0], {"Key": "second", "Value": "amended"}]
        return properties | {"Image": image | {"Description": "Amended", "Tags": tags}}

    def made(self, trial: "Trial") -> list[str]:
        """EC2 forgets images that are deregistered: those that the function has told of, to the
        ledger or to CloudFormation, and those that are there."""
        known = [json.loads(item["task"]["S"])["id"] for item in trial.items() if "task" in item]
        told = [body["PhysicalResourceId"] for body in trial.aws.responses(trial.stack_id)]
        there = [image["ImageId"] for image in trial.aws.images(trial.name)]
        return sorted({id_ for id_ in (*known, *told, *there) if id_.startswith("ami-")})

    def running(self, trial: "Trial") -> list[str]:
        images = {i["ImageId"]: i["State"] for i in trial.aws.images(trial.name)}
        stored = trial.aws.store_tasks(self.made(trial))
        return [
            *(id_ for id_, state in images.items() if state == "pending"),
            *(id_ for id_, state in stored.items() if state == "InProgress"),
        ]

    def whole(self, trial: "Trial") -> set[str]:
        snapshots = trial.aws.snapshots(trial.name)
        return {
            self._bundle(trial, image)
            for image in trial.aws.images(trial.name)
            if image["State"] == "available"
            and self._snapshots(image) <= snapshots
            and trial.aws.keys(f"{image['ImageId']}.bin")
        }

    def strays(self, trial: "Trial", left: Collection[str]) -> list[str]:
        images = trial.aws.images(trial.name)
        own = [image for image in images if self._bundle(trial, image) in left]
        ids = {image["ImageId"] for image in own}
        others = {*self.made(trial), *(image["ImageId"] for image in images)} - ids
        snapshots: set[str] = set().union(*map(self._snapshots, own))
        return [
            *(image["ImageId"] for image in images if image["ImageId"] not in ids),
            *(trial.aws.snapshots(trial.name) - snapshots),
            *(key for id_ in others for key in trial.aws.keys(f"{id_}.bin")),
            *(word for image in own for word in self._unlike_asked(trial, image)),
        ]

    def _bundle(self, trial: "Trial", image: "ImageTypeDef") -> str:
        return image["Name"].removeprefix(f"{trial.name}/")

    def _snapshots(self, image: "ImageTypeDef") -> set[str]:
        return {device["Ebs"]["SnapshotId"] for device in image["BlockDeviceMappings"]}

    def _unlike_asked(self, trial: "Trial", image: "ImageTypeDef") -> list[str]:
        """How the image that the stack asks for is described and tagged, if not as it asks."""
        if trial.aws.stack(trial.stack_id)["StackStatus"] == "DELETE_COMPLETE":
            return []
        asked = trial.template()["Resources"]["Bundle"]["Properties"]["Image"]
        if image["Name"] != asked["Name"]:
            return []
        tags = {tag["Key"]: tag["Value"] for tag in image["Tags"] if ":" not in tag["Key"]}
        found = (image.get("Description", ""), tags)
        wanted = (
            asked.get("Description", ""),
            {tag["Key"]: tag["Value"] for tag in asked["Tags"]},
        )
        return [] if found == wanted else [f"{image['ImageId']} like {found}"]


BUNDLE_INSTANCE: Method = _BundleInstance()
STORE_IMAGE: Method = _StoreImage()


@dataclass
class Trial:
    """A stack of one bundle, named so that a fault can be about it alone."""

    aws: Aws
    name: str = field(default_factory=lambda: f"trial-{uuid.uuid4().hex}")
    instance: str = ""
    stack_id: str = ""
    method: Method = BUNDLE_INSTANCE

    def body(self, bundle: str, **properties: Any) -> dict[str, Any]:
        """A template whose bundle lies under this name."""
        given = {
            "ServiceToken": self.aws.ready["service_token"],
            "InstanceId": self.instance,
            **self.method.properties(self, bundle),
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

    def items(self) -> list[dict[str, Any]]:
        """What the ledger holds of the stack."""
        return [item for item in ledger_items(self.aws) if self.name in item["resource"]["S"]]

    def template(self) -> dict[str, Any]:
        """The stack's template, as it is now."""
        body = self.aws.clients.cloudformation.get_template(StackName=self.stack_id)["TemplateBody"]
        template: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
        return template

    def is_between_polls(self, state: str = "") -> Condition:
        """A task runs, in this state, and the process that started it has ended its lease."""

        def waits(_: set[str]) -> bool:
            return any(
                "task" in item
                and item["lease_until"]["N"] == "0"
                and state in json.loads(item["task"]["S"])["state"]
                for item in self.items()
            )

        return waits

    def bundles(self) -> list[str]:
        """The IDs of the tasks that were started for the stack."""
        return self.method.made(self)

    def manifests(self) -> set[str]:
        """The names of the bundles that are there whole."""
        return self.method.whole(self)

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
            left: the names of the bundles that are there; nothing of others is.
        """
        stack = self.aws.stack(self.stack_id)
        started = self.bundles()
        running, whole = self.method.running(self), self.manifests()
        strays = self.method.strays(self, left)
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
            *([f"{running} still run"] if running else []),
            *([f"bundles {whole} are left"] if whole != {*left} else []),
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
        left: the names of the bundles that are there in the end.
        outcome: what its instance is steered to.
        answers_before: the phase's own calls are those from this many answers on; the calls up
            to then are another phase's.
        method: of the stack's bundles.
    """

    steps: Callable[[Trial, Strike], Steps]
    status: str
    bundles: int
    left: Collection[str]
    outcome: str = "complete"
    answers_before: int = 0
    method: Method = BUNDLE_INSTANCE

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
    body = trial.body("one", OnDelete="Delete", ServiceTimeout=900)
    body["Resources"]["Bundle"]["Properties"] = trial.method.amended(
        body["Resources"]["Bundle"]["Properties"]
    )
    trial.update(body)
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


def _delete_while_stored(trial: Trial, strike: Strike) -> Steps:
    trial.create(trial.body("one"))
    yield trial.is_between_polls("storing")
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


_PHASES = {
    "create": Phase(_create, "CREATE_COMPLETE", 1, ["one"]),
    "replace": Phase(_replace, "UPDATE_COMPLETE", 2, ["two"]),
    "update in place": Phase(_update_in_place, "UPDATE_COMPLETE", 1, ["one"]),
    "delete": Phase(_delete, "DELETE_COMPLETE", 1, []),
    "delete and retain": Phase(_delete_and_retain, "DELETE_COMPLETE", 1, ["one"]),
    "delete while created": Phase(_delete_while_created, "DELETE_COMPLETE", 1, [], outcome="hang"),
    "roll back": Phase(_roll_back, "UPDATE_ROLLBACK_COMPLETE", 2, ["one"], answers_before=1),
}

PHASES = {
    f"{method.name}: {name}": replace(phase, method=method)
    for method in (BUNDLE_INSTANCE, STORE_IMAGE)
    for name, phase in _PHASES.items()
} | {
    "StoreImage: delete while stored": Phase(
        _delete_while_stored, "DELETE_COMPLETE", 1, [], outcome="slow", method=STORE_IMAGE
    )
}


def phases_named(*names: str) -> list[str]:
    """The phases of these names, of whichever method."""
    return [name for name in PHASES if name.partition(": ")[2] in names]


def new_trial(aws: Aws, phase: Phase) -> Trial:
    """A trial of a phase, with an instance of its own."""
    instance = phase.method.instance(aws, phase.outcome)
    return Trial(aws, instance=instance, method=phase.method)
