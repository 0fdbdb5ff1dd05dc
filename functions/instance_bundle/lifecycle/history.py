"""What the ledger's items about a resource imply."""

from typing import Any

from instance_bundle.lifecycle.meaning import Meaning, is_meant
from instance_bundle.methods import Bundle
from instance_bundle.request import Properties, problems
from instance_bundle.state import Cleanup, Done, Failed, Progress, Record, Resource

_OURS = ("bun-", "ami-", "dryrun-")
"""How the IDs of finished work begin; a resource with another ID was never finished."""


def identity(record: Record) -> str:
    """`Properties.identity` of what a request asks for; empty if its properties are invalid, or are
    not known because it has no target yet."""
    if record.identity:
        return record.identity
    raw: Any = record.request.properties if record.request is not None else None
    return "" if problems(raw) else Properties.parse(raw).identity


def held(resource: Resource, physical_id: str) -> Bundle | None:
    """The bundle with a physical ID, if CloudFormation manages one."""
    return next((b for b in resource.bundles if b.physical_id == physical_id), None)


def owned(resource: Resource, asked: str) -> Bundle | None:
    """The bundle with an identity, if CloudFormation manages one."""
    return next((bundle for bundle in resource.bundles if bundle.identity == asked), None)


def before(resource: Resource, record: Record, asked: str) -> Bundle | None:
    """The bundle that a rollback goes back to.

    It is the one that the current bundle replaced, or else the one with the identity asked for.
    """
    current = held(resource, record.physical_id)
    replaced = held(resource, current.replaces) if current is not None else None
    return replaced or owned(resource, asked)


def under_way(resource: Resource, record: Record, asked: str) -> Done | None:
    """The acceptance of running work with an identity, if a handle still waits for that work."""
    return next(
        (
            other.acceptance
            for other in unfinished_before(resource, record)
            if other.acceptance_sent and other.answer is None and identity(other) == asked
        ),
        None,
    )


def unfinished_before(resource: Resource, record: Record) -> list[Record]:
    """Earlier requests that did not succeed, and whose work is not cleaned up yet."""
    return [
        other
        for other in resource.requests
        if other.key != record.key
        and other.request_type != "Delete"
        and not other.succeeded
        and other.cleanup < Cleanup.CLEANED_UP
        and not _follows(resource, other, record)
        and not _outlives(other, record)
    ]


def touches_others(resource: Resource, record: Record) -> bool:
    """Whether a request cancels, deletes, releases or overrides what another made or is making."""
    at_stake = any(
        other.answer is None or other.work >= Progress.ATTEMPTED
        for other in unfinished_before(resource, record)
    )
    if at_stake:
        return True
    match record.request_type:
        case "Create":
            return bool(resource.bundles) or _may_have_been_deleted(resource, record)
        case "Update":
            return bool(unseen_at(resource, record)) or goes_back(resource, record)
        case "Delete":
            return bool(deleted_by(resource, record))


def goes_back(resource: Resource, record: Record) -> bool:
    """Whether an Update asks for an identity that the resource had before, but not now."""
    asked, current = identity(record), held(resource, record.physical_id)
    if not asked or (current is not None and current.identity == asked):
        return False
    return any(bundle.identity == asked for bundle in (*resource.bundles, *resource.released))


def is_late(resource: Resource, record: Record) -> bool:
    """Whether a later request about the resource, or its Delete, was received before this one."""
    if any(_follows(resource, other, record) for other in resource.requests):
        return True
    if record.request_type == "Update":
        return any(stone.physical_id == record.physical_id for stone in resource.tombstones)
    # A deleted resource may be created again, by a Create that was sent after the Delete.
    return any(stone.unseen and not record.sent > stone.sent for stone in resource.tombstones)


def _may_have_been_deleted(resource: Resource, record: Record) -> bool:
    """Whether the Delete of a Create without a date may have been received first."""
    return not record.is_dated and any(stone.unseen for stone in resource.tombstones)


def deleted_by(resource: Resource, record: Record) -> list[Bundle]:
    """The bundles that a Delete is about: the one with its physical ID, and those that Updates made
    of it and CloudFormation never received.

    If CloudFormation generated the ID, since it received no answer to the Create before the Delete,
    these are the bundles that the Create made.
    """
    if record.physical_id.startswith(_OURS):
        lost = _never_received(resource, record.physical_id)
        return [b for b in resource.bundles if b.physical_id == record.physical_id or b in lost]
    if is_meant(record, Meaning.NOTHING_MADE):
        return []
    unanswered = _unanswered_create_before(resource, record)
    return [b for b in resource.bundles if unanswered and b.made_by == unanswered.key.request_id]


def answered_unseen(resource: Resource, record: Record) -> Record | None:
    """The Create before a Delete, if it was answered SUCCESS, and CloudFormation generated the
    Delete's ID.

    Either CloudFormation did not receive the answer, or the Delete is about a later Create, which
    was never received here.
    """
    if record.request_type != "Delete" or record.physical_id.startswith(_OURS):
        return None
    last = _unanswered_create_before(resource, record)
    return last if last and last.succeeded and deleted_by(resource, record) else None


