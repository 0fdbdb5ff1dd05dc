"""What the tests of the product and those of the sandbox share."""

from dataclasses import dataclass, field
from typing import Any

PATIENCE = 600
"""Seconds until a wait times out: a machine may be busy."""


@dataclass
class Clock:
    """A clock that the test moves; epoch seconds."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move it; the new time."""
        self.now += seconds
        return self.now


@dataclass
class Context:
    """What Lambda passes to a function about its invocation."""

    function_name: str = "InstanceBundleFunction"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:bundle"
    aws_request_id: str = "b1dd1e4a-4d0c-4f0c-8d0e-000000000001"
    seconds_left: float = 30
    log_group_name: str = "logs"
    log_stream_name: str = "stream"
    client_context: Any = None
    identity: Any = field(default=None)

    def get_remaining_time_in_millis(self) -> int:
        """As of Lambda's context object."""
        return int(self.seconds_left * 1000)
