"""The filters of DescribeBundleTasks."""

import re
from collections.abc import Callable, Mapping
from fnmatch import translate

from sandbox.ec2.bundle_task import BundleTask, utc
from sandbox.ec2.refusals import Ec2Error

FILTER_VALUES = 200
"""Values that one filter takes (EC2 API Reference, Filter)."""


def filter_of(name: str, values: list[str]) -> Callable[[BundleTask], bool]:
    """Whether a task passes a filter.

    Raises:
        Ec2Error: there is no such filter, or it has too many values.
    """
    if len(values) > FILTER_VALUES:
        raise Ec2Error(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {FILTER_VALUES}",
        )
    if name not in _FILTERED:
        raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")
    patterns = [re.compile(translate(value.replace("[", "[[]"))) for value in values]
    read = _FILTERED[name]
    return lambda task: any(pattern.fullmatch(read(task) or "") for pattern in patterns)


_FILTERED: Mapping[str, Callable[[BundleTask], str | None]] = {
    "bundle-id": lambda task: task.bundle_id,
    "error-code": lambda task: task.view.error and task.view.error[0],
    "error-message": lambda task: task.view.error and task.view.error[1],
    "instance-id": lambda task: task.instance_id,
    "progress": lambda task: task.view.progress,
    "s3-bucket": lambda task: task.storage.bucket,
    "s3-prefix": lambda task: task.storage.prefix,
    "start-time": lambda task: f"{utc(task.started):%Y-%m-%dT%H:%M:%S.000Z}",
    "state": lambda task: task.view.state,
    "update-time": lambda task: f"{utc(task.view.updated):%Y-%m-%dT%H:%M:%S.000Z}",
}
