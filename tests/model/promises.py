"""What must hold, at each step and at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instance_bundle.lifecycle import effects
from instance_bundle.methods import Bundle
from instance_bundle.state import Failed, items
from instance_bundle.state.records import moves_forward
from instance_bundle.state.table import Item
from tests.model.cloud import is_part
from tests.model.process import Process, Step
from tests.model.stacks import TIMEOUT, Exchange, Stack

if TYPE_CHECKING:
    from tests.model.world import World

_LONG = 7 * 3600


class Promises:
    """What must hold in a world.

    Attributes:
        violations: what was broken.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[str] = []

    def broken(self, what: str) -> None:
        """Say that a promise was broken."""
        if what not in self.violations:
            self.violations.append(what)

    # At each step

    def written(self, before: Item | None, after: Item | None) -> None:
        """The facts of a record only move forward; what is superseded attempts nothing."""
        item = after or before
        if item is None or not item["item"].startswith("request|"):
            return
        if after is None:
            self.broken(f"{item['item']} was deleted")
        elif before is not None:
            old, new = items.record(before), items.record(after)
            if not moves_forward(old, new):
                self.broken(f"{new.key.request_id} goes back")
            attempts = (new.attempted_at or 0) > (old.attempted_at or 0)
            if old.superseded and attempts:
                self.broken(f"{new.key.request_id} is superseded, and begins to start something")

    def about_to(self, step: Step, process: Process) -> None:
        """What is about to be carried out does no harm."""
        match step.effect:
            case effects.Ask(record):
                self._asks(record.key.request_id)
            case effects.Remove(bundle):
                self._removes(bundle)
                self._is_confirmed(bundle.physical_id, process)
            case effects.RemoveLeftovers(_, task):
                self._ends(task.id, "removes what is left of")
                self._is_confirmed(task.id, process)
            case effects.Cancel(task_id):
                self._ends(task_id, "cancels")
                self._is_confirmed(task_id, process)

    def _asks(self, request_id: str) -> None:
        exchange = self._world.exchange(request_id)
        stack = self._stack_of(exchange)
        if exchange.what == "Create" and stack.exchanges == [exchange]:
            self.broken(f"CloudFormation is asked for {request_id}, of a new resource")

    def _is_confirmed(self, physical_id: str, process: Process) -> None:
        """What another request has made is ended, or removed, once CloudFormation was asked."""
        is_own = any(
            physical_id in ids and maker == process.request_id
            for (maker, _), ids in self._world.cloud.starts.items()
        )
        if not is_own and process.request_id not in self._world.asked:
            self.broken(
                f"{process.request_id} ends {physical_id}, and CloudFormation was not asked"
            )

    def _removes(self, bundle: Bundle) -> None:
        self._ends(bundle.physical_id, "removes")
        for stack in self._world.stacks:
            said = stack.on_delete.get(bundle.physical_id)
            undone = bundle.physical_id in stack.undone
            if said == "Retain" or (said == "RetainExceptOnCreate" and not undone):
                self.broken(f"{bundle.physical_id} is removed: its OnDelete is {said}")

    def _ends(self, physical_id: str, what: str) -> None:
        for stack in self._world.stacks:
            if physical_id in stack.protected:
                self.broken(f"A request {what} {physical_id}, which CloudFormation holds")
            if physical_id in stack.retained:
                self.broken(f"A request {what} {physical_id}, which is retained")

    # At the end

    def at_the_end(self) -> None:
        """Judge what has come of all requests."""
        if self.violations:
            return
        self._world.now += _LONG
        self._world.cloud.advance()
        for found in (
            self._scripts(),
            self._answers(),
            self._failures(),
            self._starts(),
            self._left(),
            self._kept(),
        ):
            self.violations += [each for each in found if each not in self.violations]

    def _scripts(self) -> Iterator[str]:
        for stack in self._world.stacks:
            yield from stack.problems
            if not stack.rests:
                yield f"The script of {stack.name} has not ended"

    def _answers(self) -> Iterator[str]:
        for exchange in self._exchanges():
            id_ = exchange.request.request_id
            if len({repr(answer) for _, answer in exchange.answers}) > 1:
                yield f"{id_} is answered in several ways: {exchange.answers}"
            if not exchange.answers:
                yield f"{id_} is never answered"
            elif exchange.answers[0][0] > exchange.sent + TIMEOUT and exchange.is_open:
                yield f"{id_} is answered too late"
        for stack in self._world.stacks:
            for request_id, signal in stack.signals.items():
                if len(set(signal.heard)) > 1:
                    yield f"The handle of {request_id} heard {signal.heard}"

    def _failures(self) -> Iterator[str]:
        """An Update that fails keeps the ID; a rollback and a Delete fail for good reasons only."""
        for exchange in self._exchanges():
            taken, id_ = exchange.taken, exchange.request_id
            if not isinstance(taken, Failed):
                continue
            is_update = exchange.what in ("Update", "Rollback")
            if is_update and taken.physical_id != exchange.request.physical_id:
                yield f"{id_} failed, and changed the ID to {taken.physical_id}"
            if exchange.what in ("Rollback", "Delete") and self._world.passes:
                yield f"{id_} of a {exchange.what} failed: {taken.reason}"

    def _starts(self) -> Iterator[str]:
        """What has failed may be started again: it may not have been described yet."""
        failed = self._world.cloud.failed_stores()
        for (request_id, stage), ids in self._world.cloud.starts.items():
            begun = len(ids) - (failed.count(ids[0]) if stage == "store" else 0)
            if begun > 1:
                yield f"{request_id} has started its {stage} {len(ids)} times: {ids}"

    def _left(self) -> Iterator[str]:
        """Nothing runs, and nothing is left, of a resource that was deleted."""
        if not all(stack.is_gone for stack in self._world.stacks):
            for stack in self._world.stacks:
                if not stack.is_gone and self._world.passes:
                    yield f"{stack.name} can't be deleted"
            return
        cloud = self._world.cloud
        if running := cloud.running():
            yield f"{running} runs on after its Delete"
        kept = [own for id_ in (*self._kept_ids(), *self._may_stay()) for own in self._of(id_)]
        left = [each for each in cloud.left() if each not in kept]
        if left:
            yield f"{left} is left after the Delete"

    def _kept(self) -> Iterator[str]:
        """What is retained is there."""
        for id_ in self._kept_ids():
            if not self._of(id_):
                yield f"{id_} was to be retained, and is gone"

    def _kept_ids(self) -> list[str]:
        kept: list[str] = []
        for stack in self._world.stacks:
            kept += stack.retained
            kept += [
                id_
                for id_, said in stack.on_delete.items()
                if said == "Retain" or (said == "RetainExceptOnCreate" and id_ not in stack.undone)
            ]
        return sorted(set(kept))

    def _may_stay(self) -> Iterator[str]:
        """What was finished and not answered, to be retained; and what CloudFormation has left,
        since its Delete failed; and what can't be told from another's, which is logged."""
        yield from self._world.unseen
        for stack in self._world.stacks:
            yield from stack.left
        for (request_id, _), ids in self._world.cloud.starts.items():
            properties = self._world.exchange(request_id).request.properties
            if properties["OnDelete"] == "Retain":
                yield from ids

    def _of(self, id_: str) -> list[str]:
        """What there is of a bundle."""
        cloud = self._world.cloud
        task = cloud.made.get(id_)
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
