"""A batch of polls: they share one Describe, and their next polls are sent together. A batch of
events of EC2's and S3's makes polls come at once.

This room guarantees that a message which fails is received again alone, and affects no other.

Example:
    failures = Batch(resource, ledger, methods, settings, context).process(event)
"""

from instance_bundle.polling import aws_events
from instance_bundle.polling.batch import Batch

__all__ = [
    "Batch",
    "aws_events",
]
