"""AWS's prices in US East (N. Virginia), in US dollars, with no free tier.

The pages were read in copies, not live: check them before you rely on the prices.
"""

from __future__ import annotations

from benchmarks.polling.outcome import Usage

AS_OF = "2026-11-24"
"""The day on which the prices below were put down."""

LAMBDA_REQUEST = 0.20 / 1e6
"""An invocation (https://aws.amazon.com/lambda/pricing/)."""
LAMBDA_GB_SECOND = 0.0000166667
"""x86, the first tier (the same page)."""
SQS_REQUEST = 0.40 / 1e6
"""A request to a standard queue, of up to 64 KB (https://aws.amazon.com/sqs/pricing/)."""
DYNAMODB_WRITE_UNIT = 0.625 / 1e6
"""On demand (https://aws.amazon.com/dynamodb/pricing/on-demand/)."""
DYNAMODB_READ_UNIT = 0.125 / 1e6
"""The same."""
OBJECT_EVENT = 1.00 / 1e6
"""An event of any object of a bucket with EventBridge; EC2's events cost nothing
(https://aws.amazon.com/eventbridge/pricing/: opt-in data events, and management events)."""
STATE_TRANSITION = 25 / 1e6
"""Of a standard workflow; a retry is one (https://aws.amazon.com/step-functions/pricing/)."""

OTHERS_AS_OF = "2026-12-01"
"""The day on which the prices below were put down, which the benchmarks do not need."""

ALARM_METRIC = 0.10
"""A month, of each metric of an alarm (https://aws.amazon.com/cloudwatch/pricing/)."""
DASHBOARD = 3.00
"""A month, of each beyond three of an account (the same page)."""
OWN_METRIC = 0.30
"""A month, of a metric that AWS does not send itself; by the hour (the same page)."""
LOGS_GB = 0.50
"""Received by CloudWatch Logs (the same page)."""
TABLE_GB = 0.25
"""A month, stored in DynamoDB (https://aws.amazon.com/dynamodb/pricing/on-demand/)."""
RECOVERY_GB = 0.20
"""A month, of a table with point-in-time recovery (the same page)."""
SNAPSHOT_BLOCK = 0.003 / 1e3
"""Read by GetSnapshotBlock (https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html);
storing an AMI uses the EBS direct APIs (EC2 User Guide, Store and restore an AMI using S3)."""
SNAPSHOT_BLOCKS_OF_GB = 2048
"""A block has 512 KiB (https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-elements.html)."""

MONTH = 30 * 24 * 3600
"""Seconds."""


def cost(usage: Usage) -> float:
    """Dollars. Scheduled rules of EventBridge on the default bus are free."""
    return (
        usage.invocations * LAMBDA_REQUEST
        + usage.gb_seconds * LAMBDA_GB_SECOND
        + usage.sqs_requests * SQS_REQUEST
        + usage.read_units * DYNAMODB_READ_UNIT
        + usage.write_units * DYNAMODB_WRITE_UNIT
        + usage.transitions * STATE_TRANSITION
    )


def idle_month(pollers: int, long_poll: float) -> float:
    """Dollars for a month in which Lambda's pollers find nothing in a queue.

    Args:
        pollers: that poll at once.
        long_poll: seconds of each poll.
    """
    return pollers * MONTH / long_poll * SQS_REQUEST
