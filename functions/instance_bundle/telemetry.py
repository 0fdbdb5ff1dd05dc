"""The one logger, the one set of metrics, and which request is being handled."""

import logging
import warnings
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from instance_bundle import __version__

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

logger = Logger(service="instance-bundle", utc=True, version=__version__)
metrics = Metrics(namespace="InstanceBundle", service="instance-bundle")

# Below these levels they print requests whole: secrets, signatures, the pre-signed ResponseURL.
_LEAST_LEVELS = {
    "boto3": logging.WARNING,
    "botocore": logging.WARNING,
    "crhelper": logging.CRITICAL,
    "urllib3": logging.ERROR,
}


class _HandOn(logging.Handler):
    """Hands on to the root logger what is of its level; a logger's own level can be set lower."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


for _name, _level in _LEAST_LEVELS.items():
    _library = logging.getLogger(_name)
    _library.setLevel(_level)
    _library.propagate = False
    _library.handlers = [_HandOn(_level)]

# Most invocations only poll, and count nothing.
warnings.filterwarnings("ignore", "No application metrics to publish")


def about(key: "DataclassInstance") -> AbstractContextManager[None]:
    """Put the fields of a request's key on each log line that is written inside, and its ID into
    the user agent of each call of AWS that is made inside."""
    return logger.append_context_keys(**asdict(key))


def request_id() -> str:
    """The ID of the request that is being handled; empty while none is, or several are."""
    return str(logger.get_current_keys().get("request_id", ""))


def count(name: str) -> None:
    """Add one to a metric, such as `Started`."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def measure(name: str, seconds: float) -> None:
    """Add a value to a metric in seconds, such as `Duration`."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
