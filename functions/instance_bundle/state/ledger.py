"""Requests, bundles and claims of locations, in one DynamoDB table; requests' texts are in another.

One process at a time drives a request: the one that has its lease. The lease expires when the
process's time is over. A poll message with an older generation than the record's is dropped. A
record is saved on the condition that no other process has written it since it was read. What must
not get lost, such as a task, is merged into it whatever others wrote. A superseded request starts
nothing.

Bundles, and the claims of their locations, stay until their Delete; a request's item stays as long
as its work may need cleaning up. Everything else expires.
"""

import time
from collections.abc import Callable
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase

from instance_bundle import budget
from instance_bundle.errors import Busy, ConditionFailed, Stale
from instance_bundle.methods import Task
from instance_bundle.request import Request, RequestKey
from instance_bundle.state import items
from instance_bundle.state.bundles import Bundles
from instance_bundle.state.hints import Hints
from instance_bundle.state.items import UNDELIVERED, millis, request_key
from instance_bundle.state.locations import Locations
from instance_bundle.state.outcome import Answer, Done
from instance_bundle.state.records import (
    Announcement,
    Doubt,
    LastEvent,
    Record,
    Resource,
    dated,
    moves_forward,
)
from instance_bundle.state.table import NEW, THERE, Item, Table
from instance_bundle.state.texts import Texts, lost

EARLY = 2
"""Seconds by which the clocks of two execution environments may differ."""


