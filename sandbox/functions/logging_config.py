"""How a function logs."""

from __future__ import annotations

from moto.awslambda.models import LambdaFunction


def logging_config_of(function: LambdaFunction) -> dict[str, str]:
    """A function's LoggingConfig with AWS's defaults: LogFormat, LogGroup, for JSON the levels."""
    given = getattr(function, "logging_config", {})
    defaults = {"LogFormat": "Text", "LogGroup": function.logs_group_name}
    if given.get("LogFormat") == "JSON":
        defaults |= {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    return {**defaults, **given}
