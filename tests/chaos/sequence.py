"""A sequence of steps that is carried out in a world, and the promises that it must not break."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from instance_bundle import aws
from tests.chaos import (
    custody_promises,
    event_promises,
    handle_promises,
    handles,
    identity_promises,
    image_promises,
    refusal_promises,
    registration_promises,
)
from tests.chaos.custody import Custody
from tests.chaos.forged_events import forge
from tests.chaos.stacks import Dialect, Policies, Properties, Stack, receive
from tests.chaos.world import Fault, Violation, World, new_id, steer

Step = Mapping[str, Any]
"""One step, as a JSON object: `do` is the kind of step, the other members are its details."""

_FOREIGN = b"another's"
_FOREIGN_MANIFEST = (
    "<manifest><image><parts><part><filename>{name}.part.0</filename></part>"
    "<part><filename>{name}.part.9</filename></part></parts></image></manifest>"
)
_DELETES = 4
_LONGEST_WORK = 3600
_HOURS = 3 * 3600
_FORGED_SECONDS = 180
"""Seconds in which a forged request is answered."""
_numbers = itertools.count(1)
_LOGICAL_IDS = ("Bundle", "Renamed")

WHOLE: Step = {"do": "whole"}
"""The first step of a sequence in which promises about the bundles' owners are checked too."""


