"""What outlives a process: the ledger's records, and the poll messages.

This room guarantees that a record is written before the effect that it records, that one process
at a time drives a request, and that a stored answer never changes.

Example:
    record, is_new = ledger.receive(request, budget.lease())
"""

from instance_bundle.request import RequestKey
from instance_bundle.state import inspection, poll_queue, release
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Answer, Done, Failed, Outcome, Pending
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import (
    Announcement,
    Cleanup,
    Doubt,
    Evidence,
    LastEvent,
    Progress,
    Record,
    Resource,
    Response,
    Tombstone,
)

__all__ = [
    "Announcement",
    "Answer",
    "Cleanup",
    "Done",
    "Doubt",
    "Evidence",
    "Failed",
    "LastEvent",
    "Ledger",
    "Outcome",
    "Pending",
    "Poll",
    "Progress",
    "Record",
    "RequestKey",
    "Resource",
    "Response",
    "Tombstone",
    "inspection",
    "poll_queue",
    "release",
]
