"""Stacks that go through one phase of their life each, many at once."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tests.fixtures import PATIENCE

from .faults import ledger_items
from .support import MARK, Aws, json_of

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        BundleTaskTypeDef,
        ImageTypeDef,
        SnapshotTypeDef,
    )


class Sight:
    """What there is of all stacks; each kind of it is read once, when it is needed.

    Args:
        aws: the sandbox.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    @cached_property
    def busy(self) -> set[str]:
        """The IDs of the stacks that are in progress."""
        stacks = self._aws.clients.cloudformation.list_stacks(
            StackStatusFilter=[
                *("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"),
                *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
                *("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
            ]
        )
        return {stack["StackId"] for stack in stacks["StackSummaries"]}

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """What the ledger holds."""
        return ledger_items(self._aws)

    @cached_property
    def responses(self) -> list[dict[str, Any]]:
        """The answers, as CloudFormation received them."""
        return self._report("responses")

    @cached_property
    def signals(self) -> list[dict[str, Any]]:
        """The signals, as handles received them."""
        return self._report("signals")

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events that were put."""
        return self._report("events")

    @cached_property
    def bundle_requests(self) -> list[dict[str, Any]]:
        """The BundleInstance requests, as EC2 received them."""
        return self._report("bundle-requests")

    @cached_property
    def tasks(self) -> "list[BundleTaskTypeDef]":
        """The bundle tasks."""
        return self._aws.clients.ec2.describe_bundle_tasks()["BundleTasks"]

    @cached_property
    def images(self) -> "list[ImageTypeDef]":
        """The account's own images."""
        return self._aws.clients.ec2.describe_images(Owners=["self"])["Images"]

    @cached_property
    def snapshots(self) -> "list[SnapshotTypeDef]":
        """The account's own snapshots."""
        return self._aws.clients.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]

    @cached_property
    def storing(self) -> set[str]:
        """The images whose store tasks have not ended, images that are gone included."""
        pages = self._aws.clients.ec2.get_paginator("describe_store_image_tasks").paginate()
        return {
            task["AmiId"]
            for page in pages
            for task in page["StoreImageTaskResults"]
            if task["StoreTaskState"] == "InProgress"
        }

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the bucket's objects."""
        pages = self._aws.clients.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._aws.ready["bucket"]
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _report(self, name: str) -> list[dict[str, Any]]:
        report: list[dict[str, Any]] = json_of(f"{self._aws.clients.endpoint}/sandbox/{name}")
        return report


Condition = Callable[[Sight], bool]
"""Whether it is time to go on, by what there is now."""

Steps = Generator[Condition, None, None]
"""What is done with a stack, step by step; yields what each next step waits for."""


def rests(stack_id: str) -> Condition:
    """No operation on the stack is in progress."""
    return lambda now: stack_id not in now.busy


def carry_out(aws: Aws, all_steps: Iterable[Steps], at_once: int = 16) -> None:
    """Do the steps of many stacks, so many stacks at once.

    After `PATIENCE` seconds no more is done: what hangs is still in progress, for all to see.
    """
    waiting = list(all_steps)[::-1]
    going: list[tuple[Steps, Condition]] = []
    end = time.monotonic() + PATIENCE
    while waiting or going:
        while waiting and len(going) < at_once:
            going.append((waiting.pop(), lambda _: True))
        now = Sight(aws)
        if time.monotonic() >= end:
            return
        still = [(steps, is_due) for steps, is_due in going if not is_due(now)]
        due = [steps for steps, is_due in going if (steps, is_due) not in still]
        going = still + [(steps, is_due) for steps in due if (is_due := next(steps, None))]
        time.sleep(0.2)


