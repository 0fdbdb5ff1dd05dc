"""What Create, Update, Delete and a poll mean.

Knows CloudFormation's contract, a ledger and a method; knows no EC2 call and no queue.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from instance_bundle import budget
from instance_bundle.errors import (
    DeadlineExceeded,
    Denied,
    Doubtful,
    LocationTaken,
    NotEnded,
    NothingDone,
    PassingFault,
    Refusal,
    Refused,
    RefusedToTheEnd,
    Superseded,
    TaskFailed,
    Timeout,
)
from instance_bundle.lifecycle import interval
from instance_bundle.lifecycle.earlier_work import EarlierWork, Unsettled
from instance_bundle.methods import Bundle, Methods, Task, Work, utc
from instance_bundle.request import (
    Location,
    Properties,
    Request,
    Target,
    admit,
    admit_update,
    removes_on_delete,
)
from instance_bundle.settings import Limits
from instance_bundle.state import (
    Done,
    Failed,
    History,
    Ledger,
    Outcome,
    Pending,
    Record,
    Tombstone,
)
from instance_bundle.telemetry import count, logger


class Lifecycle:
    """The resource's life: each method takes a request's record and answers with an outcome.

    Each may raise `PassingFault`: nothing is lost, the next poll takes the work up again.
    Whatever a request is about, it first ends and cleans up what earlier requests about the
    resource began and did not finish: CloudFormation has given those up.
    """

    def __init__(
        self,
        ledger: Ledger,
        methods: Methods,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._methods = methods
        self._limits = limits
        self._clock = clock
        self._earlier = EarlierWork(ledger, methods, clock)

    def create(self, record: Record) -> Outcome:
        """Start the bundle, and look again soon."""
        try:
            settled = self._earlier.settle(record)
        except Doubtful as doubt:
            return _failed(record, self._believed(record, doubt))
        return self._make(record, *settled)

    def update(self, record: Record) -> Outcome:
        """Answer a bundle that the resource owns where it is the one described; else make one."""
        request = _request(record)
        properties = admit_update(request, self._limits)
        if request.repeats_handle and not request.changes_image:
            under_way = self._ledger.history(record.key).under_way(record, properties.identity)
            if under_way is not None:
                return under_way
        history, unsettled = self._earlier.settle(record)
        owned = history.owned(properties.identity)
        if owned is None:
            return self._make(record, history, unsettled)
        if unsettled is not None and not self._is_overdue(record):
            return self._wait(record, unsettled.seconds)
        for bundle in history.unseen_at(record):
            if bundle != owned:
                self._let_go(record, bundle)
        if not owned.is_dry_run and not history.is_late(record):
            owned = self._amended(record, history, owned)
        return Done(owned.physical_id, owned.attributes)

    def delete(self, record: Record) -> Outcome:
        """End the work that still runs, then let go of the bundle."""
        try:
            return self._delete(record)
        except Doubtful as doubt:
            return _failed(record, self._believed(record, doubt))

    def _delete(self, record: Record) -> Outcome:
        history, unsettled = self._earlier.settle(record)
        if unsettled is not None:
            if self._is_overdue(record):
                return _failed(record, NotEnded(_timeout(record).seconds, unsettled.work))
            return self._wait(record, unsettled.seconds)
        bundles = history.deleted_by(record)
        for bundle in bundles:
            self._let_go(record, bundle)
        if not bundles:
            logger.info("There is no finished bundle to delete")
        self._bury(record, record.physical_id, unseen=not history.has_seen(record))
        return Done(record.physical_id)

    def poll(self, record: Record, seen: Task | None) -> Outcome:
        """Take a request up where it is.

        Args:
            record: the request's record.
            seen: the record's task as EC2 tells it now; None where EC2 does not list it.
        """
        if record.request_type == "Delete":
            return self.delete(record)
        if record.superseded:
            return self._give_way(record)
        if record.task is None:
            return self._take_up(record)
        return self._judge(record, record.task, seen)

    # Making a bundle

    def _make(self, record: Record, history: History, unsettled: Unsettled | None) -> Outcome:
        if history.is_late(record):
            return _failed(record, Superseded())
        if self._is_overdue(record):
            why = unsettled.work if unsettled else "the task could not be started"
            return _failed(record, DeadlineExceeded(_timeout(record), why))
        if unsettled is not None:
            return self._wait(record, unsettled.seconds)
        request = _request(record)
        properties = admit(request, self._limits, _until(record, request))
        work = _work(record, request, properties)
        try:
            return self._begin(record, work)
        except Doubtful as doubt:
            refusal = self._believed(record, doubt)
            self._ledger.release(work.target.location, record.key)
            return _failed(record, refusal)

    def _begin(self, record: Record, work: Work) -> Outcome:
        if work.properties.dry_run:
            return self._dry_run(record, work)
        location, method = work.target.location, self._methods.named(work.target.method)
        self._ledger.intend(record, work.target)
        if not self._ledger.claim(location, record.key):
            return _failed(record, LocationTaken(location.s3_uri, "another resource has a bundle"))
        if method.is_taken(location):
            self._ledger.release(location, record.key)
            return _failed(record, LocationTaken(location.s3_uri, "there is a bundle already"))
        return self._start(record, work)

    def _dry_run(self, record: Record, work: Work) -> Outcome:
        try:
            self._methods.named(work.target.method).dry_run(work)
        except Refusal as refusal:
            return _failed(record, refusal)
        now = utc(self._clock())
        rehearsal = Task(
            f"dryrun-{record.key.request_id}", "complete", "complete", "100%", now, now
        )
        return self._done(record, work, rehearsal)

    def _start(self, record: Record, work: Work) -> Outcome:
        self._ledger.attempt(record)
        try:
            task = self._methods.named(work.target.method).start(work)
        except Refusal as refusal:
            self._ledger.release(work.target.location, record.key)
            self._ledger.attempt_was_nothing(record)
            return _failed(record, refusal)
        except NothingDone:
            self._ledger.attempt_was_nothing(record)
            raise
        try:
            self._ledger.started(record, task)
        except Doubtful as doubt:  # it runs
            raise Refused(doubt.refusal) from doubt
        count("Started")
        logger.info("Started", task_id=task.id, s3_uri=work.target.location.s3_uri)
        return self._under_way(record, work, task, budget.NEXT_POLL)

    def _take_up(self, record: Record) -> Outcome:
        """Go on after a crash, or an answer that was lost, somewhere before the work was known."""
        task = self._earlier.found(record)
        if task is not None:
            self._ledger.started(record, task)
            return self._judge(replace(record, task=task), task, task)
        if not self._is_overdue(record) and self._earlier.may_show_yet(record):
            return self._wait(record, budget.AFTER_FAULT)
        return self.create(record) if record.request_type == "Create" else self.update(record)

    def _judge(self, record: Record, last: Task, seen: Task | None) -> Outcome:
        request, method = _request(record), self._methods.of(last.id)
        # What has a task was admitted.
        work = _work(record, request, Properties.parse(request.properties))
        if seen is None and method.has_finished(work.target.location):
            seen = last.completed(self._clock())
        if seen is None:
            if self._is_overdue(record):
                return self._give_up(record, last)
            lost = method.lost(last, self._clock())
            if lost is None:
                return self._wait(record, budget.AFTER_FAULT)
            return Failed(last.id, str(self._believed(record, Doubtful(lost))))
        if seen.phase == "failed":
            self._ledger.release(work.target.location, record.key)
            return Failed(seen.id, str(TaskFailed(seen.id, seen.error_code, seen.error_message)))
        if seen.phase == "running" and self._is_overdue(record):
            return self._give_up(record, seen)
        return self._go_on(record, work, last, seen)

    def _go_on(self, record: Record, work: Work, last: Task, seen: Task) -> Outcome:
        """Do what comes next. That it may make something is written down before: where the answer
        is lost, it does not show for a while."""
        method = self._methods.of(last.id)
        goes_on = method.has_next(work, seen)
        try:
            if goes_on:
                self._ledger.attempt(record)
            task = method.advance(work, last, seen)
        except Refusal as refusal:
            if goes_on and not self._earlier.may_show_yet(record):
                self._ledger.attempt_was_nothing(record)
            return _failed(record, refusal)
        if task.phase == "complete":
            return self._done(record, work, task)
        return self._under_way(record, work, task, interval.next_poll(task, self._clock()))

    def _under_way(self, record: Record, work: Work, task: Task, seconds: int) -> Pending:
        """The work goes on; where a handle is to hear of its end, it is accepted herewith."""
        pending = self._wait(record, seconds, task)
        if record.accepted is not None or _request(record).handle is None:
            return pending
        return replace(pending, accepted=Done(task.id, self._attributes(work, task)))

    def _give_up(self, record: Record, task: Task) -> Outcome:
        end = "its end was asked for"
        try:
            self._methods.of(task.id).cancel(task.id)
        except (PassingFault, Denied) as error:
            # The answer can't wait; the request that follows it ends the task.
            logger.error("The task could not be cancelled", task_id=task.id, error=str(error))
            end = "it runs on"
        timeout, last_seen = _timeout(record), f"{task}; {end}"
        if record.doubt is not None and record.doubt.is_recent(self._clock()):
            return _failed(record, RefusedToTheEnd(timeout, record.doubt.reason, last_seen))
        return _failed(record, DeadlineExceeded(timeout, last_seen))

    def _done(self, record: Record, work: Work, task: Task) -> Outcome:
        properties, location = work.properties, work.target.location
        attributes = self._attributes(work, task)
        self._ledger.keep(
            record.key,
            Bundle(
                physical_id=task.id,
                made_by=record.key.request_id,
                identity=properties.identity,
                location=location,
                etag="" if properties.dry_run else self._etag(record, location, task),
                attributes=attributes,
            ),
        )
        return Done(task.id, attributes)

    def _believed(self, record: Record, refused: Refused) -> Refusal:
        """The refusal, once it is repeated.

        Raises:
            Refused: it came for the first time, or too soon after that: it is to be asked again.
        """
        now, doubt = self._clock(), record.doubt
        if doubt is None or not doubt.is_about(str(refused), now) or not doubt.is_settled(now):
            raise refused
        return refused.refusal

    def _amended(self, record: Record, history: History, bundle: Bundle) -> Bundle:
        """A bundle with the AMI that is described now. That of a rollback must not fail, since
        CloudFormation can't go on then: what is refused is left as it is."""
        request, method = _request(record), self._methods.of(bundle.physical_id)
        image = Properties.parse(request.properties).image
        try:
            image_id = method.update_image(bundle, request.old_image, image)
        except (Refused, Refusal) as refused:
            if not history.undoes_last(record):
                raise
            if isinstance(refused, Refused) and not self._is_overdue(record):
                self._believed(record, refused)
            logger.error("The AMI is left as it is", image_id=bundle.physical_id, why=str(refused))
            return bundle
        return self._with_image(record, bundle, image_id)

    def _with_image(self, record: Record, bundle: Bundle, image_id: str) -> Bundle:
        """A bundle with another AMI; it stays that of the request that made it."""
        if bundle.attributes["ImageId"] == image_id:
            return bundle
        changed = replace(bundle, attributes={**bundle.attributes, "ImageId": image_id})
        self._ledger.keep(replace(record.key, request_id=bundle.made_by), changed)
        return changed

    def _attributes(self, work: Work, task: Task) -> dict[str, str]:
        outputs = self._methods.named(work.target.method).outputs(work.target.location, task)
        return {
            "BundleId": task.id,
            "InstanceId": work.properties.instance_id,
            "Bucket": work.properties.bucket,
            "Prefix": outputs.prefix,
            "S3Uri": outputs.s3_uri,
            "ManifestLocation": outputs.manifest_location,
            "State": task.state,
            "Progress": "100%" if task.phase == "complete" else task.progress or "0%",
            "StartTime": task.started,
            "UpdateTime": task.updated,
            "ImageId": task.image_id,
        }

    def _etag(self, record: Record, location: Location, task: Task) -> str:
        """The finished bundle's; empty where it can't be seen, which must not fail the bundle."""
        try:
            return self._methods.of(task.id).finished(location, task) or ""
        except PassingFault as fault:
            if not self._is_overdue(record):
                if not isinstance(fault, Doubtful):
                    raise
                self._believed(record, fault)
            logger.warning("OnDelete can't remove this bundle", why=str(fault))
            return ""

    def _give_way(self, record: Record) -> Outcome:
        """Whoever superseded the request ends its work; only what needs none is still answered."""
        if record.request_type == "Update":
            properties = admit_update(_request(record), self._limits)
            owned = self._ledger.history(record.key).owned(properties.identity)
            if owned is not None:
                return Done(owned.physical_id, owned.attributes)
        return _failed(record, Superseded())

    def _let_go(self, record: Record, bundle: Bundle) -> None:
        if not bundle.is_dry_run:
            maker = replace(record.key, request_id=bundle.made_by)
            removes = removes_on_delete(_request(record).properties)
            if removes and self._ledger.claim(bundle.location, maker):
                self._ledger.leave(record.key, bundle.physical_id)
                method = self._methods.of(bundle.physical_id)
                method.remove(bundle)
            self._ledger.release(bundle.location, maker)
        self._bury(record, bundle.physical_id)

    def _bury(self, record: Record, physical_id: str, *, unseen: bool = False) -> None:
        self._ledger.bury(record.key, Tombstone(physical_id, record.sent, unseen))

    def _is_overdue(self, record: Record) -> bool:
        return self._clock() >= record.deadline

    def _wait(self, record: Record, seconds: int, task: Task | None = None) -> Pending:
        """Look again then, but not after the deadline."""
        left = round(record.deadline - self._clock())
        return Pending(max(1, min(seconds, left)), task)


def _request(record: Record) -> Request:
    if record.request is None:
        raise PassingFault("the request has been answered")
    return record.request


def _work(record: Record, request: Request, properties: Properties) -> Work:
    location = Location(properties.bucket, properties.prefix or request.made_prefix)
    target = Target(properties.method, request.request_id, properties.instance_id, location)
    return Work(properties, target, record.first_receipt, _until(record, request))


def _failed(record: Record, refusal: Refusal) -> Failed:
    physical_id = record.task.id if record.task else _request(record).id_of_failure
    return Failed(physical_id, str(refusal))


def _until(record: Record, request: Request) -> float:
    """When the work is given up, once it is accepted if a handle is to hear of its end."""
    return max(record.deadline, request.ends(record.first_receipt) if request.handle else 0)


def _timeout(record: Record) -> Timeout:
    return _request(record).timeout(accepted=record.accepted is not None)
