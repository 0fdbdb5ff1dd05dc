"""Where functions log: the log groups that they have in CloudWatch Logs."""

import logging
import threading
import time

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import logs_backends

from sandbox.clients import REGION
from sandbox.functions.logging_config import logging_config_of
from sandbox.observation.calls_made import CallsMade

STREAM = "sandbox"
"""The one log stream of each group."""

_logger = logging.getLogger("sandbox")


class Logs:
    """Writes what functions print, with the calls that Lambda makes for it by their roles.

    Args:
        calls: where these calls are counted.
    """

    def __init__(self, calls: CallsMade) -> None:
        self._calls = calls
        self._lock = threading.Lock()

    def write(self, function_name: str, line: str) -> None:
        """Put one line that a function printed into its log group; the sink for
        `functions.install`.

        What a function prints after it was deleted, or without its role's permission, goes nowhere.
        """
        try:
            function = get_backend(DEFAULT_ACCOUNT_ID, REGION).get_function(function_name)
        except UnknownFunctionException:
            _logger.debug("%s is gone, and printed: %s", function_name, line)
            return
        with self._lock:
            self._put(function, logging_config_of(function)["LogGroup"], line)

    def _put(self, function: LambdaFunction, group: str, line: str) -> None:
        logs = logs_backends[DEFAULT_ACCOUNT_ID][REGION]
        stream = {"logGroupName": group, "logStreamName": STREAM}
        if group not in logs.groups:
            if not self._calls.by_role(function, "logs:CreateLogGroup", logGroupName=group):
                return
            logs.create_log_group(group, {})
        if STREAM not in logs.groups[group].streams:
            if not self._calls.by_role(function, "logs:CreateLogStream", **stream):
                return
            logs.create_log_stream(group, STREAM)
        if not self._calls.by_role(function, "logs:PutLogEvents", **stream):
            return
        event = {"timestamp": int(time.time() * 1000), "message": line}
        logs.put_log_events(group, STREAM, [event])
