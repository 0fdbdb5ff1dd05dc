"""What is sent to CloudFormation, to a wait condition handle, and to the event bus.

This room guarantees that an answer is stored before it is sent, that all copies of it are equal,
and that it is sent to CloudFormation's own URLs only.

Example:
    resource = BundleResource(request, settings, ledger)

    @resource.create
    def create(event, context):
        return resource.receive(lifecycle.drive)

    resource.begin(context)
"""

from instance_bundle.responses import delivery, events, response
from instance_bundle.responses.resource import BundleResource, Event, NextPoll

__all__ = [
    "BundleResource",
    "Event",
    "NextPoll",
    "delivery",
    "events",
    "response",
]
