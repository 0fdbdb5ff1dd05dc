"""A handler that a test puts before a function's own: whatever can be logged, is.

It goes into the function's package. An operator may set levels in code as well, at any time and of
any logger; so it sets all that there are to DEBUG, before the function's code is loaded and again
before each event. It writes its input next to the logs, since nothing else shows a test
which ResponseURLs and handles there were.

Its variables: LOUD_HANDLER is the function's own handler, LOUD_RECORD the directory for the events;
with LOUD_UNGUARDED, what keeps the libraries' lines out of the log is taken away.
"""

import importlib
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any

LIBRARIES = ("aws_lambda_powertools", "boto3", "botocore", "crhelper", "urllib3")
CHILDREN = ("botocore.auth", "botocore.endpoint", "crhelper.resource_helper", "crhelper.utils")


def _turn_up() -> None:
    known = [*LIBRARIES, *CHILDREN, *logging.root.manager.loggerDict]
    for logger in (logging.getLogger(), *map(logging.getLogger, known)):
        logger.setLevel(logging.DEBUG)
    if os.environ.get("LOUD_UNGUARDED"):
        for name in LIBRARIES:
            logging.getLogger(name).propagate = True


_turn_up()
_module, _, _name = os.environ["LOUD_HANDLER"].rpartition(".")
_handler = getattr(importlib.import_module(_module), _name)


def handler(event: Any, context: Any) -> Any:
    """Hand an event on, with every logger at DEBUG."""
    record = Path(os.environ["LOUD_RECORD"]) / f"{uuid.uuid4().hex}.json"
    record.write_text(json.dumps(event))
    _turn_up()
    logging.getLogger("loud").debug("Every logger is at DEBUG")
    return _handler(event, context)
