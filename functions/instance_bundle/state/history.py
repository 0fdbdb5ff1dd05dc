"""What the ledger knows of a resource, and what follows from it."""

from dataclasses import dataclass

from instance_bundle.methods import Bundle
from instance_bundle.request import Properties
from instance_bundle.state.outcome import Done
from instance_bundle.state.records import Record, Tombstone

_OURS = ("bun-", "ami-", "dryrun-")
"""How the IDs of finished work begin; other IDs stand for a resource that was never finished."""


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a resource.

    Attributes:
        requests: the requests about it, whatever came of them.
        bundles: the finished bundles that it owns.
        tombstones: what its Deletes have left.
    """

    requests: tuple[Record, ...]
    bundles: tuple[Bundle, ...]
    tombstones: tuple[Tombstone, ...]

    def owned(self, identity: str) -> Bundle | None:
        """The bundle of this identity, if the resource owns it."""
        return next((bundle for bundle in self.bundles if bundle.identity == identity), None)

    def under_way(self, record: Record, identity: str) -> Done | None:
        """The answer by which work of an identity was accepted, whose handle waits for its end."""
        return next(
            (
                other.accepted
                for other in self.unfinished_before(record)
                if other.told
                and other.answer is None
                and other.request is not None
                and Properties.parse(other.request.properties).identity == identity
            ),
            None,
        )

    def unfinished_before(self, record: Record) -> list[Record]:
        """Earlier requests whose work, if any, nobody has ended and cleaned up yet."""
        return [
            other
            for other in self.requests
            if other.key != record.key
            and other.request_type != "Delete"
            and not other.succeeded
            and not other.settled
            and not other.is_later_than(record)
            and not _outlives(other, record)
        ]

    def is_late(self, record: Record) -> bool:
        """Whether the request comes after a later one about the resource, or after its Delete."""
        if any(other.is_later_than(record) for other in self.requests):
            return True
        if record.request_type == "Update":
            return any(stone.physical_id == record.physical_id for stone in self.tombstones)
        # A resource that was deleted may be created again, by a Create sent after the Delete.
        return any(
            stone.unseen and not (record.sent > stone.sent > "") for stone in self.tombstones
        )

    def deleted_by(self, record: Record) -> list[Bundle]:
        """The bundles that a Delete is about: that of its ID; or, where CloudFormation made the ID
        up, since it got no answer to the Create before the Delete, those which that Create made."""
        if record.physical_id.startswith(_OURS):
            return [b for b in self.bundles if b.physical_id == record.physical_id]
        unanswered = self._unanswered_create_before(record)
        return [b for b in self.bundles if unanswered and b.made_by == unanswered.key.request_id]

    def _unanswered_create_before(self, record: Record) -> Record | None:
        """The last Create before a Delete, unless a later request knows the ID that it answered."""
        creates = [
            other
            for other in self.requests
            if other.request_type == "Create" and not other.is_later_than(record)
        ]
        last = max(creates, key=lambda other: (other.sent, other.first_receipt), default=None)
        known = {other.physical_id for other in self.requests}
        if last is None or (last.answer is not None and last.answer.physical_id in known):
            return None
        return last

    def undoes_last(self, record: Record) -> bool:
        """Whether an Update asks for what was before the last one, as that of a rollback does."""
        updates = [
            other
            for other in self.requests
            if other.request_type == "Update"
            and other.key != record.key
            and not other.is_later_than(record)
        ]
        last = max(updates, key=lambda other: (other.sent, other.first_receipt), default=None)
        return last is not None and (last.asked, last.asked_before) == (
            record.asked_before,
            record.asked,
        )

    def unseen_at(self, record: Record) -> list[Bundle]:
        """Bundles whose answer CloudFormation can't have seen when it sent this Update.

        It would know the resource by their ID; it knows it by the ID from before they were made.
        """
        unseen = {
            other.key.request_id
            for other in self.requests
            if other.key != record.key
            and other.request_type == "Update"
            and isinstance(other.answer, Done)
            and other.physical_id == record.physical_id != other.answer.physical_id
            and not other.is_later_than(record)
        }
        return [bundle for bundle in self.bundles if bundle.made_by in unseen]

    def has_seen(self, record: Record) -> bool:
        """Whether any request that is known had the ID that this Delete is about."""
        known = {bundle.physical_id for bundle in self.bundles}
        for other in self.requests:
            if other.request_type == "Delete":
                continue
            if other.superseded and not record.physical_id.startswith(_OURS):
                return True
            known |= {other.task.id} if other.task else set()
            known |= {other.answer.physical_id} if other.answer else set()
        return record.physical_id in known


def _outlives(other: Record, record: Record) -> bool:
    """Whether a Delete is about what accepted work replaces, which runs on: CloudFormation knows
    that by the new ID, and has not given it up."""
    return (
        record.request_type == "Delete"
        and record.physical_id.startswith(_OURS)  # another was made up: nothing was heard of
        and other.told
        and other.accepted is not None
        and other.accepted.physical_id != record.physical_id
    )
