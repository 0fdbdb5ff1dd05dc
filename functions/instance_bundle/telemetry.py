"""The one logger and the one set of metrics."""

import logging
import warnings
from contextlib import AbstractContextManager

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from instance_bundle.request import RequestKey

logger = Logger(service="instance-bundle", utc=True)
metrics = Metrics(namespace="InstanceBundle", service="instance-bundle")

# Below these levels they print requests whole, the pre-signed ResponseURL among them.
logging.getLogger("crhelper").setLevel(logging.CRITICAL)
logging.getLogger("botocore").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.ERROR)

# Most invocations only look; having nothing to count is no news.
warnings.filterwarnings("ignore", "No application metrics to publish")


def about(key: RequestKey) -> AbstractContextManager[None]:
    """Put what the work is about on each log line that is written inside."""
    return logger.append_context_keys(
        stack_id=key.stack_id, logical_id=key.logical_id, request_id=key.request_id
    )


def count(name: str) -> None:
    """Add one to a metric: `Started`, `Completed`, `Failed` or `DeadLettersAnswered`."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def duration(seconds: float) -> None:
    """Record how long a bundle took, in seconds from the receipt of its request to its end."""
    metrics.add_metric(name="Duration", unit=MetricUnit.Seconds, value=seconds)
