"""What outlives a process: the ledger's records, and the messages that carry the polls.

This room guarantees that a record is written before the effect that it announces, that one process
at a time drives a request, and that an answer, once stored, stays the answer.

Example:
    record, is_new = ledger.open(request, budget.lease())
"""

from instance_bundle.state import poll_queue
from instance_bundle.state.history import History
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Answer, Done, Failed, Outcome, Pending
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import Doubt, Record, Tombstone

__all__ = [
    "Answer",
    "Done",
    "Doubt",
    "Failed",
    "History",
    "Ledger",
    "Outcome",
    "Pending",
    "Poll",
    "Record",
    "Tombstone",
    "poll_queue",
]
