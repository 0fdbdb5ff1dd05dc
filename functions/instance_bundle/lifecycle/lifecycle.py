"""The lifecycle in production: it performs the flow's effects.

It calls the ledger, the methods and CloudFormation.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from instance_bundle.aws import stacks
from instance_bundle.errors import InstanceBundleError
from instance_bundle.lifecycle import effects, history
from instance_bundle.lifecycle.driving import until
from instance_bundle.lifecycle.effects import Effect
from instance_bundle.lifecycle.flow import drive
from instance_bundle.lifecycle.meaning import Answers, needs_resource, needs_root
from instance_bundle.methods import Method, Methods, Task, known
from instance_bundle.request import Properties, RequestKey, Target, admit, admit_update
from instance_bundle.settings import Limits
from instance_bundle.state import Ledger, Outcome, Record
from instance_bundle.telemetry import count

_ROLLS_BACK = "UPDATE_ROLLBACK_IN_PROGRESS"

Described = Callable[[], Task | None]
"""Returns a request's task as EC2 described it together with others, or raises why it did not."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Drives requests.

    Attributes:
        ledger: the ledger.
        methods: the ways to make an image.
        limits: what the deployment allows.
        asks: whether CloudFormation must confirm a request before it changes what another made.
        clock: epoch seconds.
    """

    ledger: Ledger
    methods: Methods
    limits: Limits
    asks: bool = True
    clock: Callable[[], float] = time.time

    def is_rollback(self, key: RequestKey) -> bool:
        """Whether an Update is that of a rollback, as far as the ledger shows, or CloudFormation:
        the ledger does not show it of a rollback that is continued."""
        resource = self.ledger.resource(key)
        if any(history.is_rollback(resource, me) for me in resource.requests if me.key == key):
            return True
        return self.asks and stacks.describe_stack(key.stack_id).status == _ROLLS_BACK

    def drive(
        self, record: Record, described: Described | None = None, admitted: Properties | None = None
    ) -> Outcome:
        """Drive a request until it waits or has its answer; this process has its lease.

        Args:
            record: the request's record.
            described: returns its task, if EC2 described it already.
            admitted: its properties, if it was just admitted.

        Raises:
            PassingFault: an effect failed; the next poll retries it.
            Refusal: the request is answered FAILED.
        """
        performer = Performer(self, record, described, admitted)
        flow = drive(record, self.methods)
        result: Any = None
        problem: InstanceBundleError | None = None
        while True:
            try:
                effect = flow.send(result) if problem is None else flow.throw(problem)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            result, problem = None, None
            try:
                result = performer.perform(effect)
            except InstanceBundleError as error:
                problem = error


Performers = Mapping[type[Effect[Any]], Callable[[Any], Any]]
"""The functions that perform effects, by the effect's type."""


class Performer:
    """Performs the effects of one request."""

    def __init__(
        self,
        life: Lifecycle,
        record: Record,
        described: Described | None,
        admitted: Properties | None,
    ) -> None:
        self.life = life
        self.record = record
        self.described = described
        self.admitted = admitted
        self._performers: Performers = {
            effects.Now: lambda _: life.clock(),
            effects.Ask: lambda e: self.ask(e.record, e.answered),
            effects.Admit: lambda e: self._admit(e.record, makes_bundle=e.makes_bundle),
            effects.Describe: lambda e: self._describe(e.task_id),
            **_of_ledger(life.ledger),
            **_of_methods(life.methods),
        }

    def perform(self, effect: Effect[Any]) -> Any:
        """Perform an effect; its result."""
        return self._performers[type(effect)](effect)

    def ask(self, record: Record, answered: Record | None) -> Answers | None:
        """Read what CloudFormation says about a request; None if the deployment does not."""
        if not self.life.asks:
            return None
        key = record.key
        answers = Answers(stacks.describe_stack(key.stack_id))
        if needs_resource(record, answers.stack):
            resource = stacks.describe_resource(key.stack_id, key.logical_id)
            answers = replace(answers, resource=resource)
        if needs_root(record, answers.stack):
            answers = replace(answers, root=stacks.describe_stack(answers.stack.root_id))
        if answered is not None and answered.answer is not None:
            made, since = answered.answer.physical_id, answered.sent_at
            received = stacks.has_had(key.stack_id, key.logical_id, made, since)
            answers = replace(answers, received=received)
        return answers

    def _admit(self, record: Record, *, makes_bundle: bool) -> Properties:
        request = record.request
        assert request is not None  # noqa: S101  it has not been answered yet
        if self.admitted is not None and makes_bundle == (record.request_type == "Create"):
            return self.admitted
        if not makes_bundle:
            return admit_update(
                request, self.life.limits, lambda: self.life.is_rollback(record.key)
            )
        return admit(request, self.life.limits, until(record, request))

    def _describe(self, task_id: str) -> Task | None:
        """The request's own task as it was described with others; another task as it is now."""
        is_own = self.record.task is not None and self.record.task.id == task_id
        if is_own and self.described is not None:
            return self.described()
        return known(self.life.methods.describe([task_id]).get(task_id))