class Method(Protocol):
    """What differs between trials of one method and of the other."""

    name: str

    def instance(self, aws: Aws, outcome: str) -> str:
        """A new instance, steered: its bundle will be `complete`, will `hang`, or be `slow`."""

    def properties(self, trial: "Trial", bundle: str) -> dict[str, Any]:
        """What makes a bundle of this name, and has another name make another one."""

    def changed_in_place(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties, with a change of everything that can be changed in place."""

    def made(self, trial: "Trial", now: Sight) -> list[str]:
        """The IDs of the tasks that were started."""

    def running(self, trial: "Trial", now: Sight) -> list[str]:
        """The tasks that have not ended."""

    def whole(self, trial: "Trial", now: Sight) -> set[str]:
        """The names of the bundles that are there whole."""

    def strays(self, trial: "Trial", now: Sight, left: Collection[str]) -> list[str]:
        """What is there of other bundles than those of these names, and what of them is not as the
        stack asks for it."""


@dataclass(frozen=True)
class _BundleInstance:
    """registers: the stacks ask for AMIs of their bundles."""

    name = "BundleInstance"
    registers: bool = False

    def instance(self, aws: Aws, outcome: str) -> str:
        return aws.instance(seconds="1", outcome=outcome, bundled="yes")

    def properties(self, trial: "Trial", bundle: str) -> dict[str, Any]:
        s3 = {"Bucket": trial.aws.ready["bucket"], "Prefix": f"{trial.name}/{bundle}"}
        image = {"Description": bundle, "Tags": [{"Key": MARK, "Value": trial.name}]}
        return {
            "Storage": {"S3": s3},
            "UploadCredentials": trial.aws.ready["secret"],
            **({"Image": image} if self.registers else {}),
        }

    def changed_in_place(self, properties: dict[str, Any]) -> dict[str, Any]:
        if not self.registers:
            return properties
        return properties | {"Image": properties["Image"] | {"Description": "Changed"}}

    def made(self, trial: "Trial", now: Sight) -> list[str]:
        """Oldest first."""
        return [
            request["BundleId"]
            for request in now.bundle_requests
            if request["InstanceId"] == trial.instance and request.get("BundleId")
        ]

    def running(self, trial: "Trial", now: Sight) -> list[str]:
        return [
            task["BundleId"]
            for task in now.tasks
            if task["InstanceId"] == trial.instance and task["State"] not in {"complete", "failed"}
        ]

    def whole(self, trial: "Trial", now: Sight) -> set[str]:
        ending = ".manifest.xml"
        manifests = {
            key.removeprefix(f"{trial.name}/").removesuffix(ending)
            for key in self._keys(trial, now)
            if key.endswith(ending)
        }
        places = {image["ImageLocation"] for image in trial.images(now)}
        return {
            bundle
            for bundle in manifests
            if not self.registers or self._place(trial, bundle) in places
        }

    def strays(self, trial: "Trial", now: Sight, left: Collection[str]) -> list[str]:
        own = tuple(f"{trial.name}/{bundle}." for bundle in left)
        places = {self._place(trial, bundle) for bundle in left}
        images = trial.images(now)
        registered = Counter((image["ImageLocation"], image["Description"]) for image in images)
        return [
            *(key for key in self._keys(trial, now) if not key.startswith(own)),
            *(image["ImageId"] for image in images if image["ImageLocation"] not in places),
            *(f"{times} AMIs of {what}" for what, times in registered.items() if times > 1),
            *self._unlike_asked(trial, now),
        ]

    def _keys(self, trial: "Trial", now: Sight) -> list[str]:
        return [key for key in now.keys if key.startswith(f"{trial.name}/")]

    def _place(self, trial: "Trial", bundle: str) -> str:
        return f"{trial.aws.ready['bucket']}/{trial.name}/{bundle}.manifest.xml"

    def _unlike_asked(self, trial: "Trial", now: Sight) -> list[str]:
        """The AMI that the stack knows, if it is not there as the stack asks for it."""
        image_id = trial.image_id(now)
        if not self.registers or image_id is None:
            return []
        asked = trial.asked()
        found = [
            (image["ImageLocation"], image["Description"])
            for image in trial.images(now)
            if image["ImageId"] == image_id
        ]
        bundle = asked["Storage"]["S3"]["Prefix"].removeprefix(f"{trial.name}/")
        wanted = (self._place(trial, bundle), asked["Image"]["Description"])
        return [] if found == [wanted] else [f"{image_id!r} like {found}"]


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

    def changed_in_place(self, properties: dict[str, Any]) -> dict[str, Any]:
        image = properties["Image"]
        tags = [image["Tags"][0], {"Key": "second", "Value": "changed"}]
        return properties | {"Image": image | {"Description": "Changed", "Tags": tags}}

    def made(self, trial: "Trial", now: Sight) -> list[str]:
        """EC2 forgets images that are deregistered: those that the function has reported, to
        the ledger or to CloudFormation, and those that are there."""
        known = [json.loads(i["task"]["S"])["id"] for i in trial.items(now) if "task" in i]
        answered = [
            response["body"]["PhysicalResourceId"]
            for response in now.responses
            if response["stackId"] == trial.stack_id
        ]
        there = [image["ImageId"] for image in trial.images(now)]
        return sorted({id_ for id_ in (*known, *answered, *there) if id_.startswith("ami-")})

    def running(self, trial: "Trial", now: Sight) -> list[str]:
        pending = [i["ImageId"] for i in trial.images(now) if i["State"] == "pending"]
        return [*pending, *(now.storing & {*self.made(trial, now)})]

    def whole(self, trial: "Trial", now: Sight) -> set[str]:
        snapshots = trial.snapshots(now)
        return {
            self._bundle(trial, image)
            for image in trial.images(now)
            if image["State"] == "available"
            and self._snapshots(image) <= snapshots
            and f"{image['ImageId']}.bin" in now.keys
        }

    def strays(self, trial: "Trial", now: Sight, left: Collection[str]) -> list[str]:
        images = trial.images(now)
        own = [image for image in images if self._bundle(trial, image) in left]
        ids = {image["ImageId"] for image in own}
        others = {*self.made(trial, now), *(image["ImageId"] for image in images)} - ids
        snapshots: set[str] = set().union(*map(self._snapshots, own))
        return [
            *(image["ImageId"] for image in images if image["ImageId"] not in ids),
            *(trial.snapshots(now) - snapshots),
            *(f"{id_}.bin" for id_ in others if f"{id_}.bin" in now.keys),
            *(word for image in own for word in self._unlike_asked(trial, now, image)),
        ]

    def _bundle(self, trial: "Trial", image: "ImageTypeDef") -> str:
        return image["Name"].removeprefix(f"{trial.name}/")

    def _snapshots(self, image: "ImageTypeDef") -> set[str]:
        return {device["Ebs"]["SnapshotId"] for device in image["BlockDeviceMappings"]}

    def _unlike_asked(self, trial: "Trial", now: Sight, image: "ImageTypeDef") -> list[str]:
        """How the image that the stack knows is described and tagged, if not as it asks."""
        if trial.image_id(now) != image["ImageId"]:
            return []
        asked = trial.asked()["Image"]
        tags = {tag["Key"]: tag["Value"] for tag in image["Tags"] if ":" not in tag["Key"]}
        found = (image["Name"], image.get("Description", ""), tags)
        wanted = (
            asked["Name"],
            asked.get("Description", ""),
            {tag["Key"]: tag["Value"] for tag in asked["Tags"]},
        )
        return [] if found == wanted else [f"{image['ImageId']} like {found}"]


BUNDLE_INSTANCE: Method = _BundleInstance()
BUNDLE_AND_REGISTER: Method = _BundleInstance(registers=True)
STORE_IMAGE: Method = _StoreImage()


def _is_marked(made: "ImageTypeDef | SnapshotTypeDef", name: str) -> bool:
    return {"Key": MARK, "Value": name} in made.get("Tags", [])


@dataclass
class Trial:
    """A stack of one bundle, named so that a fault can be about it alone."""

    aws: Aws
    name: str = field(default_factory=lambda: f"trial-{uuid.uuid4().hex}")
    instance: str = ""
    stack_id: str = ""
    method: Method = BUNDLE_INSTANCE

    def body(self, bundle: str, **properties: Any) -> dict[str, Any]:
        """A template whose bundle has this name."""
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

    def waiting_body(self, bundle: str, **properties: Any) -> dict[str, Any]:
        """The same, where the stack waits at a handle for the end of the work."""
        body = self.body(bundle, **properties, CompletionHandle={"Ref": "Handle"})
        body["Resources"] |= {
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Done": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "DependsOn": "Bundle",
                "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
            },
        }
        return body

    def create(self, body: dict[str, Any]) -> None:
        self.stack_id = self.aws.clients.cloudformation.create_stack(
            StackName=self.name, TemplateBody=json.dumps(body)
        )["StackId"]

    def update(self, body: dict[str, Any]) -> None:
        self.aws.update_stack(self.stack_id, body)

    def delete(self) -> None:
        self.aws.clients.cloudformation.delete_stack(StackName=self.stack_id)

    def delete_by_hand(self) -> Condition:
        """Send a Delete that CloudFormation did not send, with an ID as it generates them. The
        condition: the function has asked CloudFormation about it."""
        request_id, token = str(uuid.uuid4()), self.aws.ready["service_token"]
        event = {
            "RequestType": "Delete",
            "ServiceToken": token,
            "ResponseURL": f"{self.aws.clients.endpoint}/sandbox/responses/{request_id}",
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": "Bundle",
            "PhysicalResourceId": f"{self.name}-Bundle-1ABC",
            "ResourceType": "Custom::InstanceBundle",
            "ResourceProperties": {**self.asked(), "ServiceTimeout": "20"},
        }
        self.aws.clients.functions.invoke(
            FunctionName=token, Payload=json.dumps(event).encode(), InvocationType="Event"
        )

        def is_asked(now: Sight) -> bool:
            items = [item for item in self.items(now) if request_id in item["item"]["S"]]
            return any("evidence" in item or "confirmed" in item for item in items)

        return is_asked

    def rests(self) -> Condition:
        return rests(self.stack_id)

    def is_through(self) -> Condition:
        """The stack rests, and the function has done all that it does for it."""

        def rests(now: Sight) -> bool:
            is_asked = any("undelivered" in item for item in self.items(now))
            return self.stack_id not in now.busy and not is_asked

        return rests

    def items(self, now: Sight) -> list[dict[str, Any]]:
        """What the ledger holds of the stack."""
        return [item for item in now.items if self.name in item["resource"]["S"]]

    def images(self, now: Sight) -> "list[ImageTypeDef]":
        """The images that carry the stack's mark, whatever their state."""
        return [image for image in now.images if _is_marked(image, self.name)]

    def snapshots(self, now: Sight) -> set[str]:
        """The snapshots that do."""
        return {each["SnapshotId"] for each in now.snapshots if _is_marked(each, self.name)}

    def asked(self) -> dict[str, Any]:
        """The bundle's properties in the stack's template, as it is now."""
        body = self.aws.clients.cloudformation.get_template(StackName=self.stack_id)["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        asked: dict[str, Any] = template["Resources"]["Bundle"]["Properties"]
        return asked

    def image_id(self, now: Sight) -> str | None:
        """The AMI that the stack received last; None where the stack is gone, or never was."""
        status = self.aws.stack(self.stack_id)["StackStatus"]
        if status in {"DELETE_COMPLETE", "ROLLBACK_COMPLETE"}:
            return None
        answered = [
            response["body"].get("Data", {})
            for response in now.responses
            if response["stackId"] == self.stack_id and response["taken"]
        ]
        signalled = [
            json.loads(signal["body"]["Data"])
            for signal in now.signals
            if signal["stackId"] == self.stack_id and signal["taken"]
        ]
        received = [data["ImageId"] for data in (*answered, *signalled) if "ImageId" in data]
        return received[-1] if received else None

    def is_between_polls(self, state: str = "", *, acceptance_sent: bool = False) -> Condition:
        """A task runs, in this state, and the process that started it has ended its lease.

        acceptance_sent: CloudFormation has received that the work is accepted.
        """

        def waits(now: Sight) -> bool:
            return any(
                "task" in item
                and item["lease_until"]["N"] == "0"
                and state in json.loads(item["task"]["S"])["state"]
                and ("told" in item or not acceptance_sent)
                for item in self.items(now)
            )

        return waits

    def bundles(self) -> list[str]:
        """The IDs of the tasks that were started for the stack."""
        return self.method.made(self, Sight(self.aws))

    def manifests(self) -> set[str]:
        """The names of the bundles that are there whole."""
        return self.method.whole(self, Sight(self.aws))

    def reasons(self) -> list[str]:
        """The reasons that were given for what failed."""
        return [
            event["ResourceStatusReason"]
            for event in self.aws.events(self.stack_id)
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def problems(
        self, status: str, bundles: int | None, left: Collection[str], now: Sight | None = None
    ) -> list[str]:
        """What of the stack, at rest, is not as it has to be.

        Args:
            status: its status.
            bundles: how many tasks were started for it; None where that may differ.
            left: the names of the bundles that are there; nothing of others is.
            now: what there is, where that has been read already.
        """
        now = now or Sight(self.aws)
        stack = self.aws.stack(self.stack_id)
        started = self.method.made(self, now)
        running, whole = self.method.running(self, now), self.method.whole(self, now)
        strays = self.method.strays(self, now, left)
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
            *_unequal(self._answers(now), "request {} was answered {}"),
            *_unequal(self._signals(now), "signals of request {}: {}"),
        ]

    def not_notified(self, now: Sight) -> list[str]:
        """Who was not notified, or not the same each time, of work that has ended and was answered:
        the event bus of each task, and a handle of what was accepted."""
        events: dict[str, list[Any]] = {}
        for detail in (event["Detail"] for event in now.events):
            is_of_end = detail["State"] not in ("started", "progress")
            if detail["StackId"] == self.stack_id and is_of_end:
                events.setdefault(detail["RequestId"], []).append(detail)
        published = {detail["BundleId"] for details in events.values() for detail in details} - {""}
        made = {*self.method.made(self, now)}
        waiting = {
            item["item"]["S"].partition("|")[2] for item in self.items(now) if "accepted" in item
        } - {*self._signals(now)}
        return [
            *_unequal(events, "events of request {}: {}"),
            *([f"events are about {published}, not {made}"] if published != made else []),
            *([f"{waiting} were accepted and not signalled"] if waiting else []),
        ]

    def _answers(self, now: Sight) -> dict[str, list[Any]]:
        """The answers to each request, by the request's ID."""
        found: dict[str, list[Any]] = {}
        for response in now.responses:
            if response["stackId"] == self.stack_id:
                found.setdefault(response["requestId"], []).append(response["body"])
        return found

    def _signals(self, now: Sight) -> dict[str, list[Any]]:
        """The signals about each request, by the request's ID."""
        found: dict[str, list[Any]] = {}
        for signal in now.signals:
            if signal["stackId"] == self.stack_id:
                found.setdefault(signal["body"]["UniqueId"], []).append(signal["body"])
        return found


def _unequal(found: Mapping[str, list[Any]], words: str) -> list[str]:
    """Of what was sent more than once, what is not the same each time."""
    return [
        words.format(request_id, sent)
        for request_id, sent in found.items()
        if any(each != sent[0] for each in sent)
    ]


Strike = Callable[[Trial], None]
"""Sets the fault of a trial, once what comes before the phase is done."""


@dataclass(frozen=True)
class Phase:
    """What a stack goes through while its function meets a fault, and what the result has to be.

    Attributes:
        steps: brings the stack to the phase, strikes, and does what the phase is about.
        status: of the stack in the end.
        bundles: how many tasks were started in the end.
        left: the names of the bundles that are there in the end.
        method: of the stack's bundles.
    """

    steps: Callable[[Trial, Strike], Steps]
    status: str
    bundles: int
    left: Collection[str]
    method: Method = BUNDLE_INSTANCE


def _create(trial: Trial, strike: Strike) -> Steps:
    strike(trial)
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()


PHASES = {
    f"{method.name}: create": Phase(_create, "CREATE_COMPLETE", 1, ["one"], method)
    for method in (BUNDLE_AND_REGISTER, STORE_IMAGE)
}


def new_trial(aws: Aws, phase: Phase) -> Trial:
    """A trial of a phase, with an instance of its own."""
    instance = phase.method.instance(aws, "complete")
    return Trial(aws, instance=instance, method=phase.method)