def _unanswered_create_before(resource: Resource, record: Record) -> Record | None:
    """The last Create before a Delete, unless a later request has the ID that it answered."""
    creates = [
        other
        for other in resource.requests
        if other.request_type == "Create" and not other.is_later_than(record)
    ]
    last = max(creates, key=lambda other: (other.sent, other.first_receipt), default=None)
    known = {other.physical_id for other in resource.requests}
    if last is None or (last.answer is not None and last.answer.physical_id in known):
        return None
    return last


def _follows(resource: Resource, other: Record, record: Record) -> bool:
    """Whether CloudFormation sent another request after this one, as far as is known. Of an Update
    and that of its rollback, sent in the same second, the later one asks for what there is."""
    if other.is_later_than(record):
        return True
    is_undone = (
        other.request_type == record.request_type == "Update"
        and other.sent == record.sent
        and other.key != record.key
        and (other.asked, other.asked_before) == (record.asked_before, record.asked)
    )
    if not is_undone:
        return False
    done = [
        each
        for each in resource.requests
        if each.request_type != "Delete" and each.succeeded and record.is_later_than(each)
    ]
    last = max(done, key=lambda each: (each.sent, each.first_receipt), default=None)
    return last is not None and last.asked == other.asked != record.asked


def undoes_last(resource: Resource, record: Record) -> bool:
    """Whether an Update asks for the properties from before the last one, as a rollback's does."""
    updates = [
        other
        for other in resource.requests
        if other.request_type == "Update"
        and other.key != record.key
        and not other.is_later_than(record)
    ]
    last = max(updates, key=lambda other: (other.sent, other.first_receipt), default=None)
    return last is not None and (last.asked, last.asked_before) == (
        record.asked_before,
        record.asked,
    )


def is_rollback(resource: Resource, record: Record) -> bool:
    """Whether an Update is that of a rollback, as far as the ledger shows.

    It asks for the properties from before the last one, and these were not refused before.
    """
    same = [
        other
        for other in resource.requests
        if other.key != record.key
        and other.request_type != "Delete"
        and other.asked == record.asked
    ]
    was_refused = any(isinstance(other.answer, Failed) for other in same)
    return undoes_last(resource, record) and (
        any(other.succeeded for other in same) or not was_refused
    )


def unseen_at(resource: Resource, record: Record) -> list[Bundle]:
    """Bundles whose answer CloudFormation had not received when it sent this Update.

    The Update has the physical ID from before these bundles were made, not theirs. CloudFormation
    knows a bundle whose ID a request had: a rollback went back from it, and its Delete, if any,
    follows.
    """
    known = {other.physical_id for other in resource.requests if not other.is_later_than(record)}
    unseen = {
        other.key.request_id
        for other in resource.requests
        if other.key != record.key
        and other.request_type == "Update"
        and isinstance(other.answer, Done)
        and other.physical_id == record.physical_id != other.answer.physical_id
        and other.answer.physical_id not in known
        and not other.is_later_than(record)
    }
    return [bundle for bundle in resource.bundles if bundle.made_by in unseen]


def _never_received(resource: Resource, physical_id: str) -> list[Bundle]:
    """Bundles that Updates made of the one with this ID, and whose answer CloudFormation did not
    receive: it sent a later Update with the same ID."""
    known = {other.physical_id for other in resource.requests}
    updates = [
        other
        for other in resource.requests
        if other.request_type == "Update" and other.physical_id == physical_id
    ]
    makers = {
        update.key.request_id
        for update in updates
        if isinstance(update.answer, Done)
        and update.answer.physical_id not in known
        and any(later.is_later_than(update) for later in updates)
    }
    return [bundle for bundle in resource.bundles if bundle.made_by in makers]


def has_seen(resource: Resource, record: Record) -> bool:
    """Whether a request in the ledger ever had this Delete's physical ID."""
    known = {bundle.physical_id for bundle in (*resource.bundles, *resource.released)}
    for other in resource.requests:
        if other.request_type == "Delete":
            continue
        if other.superseded and not record.physical_id.startswith(_OURS):
            return True
        known |= {other.task.id} if other.task else set()
        known |= {other.answer.physical_id} if other.answer else set()
    return record.physical_id in known


def _outlives(other: Record, record: Record) -> bool:
    """Whether a Delete is about what accepted work replaces; such work continues.

    CloudFormation has the acceptance, with the new ID, and still waits for the work.
    """
    return (
        record.request_type == "Delete"
        and record.physical_id.startswith(_OURS)  # a generated one: nothing was answered
        and (other.acceptance_sent or is_meant(record, Meaning.REPLACED))
        and other.acceptance is not None
        and other.acceptance.physical_id != record.physical_id
    )
