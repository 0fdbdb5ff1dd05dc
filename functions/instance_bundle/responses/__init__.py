"""What is sent to CloudFormation, to a wait condition handle, and to the event bus.

This room guarantees that an answer is stored before it is sent, that every copy of it is the same,
and that it goes to CloudFormation's own URLs alone.

Example:
    resource = BundleResource(settings, ledger)
    resource(event, context)
"""

from instance_bundle.responses import delivery, response
from instance_bundle.responses.resource import BundleResource, Event, NextPoll

__all__ = [
    "BundleResource",
    "Event",
    "NextPoll",
    "delivery",
    "response",
]
