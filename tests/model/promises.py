"""Promises, checked at each step and at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instance_bundle.lifecycle import effects
from instance_bundle.methods import Bundle
from instance_bundle.state import Done, Failed, items
from instance_bundle.state.records import moves_forward
from instance_bundle.state.table import Item
from tests.model.cloud import is_part
from tests.model.exchanges import TIMEOUT, Exchange
from tests.model.process import Process
from tests.model.stacks import Stack
from tests.model.steps import Step

if TYPE_CHECKING:
    from tests.model.world import World

_LONG = 7 * 3600
"""Seconds after which all work has ended."""


class Promises:
    """The promises of one world. violations: the broken ones."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[str] = []

    def broken(self, what: str) -> None:
        """Record that a promise was broken."""
        if what not in self.violations:
            self.violations.append(what)

    # At each step

    def written(self, before: Item | None, after: Item | None) -> None:
        """The facts of a record only move forward; a superseded request starts nothing."""
        item = after or before
        if item is None or not item["item"].startswith("request|"):
            return
        if after is None:
            self.broken(f"{item['item']} was deleted")
        elif before is not None:
            old, new = items.record(before), items.record(after)
            if not moves_forward(old, new):
                self.broken(f"{new.key.request_id} moves backward")
            attempts = (new.attempted_at or 0) > (old.attempted_at or 0)
            if old.superseded and attempts:
                self.broken(f"{new.key.request_id} is superseded, and starts work")

    def about_to(self, step: Step, process: Process) -> None:
        """A step that is about to be performed does no harm."""
        match step.effect:
            case effects.Ask(record):
                self._check_ask(record.key.request_id)
            case effects.Remove(bundle):
                self._check_remove(bundle)
                self._check_confirmed(bundle.physical_id, process)
            case effects.Announce(_, announcement):
                self._check_gone(announcement.bundle.physical_id)
            case effects.RemoveLeftovers(_, task):
                self._check_not_managed(task.id, "removes the leftovers of")
                self._check_confirmed(task.id, process)
            case effects.Cancel(task_id):
                self._check_not_managed(task_id, "cancels")
                self._check_confirmed(task_id, process)

    def _check_ask(self, request_id: str) -> None:
        exchange = self._world.exchange(request_id)
        stack = self._stack_of(exchange)
        if exchange.kind == "Create" and stack.exchanges == [exchange]:
            self.broken(f"{request_id} creates a new resource, and CloudFormation was asked")

    def _check_confirmed(self, physical_id: str, process: Process) -> None:
        """CloudFormation is asked before another request's work is cancelled or removed."""
        is_own = any(
            physical_id in ids and maker == process.request_id
            for (maker, _), ids in self._world.cloud.starts.items()
        )
        if not is_own and process.request_id not in self._world.calls.asked:
            self.broken(
                f"{process.request_id} removes {physical_id}, and CloudFormation was not asked"
            )

    def _check_remove(self, bundle: Bundle) -> None:
        self._check_not_managed(bundle.physical_id, "removes")
        for stack in self._world.stacks:
            if _is_retained(stack, bundle.physical_id):
                on_delete = stack.on_delete[bundle.physical_id]
                self.broken(f"{bundle.physical_id} is removed, but its OnDelete is {on_delete}")

    def _check_gone(self, physical_id: str) -> None:
        if left := self._contents_of(physical_id):
            self.broken(f"{physical_id} is announced as removed, but {left} is left")

    def _check_not_managed(self, physical_id: str, what: str) -> None:
        for stack in self._world.stacks:
            if physical_id in stack.managed:
                self.broken(f"A request {what} {physical_id}, which CloudFormation manages")
            if physical_id in stack.retained:
                self.broken(f"A request {what} {physical_id}, which is retained")

    # At the end

    def at_the_end(self) -> None:
        """Check the results of all requests, once all work has ended."""
        if self.violations:
            return
        self._world.now += _LONG
        self._world.cloud.advance()
        for found in (
            self._scripts(),
            self._answers(),
            self._failures(),
            self._starts(),
            self._leftovers(),
            self._retained(),
            self._announcements(),
        ):
            self.violations += [each for each in found if each not in self.violations]

    def _scripts(self) -> Iterator[str]:
        for stack in self._world.stacks:
            yield from stack.problems
            if not stack.is_idle:
                yield f"The script of {stack.name} has not ended"

    def _answers(self) -> Iterator[str]:
        for exchange in self._exchanges():
            id_ = exchange.request.request_id
            if len({repr(answer) for _, answer in exchange.answers}) > 1:
                yield f"{id_} has different answers: {exchange.answers}"
            if not exchange.answers:
                yield f"{id_} has no answer"
            elif exchange.answers[0][0] > exchange.sent_at + TIMEOUT and exchange.is_open:
                yield f"{id_} has a late answer"
        for stack in self._world.stacks:
            for request_id, signal in stack.signals.items():
                if len(set(signal.statuses)) > 1:
                    yield f"{request_id} has different signals: {signal.statuses}"

    def _failures(self) -> Iterator[str]:
        """A failed Update keeps the ID. A rollback or a Delete fails only after a final refusal or
        failed work."""
        for exchange in self._exchanges():
            result, id_ = exchange.result, exchange.request_id
            if not isinstance(result, Failed):
                continue
            is_update = exchange.kind in ("Update", "Rollback")
            if is_update and result.physical_id != exchange.request.physical_id:
                yield f"{id_} failed, and changed the ID to {result.physical_id}"
            if exchange.kind in ("Rollback", "Delete") and self._world.must_succeed:
                yield f"{id_}, a {exchange.kind}, failed: {result.reason}"

    def _starts(self) -> Iterator[str]:
        """What has failed may be started again: it may not have been described yet."""
        failed = self._world.cloud.failed_stores()
        for (request_id, stage), ids in self._world.cloud.starts.items():
            begun = len(ids) - (failed.count(ids[0]) if stage == "store" else 0)
            if begun > 1:
                yield f"{request_id} started its {stage} {len(ids)} times: {ids}"

    def _leftovers(self) -> Iterator[str]:
        """After the Delete of all resources, nothing runs, and only retained bundles are left."""
        remaining = [stack for stack in self._world.stacks if not stack.is_gone]
        if remaining:
            if self._world.must_succeed:
                yield from (f"{stack.name} can't be deleted" for stack in remaining)
            return
        cloud = self._world.cloud
        if running := cloud.running():
            yield f"{running} still runs after the Delete"
        ids = [*self._retained_ids(), *self._may_be_left()]
        allowed = [each for id_ in ids for each in self._contents_of(id_)]
        left = [each for each in cloud.contents() if each not in allowed]
        if left:
            yield f"{left} is left after the Delete"

    def _retained(self) -> Iterator[str]:
        """Retained bundles exist."""
        for id_ in self._retained_ids():
            if not self._contents_of(id_):
                yield f"{id_} should be retained, but is gone"

    def _announcements(self) -> Iterator[str]:
        """A bundle that was answered, and is gone, was announced as removed; no other was."""
        records = [self._world.ledger.read(each.request.key) for each in self._exchanges()]
        answered = {
            record.task.id
            for record in records
            if record is not None
            and record.task is not None
            and isinstance(record.answer, Done)
            and record.answer.physical_id == record.task.id
        }
        gone = {id_ for id_ in answered if not self._contents_of(id_)}
        if wrong := self._world.announced - gone:
            yield f"{wrong} was announced as removed, but was not"
        if self._world.must_succeed and (missing := gone - self._world.announced):
            yield f"{missing} is gone, but was not announced as removed"

    def _retained_ids(self) -> list[str]:
        retained: list[str] = []
        for stack in self._world.stacks:
            retained += stack.retained
            retained += [id_ for id_ in stack.on_delete if _is_retained(stack, id_)]
        return sorted(set(retained))

    def _may_be_left(self) -> Iterator[str]:
        """IDs of bundles whose ETag could not be read, so that `OnDelete` can't remove them; that
        CloudFormation abandoned; or whose request has the OnDelete `Retain`, answered or not."""
        yield from self._world.calls.without_etag
        for stack in self._world.stacks:
            yield from stack.abandoned
        for (request_id, _), ids in self._world.cloud.starts.items():
            properties = self._world.exchange(request_id).request.properties
            if properties["OnDelete"] == "Retain":
                yield from ids

    def _contents_of(self, id_: str) -> list[str]:
        """The objects, images and snapshots of a bundle."""
        cloud = self._world.cloud
        task = cloud.bundle_tasks_by_id.get(id_)
        if id_.startswith("ami-"):
            requests = [r for (r, _), ids in cloud.starts.items() if id_ in ids]
            snapshots = [
                each
                for each in cloud.ec2.snapshots
                if cloud.ec2.tags[each].get("cfn-instance-bundle:request-id") in requests
            ]
            objects = [f"s3://{b}/{k}" for b, k in cloud.s3.objects if k == f"{id_}.bin"]
            return [*objects, *(i for i in (id_,) if i in cloud.ec2.amis), *snapshots]
        if task is None:
            return []
        at = task.storage
        return [
            f"s3://{bucket}/{key}"
            for bucket, key in cloud.s3.objects
            if bucket == at.bucket
            and (is_part(key, at.prefix) or key == f"{at.prefix}.manifest.xml")
        ]

    def _exchanges(self) -> list[Exchange]:
        return [each for stack in self._world.stacks for each in stack.exchanges]

    def _stack_of(self, exchange: Exchange) -> Stack:
        return next(stack for stack in self._world.stacks if exchange in stack.exchanges)


def _is_retained(stack: Stack, physical_id: str) -> bool:
    """Whether the OnDelete of a bundle's last success retains it."""
    on_delete = stack.on_delete.get(physical_id)
    is_new = physical_id in stack.rolled_back
    return on_delete == "Retain" or (on_delete == "RetainExceptOnCreate" and not is_new)
