"""What a request means, and its next step.

This room guarantees that each Create, Update and Delete has one outcome, whatever requests came
before it, however often it is delivered, and wherever a process crashed.

Example:
    outcome = Lifecycle(ledger, methods, limits).drive(record)
"""

from instance_bundle.lifecycle.lifecycle import Described, Lifecycle
from instance_bundle.lifecycle.next_step import id_of_failure

__all__ = [
    "Described",
    "Lifecycle",
    "id_of_failure",
]
