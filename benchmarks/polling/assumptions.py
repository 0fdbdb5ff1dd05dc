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
