"""Ending and cleaning up what earlier requests about a resource began and did not finish."""

from collections.abc import Callable
from dataclasses import dataclass

from instance_bundle import budget
from instance_bundle.errors import Doubtful, Refused
from instance_bundle.methods import Bundle, Methods, Task, known
from instance_bundle.request import Target, removes_on_delete
from instance_bundle.state import History, Ledger, Record, Tombstone
from instance_bundle.telemetry import logger

_SETTLED = 30
"""Seconds after which a call whose answer was lost shows in a Describe, or never was."""


_BUSY = "another process is at work on the resource"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Work of an earlier request that has not ended.

    Attributes:
        work: what is known of it, for a person.
        seconds: seconds until it may have ended.
    """

    work: str
    seconds: int


class EarlierWork:
    """What CloudFormation has given up: it has sent a later request.

    Each call may raise `PassingFault` or `Denied`.
    """

    def __init__(self, ledger: Ledger, methods: Methods, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._methods = methods
        self._clock = clock

    def settle(self, record: Record) -> tuple[History, Unsettled | None]:
        """End and clean up the work of the requests before this one; a late one has none before it.

        Returns:
            What is known of the resource then, and the work that has not ended yet, if any.
        """
        history = self._ledger.history(record.key)
        unfinished = history.unfinished_before(record)
        if not unfinished or (record.request_type != "Delete" and history.is_late(record)):
            return history, None
        unsettled = [self._settle(record, other, history) for other in unfinished]
        return (
            self._ledger.history(record.key),
            next((work for work in unsettled if work is not None), None),
        )

    def found(self, record: Record) -> Task | None:
        """The task of a request that may have started one, but does not know it."""
        if record.attempted_at is None or record.target is None:
            return None
        method = self._methods.named(record.target.method)
        return method.find(record.target, record.first_receipt)

    def may_show_yet(self, record: Record) -> bool:
        """Whether a task that was started may be too young to be found."""
        return record.attempted_at is not None and self._clock() < record.attempted_at + _SETTLED

    def _settle(self, record: Record, other: Record, history: History) -> Unsettled | None:
        if other.answer is None:
            if other.is_being_accepted and self._clock() < other.lease_until:
                # CloudFormation may have heard that it is accepted, which is about to be noted.
                return Unsettled(_BUSY, budget.NEXT_POLL)
            other = self._ledger.supersede(other)
            if other.succeeded:
                return None
        task = self._work_of(other)
        unsettled = self._end(other, task)
        if unsettled is not None:
            return unsettled
        if other.target is not None:
            self._clean_up(record, other, other.target, task)
        for bundle in history.bundles:
            if bundle.made_by == other.key.request_id:
                self._ledger.bury(
                    record.key, Tombstone(bundle.physical_id, record.sent, unseen=False)
                )
        self._ledger.settle(other)
        return None

    def _work_of(self, other: Record) -> Task | None:
        """The work; while it may run, a refusal to tell is waited out to the end."""
        try:
            if other.task is not None:
                return known(self._methods.describe([other.task.id]).get(other.task.id))
            found = self.found(other)
        except Doubtful as doubt:
            raise Refused(doubt.refusal) from doubt
        if found is not None:
            self._ledger.started(other, found)
        return found

    def _end(self, other: Record, task: Task | None) -> Unsettled | None:
        """Ask for the end of work that runs; None where nothing of it does, or may."""
        is_at_work = other.answer is None and self._clock() < other.lease_until
        if task is None:
            if is_at_work:
                return Unsettled(_BUSY, budget.NEXT_POLL)
            may_run = self.may_show_yet(other) and not other.ended
            return Unsettled("a task may have been started", budget.NEXT_POLL) if may_run else None
        if (task.phase == "complete" or task.state == "available") and self.may_show_yet(other):
            # A call that followed its first stage may have made what does not show yet.
            return Unsettled(f"{task}, and may have gone on", budget.NEXT_POLL)
        if task.phase == "running":
            if self._methods.of(task.id).cancel(task.id):
                self._ledger.end(other)
            return Unsettled(f"{task}; its end was asked for", budget.NEXT_POLL)
        return (
            Unsettled(_BUSY, budget.NEXT_POLL) if is_at_work and task.phase == "complete" else None
        )

    def _clean_up(self, record: Record, other: Record, target: Target, seen: Task | None) -> None:
        """Remove what work that has ended left, where its location is still its own.

        What was finished by itself, but not answered, is dealt with as its Delete would; what was
        finished although its end was asked for is removed.
        """
        location, method = target.location, self._methods.named(target.method)
        if not self._ledger.claim(location, other.key):
            logger.info("Another resource has the location now", s3_uri=location.s3_uri)
            return
        if seen is None and other.task is not None and method.has_finished(location):
            seen = other.task.completed(self._clock())
        task = seen or other.task
        if seen is not None and seen.phase == "complete" and not other.ended:
            if _removes(record):
                # A removal that was cut short may have left some of it, and no etag.
                etag = method.finished(location, seen) or ""
                method.remove(Bundle(seen.id, other.key.request_id, location, etag))
        elif task is not None:
            method.remove_leftovers(target, task)
        self._ledger.release(location, other.key)


def _removes(record: Record) -> bool:
    return record.request is not None and removes_on_delete(record.request.properties)