class Run:
    """The steps so far, and the stacks that they made.

    Attributes:
        is_whole: whether promises about the bundles' owners are checked too.
    """

    def __init__(self, world: World, most_at_once: int = 2) -> None:
        number = next(_numbers)
        self.world = world
        self.most_at_once = most_at_once
        self.steps: list[Step] = []
        self.bucket = f"images-{number}"
        self._name = f"stack{number}"
        self.stacks: list[Stack] = []
        self._foreign: set[str] = set()
        self._forged: set[str] = set()
        self.is_whole = False
        self._custody = Custody(world, self._foreign, self._is_hindered)
        self._step_of: list[tuple[Properties, Step]] = []
        world.clear(self.bucket)
        world.on_answer = self._receive
        world.wakes_at = self._wakes
        world.wake = self._wake

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Carry out several steps."""
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        """Carry out a step; one that does not apply to the current stacks does nothing."""
        self.steps.append(step)
        self.world.counts["steps"] += 1
        match step:
            case {"do": "create"}:
                self._create(step)
            case {"do": "update"}:
                self._update(step)
            case {"do": "update image"}:
                self._update_image(step)
            case {"do": "delete", "stack": number}:
                self._delete(number)
            case {"do": "move", "seconds": seconds}:
                self.world.move(seconds)
            case {"do": "fault", **fault}:
                self.world.arm(Fault(**fault))
            case {"do": "whole"}:
                self.is_whole = True
            case {"do": "change" | "take out" | "put back" | "rename" | "cancel"}:
                self._change_template(step)
            case _:
                self._interfere(step)

    def _change_template(self, step: Step) -> None:
        """Change the resource in the template of a stack, or cancel such a change."""
        stack = self._stack(step["stack"])
        if stack is None:
            return
        match step["do"]:
            case "cancel":
                stack.cancel()
            case "take out" if stack.is_idle and stack.is_updatable:
                stack.take_out()
            case "change" if stack.is_idle and stack.is_updatable:
                self._update(self._changed(stack, step))
            case "rename" if stack.is_idle and stack.is_updatable:
                [other] = {*_LOGICAL_IDS} - {stack.logical_id}
                self._add(stack, other, step)
            case "put back" if stack.is_idle and stack.is_without:
                self._add(stack, stack.logical_id, step)

    def _changed(self, stack: Stack, step: Step) -> Step:
        """The step of the stack's current or last properties, with the changes of another step."""
        last = self._last_step(stack)
        own = {name: value for name, value in step.items() if name != "changes"}
        once = {"delete_first": False, "sibling": None, "later": None}
        return {**last, **once, **own, **step["changes"]}

    def _last_step(self, stack: Stack) -> Step:
        """The step that the stack's properties are from."""
        return next(step for given, step in self._step_of if given is stack.properties)

    def _add(self, stack: Stack, logical_id: str, step: Step) -> None:
        wanted = self._changed(stack, step)
        if wanted["handle"] == "same":
            wanted = {**wanted, "handle": "new"}
        properties = self._properties(stack, wanted)
        stack.add(logical_id, properties, wanted["sibling"], policies=_policies(wanted))

    def _interfere(self, step: Step) -> None:
        """What AWS does twice, and what others do to the stacks' bundles."""
        match step:
            case {"do": "duplicate event", "number": number, "delay": delay}:
                self._duplicate_event(number, delay)
            case {"do": "duplicate messages", "count": count}:
                self.world.duplicate_messages(count)
            case {"do": "overwrite", "number": number}:
                self._overwrite(number)
            case {"do": "forge", "request": request_type, "stack": number, "knows_id": knows_id}:
                self._forge(request_type, number, knows_id=knows_id)
            case {"do": "copy", "number": number, "by_hand": by_hand}:
                self.world.images.copy(number, by_hand=by_hand)
            case {"do": "aws events", "bucket": bucket, "fates": fates}:
                self._send_events(bucket=bucket, fates=fates)
            case {"do": "forge event", "about": about, "number": number, "count": count}:
                for each in range(count):
                    forge(self.world, about, number + each)
            case _:
                raise ValueError(f"No such step: {step}")

    def finish(self) -> None:
        """Run until idle, delete all stacks, and check the promises.

        Raises:
            Violation: all broken promises, and the command that replays the sequence.
        """
        problems = list(self._finish())
        self.world.disarm()
        self.world.counts["bundle tasks"] += len(self.world.started)
        self.world.counts["images made"] += len(self.world.images.made)
        self.world.counts["images stored"] += len(self.world.images.stored)
        self.world.counts["images registered"] += len(self.world.images.registered)
        self.world.counts["images copied"] += len(self.world.images.copies)
        for stack in self.stacks:
            self.world.counts["accepted"] += sum(each.is_accepted for each in stack.exchanges)
            self.world.counts["signals"] += sum(len(h.signals) for h in stack.handles.values())
        if problems:
            raise Violation("\n".join([*problems, *self.world.log, self.replay()]))

    def broken(self) -> list[str]:
        """Finish without faults; returns the violation, if any."""
        self.world.disarm()
        try:
            self.finish()
        except Violation as violation:
            return [str(violation)]
        return []

    def replay(self) -> str:
        """The command that runs the same steps again."""
        return f"make chaos REPLAY='{json.dumps(self.steps)}'"

    # Steps

    def _create(self, step: Step) -> None:
        is_busy = not all(stack.is_idle for stack in self.stacks)
        if len(self.stacks) >= self.most_at_once and is_busy:
            return
        rounds, place = divmod(len(self.stacks), 8)
        name = f"{self._name}{'abcdefgh'[place]}{rounds or ''}"
        dialect = Dialect(step.get("through", "lambda"))
        stack = Stack(self.world, name, self._custody, dialect)
        self.stacks.append(stack)
        properties = self._properties(stack, step)
        stack.create(properties, step["sibling"], policies=_policies(step))

    def _update(self, step: Step) -> None:
        stack = self._stack(step["stack"])
        if stack is not None and stack.is_idle and stack.is_updatable:
            properties = self._properties(stack, step)
            stack.update(
                properties,
                step["sibling"],
                delete_first=step["delete_first"],
                policies=_policies(step),
            )

    def _update_image(self, step: Step) -> None:
        """Change only the image, and perhaps the handle."""
        stack = self._stack(step["stack"])
        if stack is None or not stack.is_idle or not stack.is_updatable:
            return
        name = stack.properties.get("Image", {}).get("Name")
        if stack.properties["Method"] == "BundleInstance":
            image = self._image(stack, step)
        else:
            image = _described({} if name is None else {"Name": name}, step)
        self._steer_registration(step)
        without = ("Image", "CompletionHandle", "CompletionTimeout")
        properties = {
            **{name: given for name, given in stack.properties.items() if name not in without},
            **({} if image is None else {"Image": image}),
            **self._handles(stack, step),
        }
        last = self._last_step(stack)
        image_step = {name: step[name] for name in step if name not in ("do", "stack")}
        stack.later = None
        self._step_of.append((properties, {**last, **image_step}))
        stack.update(properties, step["sibling"])

    def _delete(self, number: int) -> None:
        stack = self._stack(number)
        if stack is not None and stack.gone_at is None and (stack.is_idle or stack.is_creating):
            stack.delete()

    def _duplicate_event(self, number: int, delay: float) -> None:
        events = [exchange.payload for stack in self.stacks for exchange in stack.exchanges]
        if events:
            self.world.counts["duplicates"] += 1
            self.world.send(events[number % len(events)], delay)

    def _forge(self, request_type: str, number: int, *, knows_id: bool) -> None:
        """Another caller invokes the function with a request in the name of a stack.

        The stack is idle until the answer: CloudFormation's API does not show which request it has
        sent, so a forged request can't be distinguished from a real one while the stack is changed.
        A Create is not forged for a stack without a bundle.
        """
        stack = self._stack(number)
        if stack is None or not stack.is_idle or not stack.exchanges:
            return
        if request_type == "Create" and not stack.is_updatable:
            return
        last = stack.exchanges[-1].event
        request_id = new_id()
        physical_id = stack.physical_id if knows_id else f"{stack.name}-{stack.logical_id}-FORGED"
        event = {
            **last,
            "RequestType": request_type,
            "RequestId": request_id,
            "ResponseURL": last["ResponseURL"].replace(last["RequestId"], request_id),
            "OldResourceProperties": last["ResourceProperties"],
            "ResourceProperties": {**last["ResourceProperties"], "OnDelete": "Delete"},
            "PhysicalResourceId": physical_id or "",
        }
        self._forged.add(request_id)
        self.world.send(event)
        self.world.move(_FORGED_SECONDS)

    def _send_events(self, *, bucket: bool, fates: list[str]) -> None:
        """EC2 sends events from now on, and S3 if EventBridge is on for the bucket."""
        self.world.aws_events.fates = fates
        aws.s3().put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={"EventBridgeConfiguration": {}} if bucket else {},
        )

    def _overwrite(self, number: int) -> None:
        """Another person overwrites a finished bundle."""
        finished = list(self.world.finished.values())
        if not finished:
            return
        self.world.sleep(10)
        prefix = finished[number % len(finished)].storage.prefix
        name = prefix.rpartition("/")[2]
        manifest = _FOREIGN_MANIFEST.format(name=name).encode()
        for key, body in {
            f"{prefix}.part.0": _FOREIGN,
            f"{prefix}.part.9": _FOREIGN,
            f"{prefix}.manifest.xml": manifest,
        }.items():
            aws.s3().put_object(Bucket=self.bucket, Key=key, Body=body)
            self._foreign.add(key)

    def _stack(self, number: int) -> Stack | None:
        return self.stacks[number % len(self.stacks)] if self.stacks else None

    def _properties(self, stack: Stack, step: Step) -> dict[str, Any]:
        instance = self.world.instances[step["method"]][step["instance"]]
        name = None if step["prefix"] is None else f"{stack.name}/{step['prefix']}"
        own = self._bundles if step["method"] == "BundleInstance" else self._stores
        image = self._image(stack, step)
        self._steer_registration(step)
        stack.later = step.get("later")
        stack.later_fails = step.get("later_outcome") == "failed"
        stack.dialect = replace(stack.dialect, signature=step.get("signature", 4))
        properties = {
            "ServiceToken": stack.dialect.service_token,
            "ServiceTimeout": str(step["timeout"]),
            "Method": step["method"],
            "InstanceId": instance,
            "OnDelete": step["on_delete"],
            **({} if image is None else {"Image": image}),
            **own(instance, name, step),
            **self._handles(stack, step),
            **({"Surprise": "yes"} if step.get("invalid") else {}),
        }
        self._step_of.append((properties, step))
        return properties

    def _image(self, stack: Stack, step: Step) -> dict[str, Any] | None:
        """The property Image; None for none."""
        if step["image"] is None:
            return None
        return _described({"Name": f"{stack.name}/{step['image']}"} if step["image"] else {}, step)

    def _steer_registration(self, step: Step) -> None:
        self.world.images.registers_for = step["register_seconds"]
        self.world.images.registers = step["register_outcome"] == "complete"

    def _handles(self, stack: Stack, step: Step) -> dict[str, Any]:
        """The properties of a handle: a new one, or the same as before, if there was one."""
        given = stack.properties.get("CompletionHandle")
        match step["handle"]:
            case None:
                return {}
            case "new":
                given = None
        handle = given or stack.new_handle()
        stack.watched = step["watched"]
        completion = _HOURS + 3600 if step.get("long") else step["completion"]
        return {"CompletionHandle": handle, "CompletionTimeout": str(completion)}

    def _bundles(self, instance: str, prefix: str | None, step: Step) -> dict[str, Any]:
        steer(instance, seconds=_seconds(step), outcome=step["outcome"])
        given = {} if prefix is None else {"Prefix": prefix}
        return {
            "Storage": {"S3": {"Bucket": self.bucket, **given}},
            "UploadCredentials": self.world.secret,
        }

    def _stores(self, instance: str, name: str | None, step: Step) -> dict[str, Any]:
        steer(
            instance,
            image_seconds=_seconds(step),
            image_outcome=step["outcome"],
            store_seconds=step["store_seconds"],
            store_outcome=step["store_outcome"],
            store_stalls=step["store_stalls"],
        )
        image = _described({} if name is None else {"Name": name}, step)
        return {"Storage": {"S3": {"Bucket": self.bucket}}, "Image": image}

    # CloudFormation's side, called by the world

    def _receive(self, url: str, body: bytes) -> int:
        stacks = {stack.stack_id: stack for stack in self.stacks}
        if url.startswith(handles.PATH):
            stack = stacks[handles.owner(url)[0]]
            stack.violations += handle_promises.premature(self.world, body)
        return receive(stacks, url, body)

    def _wakes(self) -> float | None:
        return min(
            (moment for stack in self.stacks if (moment := stack.wakes_at()) is not None),
            default=None,
        )

    def _wake(self) -> None:
        for stack in self.stacks:
            moment = stack.wakes_at()
            if moment is not None and moment <= time.time():
                stack.wake()

    # The promises

    def _finish(self) -> Iterator[str]:
        yield from self._run_until_idle()
        self.world.disarm()
        yield from self._live_stacks_own_their_bundle()
        for stack in self.stacks:
            yield from image_promises.live(self.world, stack)
            yield from registration_promises.live(self.world, stack)
        for stack in self.stacks:
            yield from self._delete_completely(stack)
        self.world.sleep(_LONGEST_WORK)
        if self.is_whole:
            yield from custody_promises.kept(self._custody)
            yield from custody_promises.genuine(self.world, self._forged)
        yield from self.world.violations
        for stack in self.stacks:
            yield from stack.violations
            yield from _late_starts(self.world, stack)
            yield from self._answers(stack)
            yield from self._starts(stack)
            yield from image_promises.starts(self.world, stack)
            yield from image_promises.answers(self.world, stack)
            yield from image_promises.left(self.world, stack)
            yield from registration_promises.left(self.world, stack)
            yield from handle_promises.signals(self.world, stack)
            yield from handle_promises.ends(self.world, stack)
            yield from event_promises.events(self.world, stack)
            yield from event_promises.removals(self.world, stack, self._foreign)
            yield from event_promises.of_tasks(self.world, stack)
            yield from refusal_promises.confirmed(self.world, stack)
            if self.is_whole:
                yield from identity_promises.new_bundles(stack)
                yield from identity_promises.rolled_back(self.world, stack)
                if len(self.stacks) == 1:
                    yield from refusal_promises.justified(self.world, stack)
        yield from image_promises.foreign(self.world)
        yield from registration_promises.once(self.world)
        yield from self._objects()
        yield from self._ledger()
        yield from self._texts()
        if self.world.messages():
            yield f"{self.world.messages()} messages are left in the queues"

    def _run_until_idle(self) -> Iterator[str]:
        try:
            self.world.run_until_idle()
        except Violation as violation:
            yield str(violation)

    def _live_stacks_own_their_bundle(self) -> Iterator[str]:
        kept = {
            item["item"]["S"].removeprefix("bundle|")
            for item in self.world.ledger_items()
            if "bundle" in item
        }
        for stack in self.stacks:
            if stack.is_updatable and stack.physical_id not in kept:
                yield f"{stack.name} is {stack.status}, and does not own {stack.physical_id}"

    def _delete_completely(self, stack: Stack) -> Iterator[str]:
        for _ in range(_DELETES):
            if stack.gone_at is not None:
                return
            stack.delete()
            yield from self._run_until_idle()
        if stack.gone_at is None:
            yield f"{stack.name} can't be deleted: {stack.exchanges[-1].result}"

    def _answers(self, stack: Stack) -> Iterator[str]:
        refused = {"deny response:Put", "deny texts:Query"}.intersection(self.world.log)
        not_stored = self.world.refuses_to_store()
        for exchange in stack.exchanges:
            about = f"{exchange.event['RequestType']} of {stack.name}"
            if len(set(exchange.bodies)) > 1 and not not_stored:
                yield f"{about} was answered in different ways: {exchange.bodies}"
            # An answer that is lost after the timeout is not sent again.
            lost = any(moment >= exchange.ends_at for moment in self.world.answers_struck)
            if not exchange.bodies and not refused and not lost:
                yield f"{about} was never answered"
            if not self.world.log and exchange.result is None and exchange.open:
                yield f"{about} was answered too late, without any fault"

    def _starts(self, stack: Stack) -> Iterator[str]:
        """Each request starts one bundle task at most."""
        named = [
            _prefix(stack, exchange.event)
            for exchange in stack.exchanges
            if exchange.event["RequestType"] != "Delete"
        ]
        starts = [start.prefix for start in self.world.started]
        for prefix in set(named):
            if starts.count(prefix) > named.count(prefix):
                yield f"{starts.count(prefix)} tasks at {prefix} for {named.count(prefix)} requests"

    def _objects(self) -> Iterator[str]:
        keys = self.world.keys(self.bucket)
        for key in self._foreign:
            if key not in keys:
                yield f"{key} is another's, and is gone"
        for task in self.world.finished.values():
            own = {key for key in task.written if key not in self._foreign}
            retained = all(
                exchange.event["ResourceProperties"]["OnDelete"] == "Retain"
                for stack in self.stacks
                for exchange in stack.exchanges
            )
            if retained and not own <= keys:
                yield f"{task.bundle_id} should be retained, but {own - keys} is gone"
        yield from self._removed(keys)

    def _removed(self, keys: set[str]) -> Iterator[str]:
        """The bundles of stacks with `OnDelete: Delete` are deleted, unless faults prevented it."""
        if self._foreign or any(" s3:" in line for line in self.world.log):
            return
        for stack in self.stacks:
            task = self.world.finished.get(stack.physical_id or "")
            if task is None or stack.properties["OnDelete"] != "Delete":
                continue
            if stack.physical_id in stack.retained:
                continue
            left = keys.intersection(task.written)
            if left:
                yield f"{task.bundle_id} should be deleted, but {left} is left"

    def _is_hindered(self) -> bool:
        return bool(self._foreign) or image_promises.is_hindered(self.world)

    def _ledger(self) -> Iterator[str]:
        # A bundle that a policy retains stays in the ledger: no Delete is sent for it.
        if any(stack.retained or stack.left_running for stack in self.stacks):
            return
        keys = self.world.keys(self.bucket)
        for item in self.world.ledger_items():
            # The claim of a retained bundle stays: it records the bundle's owner.
            at = item["resource"]["S"].removeprefix(f"location|s3://{self.bucket}/")
            named = item.get("stored_as", {"S": ""})["S"].removeprefix(f"s3://{self.bucket}/")
            if "expires" not in item and (named or f"{at}.manifest.xml") not in keys:
                yield f"{item['resource']['S']} {item['item']['S']} stays in the ledger for ever"

    def _texts(self) -> Iterator[str]:
        """No ResponseURL is in the ledger, and none is kept for long after its answer."""
        for item in self.world.ledger_items():
            if "request" in item:
                yield f"{item['resource']['S']} {item['item']['S']} has its text in the ledger"
        texts = self.world.texts()
        if texts and not self.world.log:
            yield f"{len(texts)} texts of requests are left, without any fault"
        for item in texts:
            if "expires" not in item:
                yield f"{item['resource']['S']} {item['item']['S']} keeps its text for ever"


