"""The methods that make an image, and which of them a task belongs to."""

from collections.abc import Collection, Mapping

from instance_bundle.errors import InstanceBundleError
from instance_bundle.methods.method import Method, Task
from instance_bundle.request import MethodName


class Methods:
    """The methods, by their names.

    Args:
        by_name: each of them.
    """

    def __init__(self, by_name: Mapping[MethodName, Method]) -> None:
        self._by_name = by_name

    def named(self, name: MethodName) -> Method:
        """The method with a name."""
        return self._by_name[name]

    def of(self, task_id: str) -> Method:
        """The method that started a task."""
        return next(m for m in self._by_name.values() if task_id.startswith(m.id_prefix))

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """How far tasks of all methods are, or why that is not known; those that EC2 does not list
        are left out. No call is made for a method that has none of the tasks."""
        tasks: dict[str, Task | InstanceBundleError] = {}
        for method in self._by_name.values():
            own = [task_id for task_id in task_ids if task_id.startswith(method.id_prefix)]
            tasks |= method.describe(own) if own else {}
        return tasks