class Ledger:
    """The table. Each call may raise `PassingFault` or `Denied`.

    Args:
        table: its name.
        texts: the name of the table of requests' texts.
        clock: epoch seconds.

    Attributes:
        texts: what CloudFormation asked, until it is answered.
        locations: which request writes, or wrote, where.
        bundles: which bundles resources own, or owned.
        hints: which request an event of AWS's is about.
    """

    def __init__(self, table: str, texts: str, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(table)
        self._clock = clock
        self.texts = Texts(texts, clock)
        self.locations = Locations(self._table, clock)
        self.bundles = Bundles(self._table, self.locations, clock)
        self.hints = Hints(self._table, clock)

    # Requests

    def receive(self, request: Request, lease: float) -> tuple[Record, bool]:
        """Put a request's text and then its item if there is none yet; otherwise read it.

        Returns:
            The record, and whether it is new: this process has its lease then, for `lease` seconds.
        """
        now = self._clock()
        timeout = request.timeout(accepted=False).seconds
        deadline = budget.deadline(request.sent_at(now), timeout)
        item: Item = {
            **request_key(request.key),
            "format": items.FORMAT,
            "request_type": request.request_type,
            "physical_id": request.physical_id,
            "asked": items.digest(request.properties),
            "asked_before": items.digest(request.old_properties),
            "sent": dated(request.sent_at(now)),
            "is_dated": request.signed_at(now) is not None,
            "undelivered": True,
            "first_receipt": millis(now),
            "deadline": millis(deadline),
            "generation": 0,
            "lease_until": millis(now + lease),
            "expires": int(deadline + items.KEPT),
        }
        asked = self.texts.put(request)
        try:
            self._table.put(item, NEW)
        except ConditionFailed as failed:
            if failed.item is None:
                raise
            found = items.record(failed.item, asked)
            if not found.undelivered:
                self.texts.remove(request.key)
            return found, False
        return items.record(item, asked), True

    def read(self, key: RequestKey) -> Record | None:
        """A request's record without its text, if there is one."""
        return next((each for each in self.resource(key).requests if each.key == key), None)

    def take(self, key: RequestKey, generation: int, lease: float) -> Record:
        """Take the lease of a request for a poll message, and count the invocation.

        A message is valid until the request's answer is delivered, and until a later generation is
        stored. A generation that is ahead by one is valid: the process that sent it ended before it
        stored the generation. A message that is further ahead, or comes before its time, was not
        sent by this application.

        Raises:
            Busy: another process has the lease.
            Stale: the message is not valid, or the request's text is no longer stored.
        """
        return self._take(key, generation, lease, begun=1)

    def take_over(self, key: RequestKey, generation: int, lease: float) -> Record:
        """As `take`, for a request whose polls have failed: the invocation is not counted."""
        return self._take(key, generation, lease, begun=0)

    def _take(self, key: RequestKey, generation: int, lease: float, *, begun: int) -> Record:
        asked = self.texts.read(key)  # before the lease is taken: if that fails, nothing is
        now = self._clock()
        is_free = Attr("lease_until").lte(millis(now)) & UNDELIVERED
        is_due = Attr("due").not_exists() | Attr("due").lte(millis(now + EARLY))
        is_next = Attr("generation").between(generation - 1, generation)
        try:
            taken = self._table.update(
                request_key(key),
                {"lease_until": millis(now + lease), "generation": generation},
                is_next & is_due & is_free,
                adds={"begun": begun},
            )
        except ConditionFailed as failed:
            found = items.record(failed.item) if failed.item else None
            if found is None or not found.undelivered or not _is_valid(found, generation, now):
                raise Stale(f"generation {generation}") from None
            raise Busy(found.lease_until - now) from None
        record = items.record(taken, asked)
        if record.request is None:
            raise lost()
        return record

    def save(self, before: Record, after: Record) -> tuple[Record, bool]:
        """Write the facts of a record that have changed, unless another process has written it.

        Args:
            before: the record as it was read.
            after: the record to write; no fact of it may go back.

        Returns:
            The record as it is then, and whether this write took place.
        """
        assert moves_forward(before, after), f"{before} can't become {after}"  # noqa: S101
        old, new = items.attributes(before), items.attributes(after)
        changed = {name: value for name, value in new.items() if value != old[name]}
        if not changed:
            return before, True
        try:
            return self._write(before, changed, _unwritten_since(before)), True
        except ConditionFailed as failed:
            if failed.item is None:
                raise
            return items.record(failed.item, before.request), False

    def merge_task(self, record: Record, task: Task) -> Record:
        """Store the task that a call started, whatever else was written meanwhile."""
        merged = self._write(record, {"task": items.encode_task(task)}, THERE)
        if task.image_id:
            self.hints.expect_image(task.image_id, merged)
        return self.hints.expect_object(merged)

    def _write(self, record: Record, changed: Item, condition: ConditionBase) -> Record:
        """Set attributes; one whose value is None is removed. Work to clean up does not expire."""
        sets = {name: value for name, value in changed.items() if value is not None}
        gone = tuple(name for name, value in changed.items() if value is None)
        if "settled" in sets:
            sets["expires"] = int(max(record.deadline, self._clock()) + items.KEPT)
        elif "attempted_at" in sets:
            gone += ("expires",)
        key, adds = request_key(record.key), {"version": 1}
        stored = self._table.update(key, sets, condition, removes=gone, adds=adds)
        return items.record(stored, record.request)

    def save_progress(
        self,
        record: Record,
        task: Task | None,
        generation: int,
        due: float | None = None,
        last_event: LastEvent | None = None,
    ) -> bool:
        """Store the task and the generation of the next poll, and release the lease.

        If another process has advanced the request since, nothing is changed.

        Args:
            record: as it was taken.
            task: as it was described, if it was.
            generation: of the next poll.
            due: epoch seconds; a poll that comes earlier is not valid. None: it stays as it is.
            last_event: about the task. None: it stays as it is.

        Returns:
            Whether an event about the request has come since it was taken.
        """
        sets: Item = {"generation": generation, "lease_until": 0, "begun": 0}
        if due is not None:
            sets = {**sets, "due": millis(due)}
        if task is not None:
            sets = {**sets, "task": items.encode_task(task)}
        if last_event is not None:
            sets = {**sets, "last_event": items.encode(last_event)}
        unchanged = Attr("generation").eq(record.generation)
        try:
            saved = items.record(self._table.update(request_key(record.key), sets, unchanged))
        except ConditionFailed:
            return False
        return saved.hinted_at > record.hinted_at

    def store_acceptance(self, record: Record, acceptance: Done) -> Done:
        """Store the acceptance before it is sent; from now on, CompletionTimeout bounds the work.

        Returns:
            The acceptance to send: the one stored first, if there was one already.
        """
        assert record.request is not None  # noqa: S101  it has not been answered yet
        timeout = record.request.timeout(accepted=True).seconds
        deadline = budget.deadline(record.sent_at, timeout)
        try:
            self._table.update(
                request_key(record.key),
                {"accepted": items.encode_answer(acceptance), "deadline": millis(deadline)},
                THERE & Attr("accepted").not_exists(),
                removes=("expires",),
                adds={"version": 1},
            )
        except ConditionFailed as failed:
            stored = items.record(failed.item) if failed.item else None
            if stored is None or stored.acceptance is None:
                raise
            return stored.acceptance
        return acceptance

    def acceptance_sent(self, record: Record) -> None:
        """Store that CloudFormation has the acceptance."""
        self._mark(record, "told")

    def note_doubt(self, record: Record, doubt: Doubt) -> None:
        """Store the Reason of a call that was refused and is retried."""
        self._write(record, {"doubt": items.encode(doubt)}, THERE)

    def announce(self, key: RequestKey, announcement: Announcement) -> None:
        """Store an event that is to be published once the request is answered."""
        added = {items.encode_announcement(announcement)}
        self._table.update(request_key(key), {}, THERE, adds={"announcements": added})

    def supersede(self, record: Record) -> Record:
        """Store that a later request has superseded this one; the record as it is then."""
        return self._mark(record, "superseded")

    def cancel_requested(self, record: Record) -> Record:
        """Store that the cancel of a request's work was requested."""
        return self._mark(record, "ended")

    def cleaned_up(self, record: Record) -> Record:
        """Store that nothing is left of a request's work to cancel or to clean up."""
        return self._mark(record, "settled")

    def _mark(self, record: Record, mark: str) -> Record:
        try:
            return self._write(record, {mark: True}, THERE)
        except ConditionFailed:
            return record  # it has expired: no process works on it

    def store_answer(self, record: Record, answer: Answer) -> tuple[Record, Answer]:
        """Store the answer before it is sent.

        Returns:
            The record as it is then, and the answer to send: the one stored first, if there was one
            already.
        """
        sets: dict[str, Any] = {"answer": items.encode_answer(answer)}
        if isinstance(answer, Done) or record.attempted_at is None:
            sets["expires"] = int(max(record.deadline, self._clock()) + items.KEPT)
        try:
            stored = self._table.update(
                request_key(record.key),
                sets,
                THERE & Attr("answer").not_exists(),
                adds={"version": 1},
            )
        except ConditionFailed as failed:
            if failed.item is None:
                raise
            stored = failed.item
        found = items.record(stored, record.request)
        assert found.answer is not None  # noqa: S101  it was stored, now or before
        return found, found.answer

    def delivered(self, key: RequestKey) -> None:
        """Store that a request's answer was delivered, and remove its text, with its secrets."""
        removes = ("request", "undelivered")
        self._table.update(
            request_key(key), {"lease_until": 0}, THERE, removes=removes, adds={"version": 1}
        )
        self.texts.remove(key)

    # Resources

    def resource(self, key: RequestKey) -> Resource:
        """All that is known about the resource of a request, but no texts of requests."""
        found = self._table.query(key.resource)
        requests = [item for item in found if item["item"].startswith("request|")]
        others = [item for item in found if item["item"].startswith("bundle|")]
        bundles = [
            (items.decode_bundle(i["bundle"]), "released" in i) for i in others if "bundle" in i
        ]
        return Resource(
            requests=tuple(map(items.record, requests)),
            bundles=tuple(bundle for bundle, released in bundles if not released),
            released=tuple(bundle for bundle, released in bundles if released),
            tombstones=tuple(items.tombstone(item) for item in others if "bundle" not in item),
        )


def _is_valid(record: Record, generation: int, now: float) -> bool:
    """Whether the application sent a poll of this generation, and no later one was taken."""
    return generation - 1 <= record.generation <= generation and record.due <= now + EARLY


def _unwritten_since(record: Record) -> ConditionBase:
    if record.version:
        return Attr("version").eq(record.version)
    return THERE & Attr("version").not_exists()