def _described(image: dict[str, Any], step: Step) -> dict[str, Any]:
    text = step["described"]
    if text is not None:
        image["Description"] = text
        image["Tags"] = [{"Key": text, "Value": text}, {"Key": "shared", "Value": text}]
    return image


def _seconds(step: Step) -> int:
    """How long the work takes; hours if the step is `long` and has a handle."""
    seconds: int = step["seconds"]
    return _HOURS if step["long"] and step["handle"] is not None else seconds


def _prefix(stack: Stack, event: Mapping[str, Any]) -> str:
    given: str | None = event["ResourceProperties"]["Storage"]["S3"].get("Prefix")
    return given or f"{stack.name}/{event['LogicalResourceId']}/{event['RequestId']}"


def _policies(step: Step) -> Policies:
    return Policies(
        step.get("deletion_policy", "Delete"),
        step.get("replace_policy", "Delete"),
        step.get("keeps_failed", False),
    )


def _late_starts(world: World, stack: Stack) -> Iterator[str]:
    for start in world.started:
        if (
            stack.gone_at is not None
            and not stack.left_running
            and start.prefix.startswith(f"{stack.name}/")
            and start.at > stack.gone_at
        ):
            yield f"{start.bundle_id} was started after {stack.name} was gone"


def carry_out(world: World, steps: Iterable[Step]) -> None:
    """Carry out a sequence.

    Raises:
        Violation: a promise was broken.
    """
    run = Run(world)
    run.carry_out(steps)
    run.finish()