def _of_ledger(ledger: Ledger) -> Performers:
    bundles = ledger.bundles
    marks = {
        "superseded": ledger.supersede,
        "cancel_requested": ledger.cancel_requested,
        "cleaned_up": ledger.cleaned_up,
    }
    return {
        effects.Load: lambda e: ledger.resource(e.key),
        effects.Read: lambda e: ledger.read(e.key),
        effects.Save: lambda e: ledger.save(e.before, e.after),
        effects.ExpectImage: lambda e: ledger.hints.expect_image(e.image_id, e.record),
        effects.MergeTask: lambda e: ledger.merge_task(e.record, e.task),
        effects.Mark: lambda e: marks[e.mark](e.record),
        effects.Claim: lambda e: ledger.locations.claim(e.location, e.key, e.instead_of),
        effects.ReleaseLocation: lambda e: ledger.locations.release(e.location, e.key),
        effects.KeepLocation: lambda e: ledger.locations.keep(e.location, e.key, e.s3_uri),
        effects.PutBundle: lambda e: bundles.put(e.key, e.bundle),
        effects.AboutToRemove: lambda e: bundles.about_to_remove(e.key, e.bundle.physical_id),
        effects.ReleaseBundle: lambda e: bundles.release(e.key, e.bundle.physical_id),
        effects.Announce: lambda e: ledger.announce(e.key, e.announcement),
        effects.LeaveTombstone: lambda e: bundles.leave_tombstone(e.key, e.tombstone),
    }


def _of_methods(methods: Methods) -> Performers:
    def of(target: Target) -> Method:
        return methods.named(target.method)

    def start(effect: effects.Start) -> Task:
        task = of(effect.work.target).start(effect.work)
        count("Started")
        return task

    return {
        effects.Find: lambda e: of(e.target).find(e.target, e.since),
        effects.DryRun: lambda e: of(e.work.target).dry_run(e.work),
        effects.Start: start,
        effects.Advance: lambda e: of(e.work.target).advance(e.work, e.last, e.seen),
        effects.Cancel: lambda e: methods.of(e.task_id).cancel(e.task_id),
        effects.UpdateImage: lambda e: methods.of(e.bundle.physical_id).update_image(
            e.bundle, e.key, e.old, e.new
        ),
        effects.IsTaken: lambda e: of(e.target).is_taken(e.target.location),
        effects.Hint: lambda e: of(e.target).hint(e.target),
        effects.HasFinished: lambda e: methods.of(e.task_id).has_finished(e.location),
        effects.Finished: lambda e: methods.of(e.task.id).finished(e.location, e.task),
        effects.CheckRemoval: lambda e: methods.of(e.bundle.physical_id).removable(e.bundle),
        effects.Remove: lambda e: methods.of(e.bundle.physical_id).remove(e.bundle),
        effects.RemoveLeftovers: lambda e: of(e.target).remove_leftovers(e.target, e.task),
    }
