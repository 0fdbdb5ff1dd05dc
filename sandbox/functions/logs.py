"""Where functions log: the log groups that they have in CloudWatch Logs."""

import logging
import threading
import time

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import logs_backends

from sandbox.clients import REGION
from sandbox.functions.service import logging_config_of

STREAM = "sandbox"
"""The one log stream of each group."""

_logger = logging.getLogger("sandbox")
_lock = threading.Lock()


def write(function_name: str, line: str) -> None:
    """Put one line that a function printed into its log group; the sink for `functions.install`.

    What a function prints after it was deleted goes nowhere.
    """
    try:
        function = get_backend(DEFAULT_ACCOUNT_ID, REGION).get_function(function_name)
    except UnknownFunctionException:
        _logger.debug("%s is gone, and printed: %s", function_name, line)
        return
    _put(logging_config_of(function)["LogGroup"], line)


def _put(group: str, line: str) -> None:
    logs = logs_backends[DEFAULT_ACCOUNT_ID][REGION]
    event = {"timestamp": int(time.time() * 1000), "message": line}
    with _lock:
        if group not in logs.groups:
            logs.create_log_group(group, {})
        logs.ensure_log_stream(group, STREAM)
        logs.put_log_events(group, STREAM, [event])
