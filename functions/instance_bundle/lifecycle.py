"""What Create, Update, Delete and a poll mean.

Knows CloudFormation's contract, a ledger and a method; knows no EC2 call and no queue.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from instance_bundle import pace
from instance_bundle.errors import (
    DeadlineExceeded,
    Denied,
    LocationTaken,
    PassingFault,
    Refusal,
    TaskFailed,
    Throttled,
)
from instance_bundle.ledger import Bundle, Ledger, Record
from instance_bundle.method import Method, Task
from instance_bundle.outcome import Done, Failed, Outcome, Pending
from instance_bundle.properties import Location, Properties, service_timeout
from instance_bundle.request import Request
from instance_bundle.telemetry import count, logger

_SETTLED = 30
"""Seconds after which a call whose answer was lost shows in a Describe, or never was."""

_OURS = ("bun-", "dryrun-")
"""How the IDs of finished work begin; other IDs stand for a resource that was never finished."""


class Lifecycle:
    """The resource's life: each method takes a request's record and answers with an outcome.

    Each may raise `PassingFault`: nothing is lost, the next poll takes the work up again.
    """

    def __init__(
        self, ledger: Ledger, method: Method, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._method = method
        self._clock = clock

    def create(self, record: Record) -> Outcome:
        """Start the bundle, and look again soon."""
        request, properties = _parsed(record)
        if properties.dry_run:
            return self._rehearse(record, request, properties)
        location = _location(request, properties)
        if not self._ledger.claim(location, record.key):
            return _failed(record, LocationTaken(location.s3_uri, "another resource has a bundle"))
        if self._method.is_stored(location):
            self._ledger.release(location, record.key)
            return _failed(record, LocationTaken(location.s3_uri, "there is a bundle already"))
        return self._start(record, properties, location)

    def update(self, record: Record) -> Outcome:
        """Answer a bundle that the resource owns where it is the one described; else make one."""
        _, properties = _parsed(record)
        for bundle in self._ledger.bundles(record.key):
            if bundle.naming == properties.naming:
                return Done(bundle.physical_id, bundle.attributes)
        return self.create(record)

    def delete(self, record: Record) -> Outcome:
        """End the work that still runs, then let go of the bundle; its objects stay."""
        physical_id = _request(record).physical_id
        requests = self._ledger.requests(record.key)
        for other in requests:
            task = self._running(other, physical_id)
            if task is not None:
                return self._end(record, physical_id, task)
        self._release_unfinished(requests)
        self._release_bundle(record, physical_id)
        self._ledger.bury(record.key, physical_id)
        return Done(physical_id)

    def poll(self, record: Record, seen: Task | None) -> Outcome:
        """Take a request up where it is.

        Args:
            record: the request's record.
            seen: the record's task as EC2 tells it now; None where EC2 does not list it.
        """
        request = _request(record)
        if request.request_type == "Delete":
            return self.delete(record)
        if record.task is None:
            return self._take_up(record)
        return self._judge(record, record.task, seen)

    def _rehearse(self, record: Record, request: Request, properties: Properties) -> Outcome:
        location = _location(request, properties)
        try:
            self._method.rehearse(properties, location)
        except Denied as denied:
            return _failed(record, denied)
        now = _utc(self._clock())
        rehearsal = Task(
            f"dryrun-{record.key.request_id}", "complete", "complete", "100%", now, now
        )
        return self._done(record, properties, rehearsal, location)

    def _start(self, record: Record, properties: Properties, location: Location) -> Outcome:
        self._ledger.attempt(record, location)
        try:
            task = self._method.start(properties, location, record.first_receipt)
        except Denied as denied:
            self._ledger.release(location, record.key)
            return _failed(record, denied)
        except Throttled:
            self._ledger.attempt_was_nothing(record)
            return Pending(pace.AFTER_FAULT)
        self._ledger.started(record, task)
        count("Started")
        logger.info("Started", task_id=task.id, location=location.s3_uri)
        return Pending(pace.SOONEST, task)

    def _take_up(self, record: Record) -> Outcome:
        """Go on after a crash, or an answer that was lost, somewhere before the work was known."""
        _, properties = _parsed(record)
        if self._clock() >= record.deadline:
            return _failed(record, _overdue(record, "the task could not be started"))
        if record.attempted_at is None:
            return self.update(record)
        location = _location(_request(record), properties)
        task = self._method.find(properties, location, record.first_receipt)
        if task is not None:
            self._ledger.started(record, task)
            return Pending(pace.SOONEST, task)
        if self._clock() < record.attempted_at + _SETTLED:
            return Pending(pace.AFTER_FAULT)
        return self.create(record)

    def _judge(self, record: Record, last: Task, seen: Task | None) -> Outcome:
        request, properties = _parsed(record)
        location = _location(request, properties)
        match seen and seen.phase:
            case "complete":
                return self._done(record, properties, seen or last, location)
            case "failed":
                self._ledger.release(location, record.key)
                failed = seen or last
                return Failed(
                    failed.id,
                    str(TaskFailed(failed.id, failed.error_code, failed.error_message)),
                )
            case None if self._method.is_stored(location):
                # EC2 lists a task for a limited time only; the manifest is written last.
                return self._done(record, properties, _finished(last), location)
        if self._clock() >= record.deadline:
            self._method.cancel(last.id)
            return _failed(record, _overdue(record, f"{seen or last}; it is being cancelled"))
        wait = pace.next_look(seen, self._clock()) if seen else pace.AFTER_FAULT
        return Pending(self._before_deadline(record, wait), seen)

    def _done(
        self, record: Record, properties: Properties, task: Task, location: Location
    ) -> Outcome:
        attributes = _attributes(properties, task, location)
        self._ledger.keep(
            record.key,
            Bundle(
                physical_id=task.id,
                made_by=record.key.request_id,
                naming=properties.naming,
                location=None if properties.dry_run else location,
                attributes=attributes,
            ),
        )
        return Done(task.id, attributes)

    def _before_deadline(self, record: Record, wait: int) -> int:
        return max(1, min(wait, round(record.deadline - self._clock())))

    def _running(self, other: Record, physical_id: str) -> Task | None:
        """The unfinished work of another request that a Delete of this physical ID is to end."""
        if other.succeeded:
            return None
        task = self._work_of(other)
        if task is None or (physical_id.startswith(_OURS) and physical_id != task.id):
            return None
        return task if task.phase == "running" else None

    def _work_of(self, other: Record) -> Task | None:
        if other.task is not None:
            return self._method.describe([other.task.id]).get(other.task.id)
        if other.attempted_at is None or other.request is None:
            return None
        request, properties = _parsed(other)
        return self._method.find(properties, _location(request, properties), other.first_receipt)

    def _release_unfinished(self, requests: Iterable[Record]) -> None:
        for other in requests:
            if other.location is not None and not other.succeeded:
                self._ledger.release(other.location, other.key)

    def _release_bundle(self, record: Record, physical_id: str) -> None:
        for bundle in self._ledger.bundles(record.key):
            if bundle.physical_id == physical_id and bundle.location is not None:
                maker = replace(record.key, request_id=bundle.made_by)
                self._ledger.release(bundle.location, maker)

    def _end(self, record: Record, physical_id: str, task: Task) -> Outcome:
        if self._clock() >= record.deadline:
            return Failed(physical_id, f"The work did not end in time: {task} after its cancel.")
        self._method.cancel(task.id)
        return Pending(self._before_deadline(record, pace.SOONEST))


def _request(record: Record) -> Request:
    if record.request is None:
        raise PassingFault("the request has been answered")
    return record.request


def _parsed(record: Record) -> tuple[Request, Properties]:
    request = _request(record)
    return request, Properties.parse(request.properties)


def _location(request: Request, properties: Properties) -> Location:
    """Where the bundle goes; a prefix that is not given is unique, and the same on every retry."""
    made = f"{request.stack_name}/{request.logical_id}/{request.request_id}"
    return Location(properties.bucket, properties.prefix or made)


def _failed(record: Record, refusal: Refusal) -> Failed:
    physical_id = record.task.id if record.task else _request(record).id_of_failure
    return Failed(physical_id, str(refusal))


def _overdue(record: Record, progress: str) -> DeadlineExceeded:
    return DeadlineExceeded(service_timeout(_request(record).properties), progress)


def _finished(last: Task) -> Task:
    return replace(last, phase="complete", state="complete", progress="100%")


def _attributes(properties: Properties, task: Task, location: Location) -> dict[str, str]:
    return {
        "BundleId": task.id,
        "InstanceId": properties.instance_id,
        "Bucket": location.bucket,
        "Prefix": location.prefix,
        "S3Uri": location.s3_uri,
        "ManifestLocation": f"{location.bucket}/{location.manifest_key}",
        "State": task.state,
        "Progress": "100%",
        "StartTime": task.started,
        "UpdateTime": task.updated,
        "ImageId": "",
    }


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
