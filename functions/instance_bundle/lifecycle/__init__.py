"""What a request means, and what is done about it next.

This room guarantees that each Create, Update and Delete comes to one outcome, whatever came before
it, however often it is delivered, and wherever a process ended.

Example:
    outcome = Lifecycle(ledger, methods, limits).create(record)
"""

from instance_bundle.lifecycle.lifecycle import Lifecycle

__all__ = [
    "Lifecycle",
]
