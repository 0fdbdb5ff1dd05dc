"""What runs a function: its code and configuration, and the process that it has."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.functions.interpreter import Runtime

_CONFINE = Path(__file__).with_name("confine.py")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A function's code and configuration at one moment. Equal deployments share warm environments.

    role: the ARN of the function's role.
    runtime: AWS's identifier, such as `python3.13`.
    memory: MB.
    code: directory of the unpacked code.
    log_format: `Text` or `JSON`; log_level: None where AWS sets no level.
    variables: the function's own environment variables, and those that the sandbox adds.
    """

    name: str
    arn: str
    version: str
    region: str
    role: str
    runtime: str
    handler: str
    memory: int
    code: Path
    log_group: str
    log_format: str
    log_level: str | None
    variables: Mapping[str, str]


def confined(runtime: Runtime, code: Path) -> list[str | Path]:
    """The command in front of another, which runs that without rights to the user's files."""
    more = os.environ.get("SANDBOX_READABLE", "").split(os.pathsep)
    readable = (runtime.python.parents[1], runtime.library.parent, code)
    return [runtime.python, "-IS", _CONFINE, *readable, *more, "--"]


def variables(deployment: Deployment, runtime: Runtime, api_address: str) -> dict[str, str]:
    """The variables that AWS sets, and the function's own; nothing of ours.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    log_level = {"AWS_LAMBDA_LOG_LEVEL": deployment.log_level} if deployment.log_level else {}
    return {
        "LANG": "en_US.UTF-8",
        # An interpreter that is built with a shared library may find it only by this.
        "LD_LIBRARY_PATH": f"{runtime.python.parents[1] / 'lib'}:/var/task:/var/task/lib:/opt/lib",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "HOME": "/nonexistent",  # AWS has none either; ours may hold somebody's ~/.aws
        "TZ": ":UTC",
        **deployment.variables,
        **log_level,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_DEFAULT_REGION": deployment.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{deployment.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.memory),
        "AWS_LAMBDA_FUNCTION_NAME": deployment.name,
        "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": deployment.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": deployment.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": (
            f"{datetime.now(UTC):%Y/%m/%d}/[{deployment.version}]{uuid.uuid4().hex}"
        ),
        "AWS_LAMBDA_RUNTIME_API": api_address,
        "AWS_REGION": deployment.region,
        "LAMBDA_RUNTIME_DIR": str(runtime.library),
        "LAMBDA_TASK_ROOT": str(deployment.code),
        "PYTHONNOUSERSITE": "1",
        # The function's own packages come before Lambda's
        # (https://docs.aws.amazon.com/lambda/latest/dg/python-package.html).
        "PYTHONPATH": os.pathsep.join(map(str, (deployment.code, runtime.library, runtime.sdk))),
        "_HANDLER": deployment.handler,
    }
