"""A batch of polls: they share one Describe, and those that go on are polled again together.

This room guarantees that a message which fails comes back alone, and takes no other with it.

Example:
    failures = Batch(resource, ledger, methods, queue_url, context).process(event)
"""

from instance_bundle.polling.batch import Batch

__all__ = [
    "Batch",
]
