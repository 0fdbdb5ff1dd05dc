"""A batch of polls: they share one Describe, and their next polls are sent together.

This room guarantees that a message which fails is received again alone, and affects no other.

Example:
    failures = Batch(resource, ledger, methods, queue_url, context).process(event)
"""

from instance_bundle.polling.batch import Batch

__all__ = [
    "Batch",
]
