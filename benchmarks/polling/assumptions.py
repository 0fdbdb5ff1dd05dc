"""What a simulation assumes, since there is no account to measure it in. Seconds."""

RECEIVE = 0.02
"""From a message's being there to its arrival at a poller that waits for it."""
CALL = 0.006
"""An AWS call inside a Region."""
COLD_START = 2.5
"""From an invocation to the first line of the handler, where no environment is warm."""
INVOCATION = 0.02
"""What an invocation takes in addition to its calls and its work."""
FULL_PROCESSOR = 1769
"""MB of memory that come with a whole processor, which is taken to be as fast as this machine's
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""
LONG_POLL = 20.0
"""That Lambda's ReceiveMessage waits for messages, and that a batching window can therefore last on
a quiet queue (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""
FIRST_POLLERS = 5
"""Batches that Lambda takes at once on a queue that becomes active
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""
MORE_POLLERS = 5
"""That Lambda adds each second while messages are left: 300 a minute (the same page)."""
MOST_POLLERS = 1250
"""Without a maximum concurrency (the same page)."""

EC2_EVENT = 0.5
"""From an AMI's change of state to its event in a queue: half of the events take less. EC2 and
EventBridge name no time ("in near real time"; Amazon EC2 User Guide, Automate Amazon EC2 using
EventBridge)."""
S3_EVENT = 1.0
"""From an object's creation to its event in a queue, the same. "Typically, event notifications are
delivered in seconds but can sometimes take a minute or longer" (Amazon S3 User Guide, Amazon S3
Event Notifications)."""
EVENT_SPREAD = 0.5
"""Of the logarithm of these times: of those in time, one in a hundred takes three times as long."""
LATE_EVENT = (5.0, 60.0)
"""What an event takes that is late."""
EVENTS_LOST = 0.01
"""The share of events that never come. EC2's come "on a best effort basis" (Amazon EC2 User Guide,
Monitor AMI events using Amazon EventBridge): "in some rare cases an event might not be delivered"
(https://docs.aws.amazon.com/eventbridge/latest/ref/event-delivery-level.html)."""
EVENTS_LATE = 0.01
"""The share that is late."""
EVENTS_TWICE = 0.01
"""The share that comes twice: S3's are "delivered at least once"."""
SHOWN_LATE = 0.25
"""The share of ends that Describe calls show only later
(https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html)."""
SHOWN_WITHIN = 5.0
"""Until these show each end."""
PENDING = 300.0
"""That half of the AMIs are pending at most: "It may take a few minutes for the AMI to be created"
(AWS Toolkit for Visual Studio User Guide, Creating an AMI from an Amazon EC2 instance)."""
STORING = 600.0
"""That half of the AMIs are stored in at most."""
PARTS = 300
"""Objects of a bundle, without its manifest. S3 sends an event of each."""
