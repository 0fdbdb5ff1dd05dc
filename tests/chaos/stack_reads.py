"""CloudFormation's API in the simulated world: what functions read about the world's stacks.

The API is the sandbox's, with views of the world's stacks. So answers are delayed, throttled and
worded as in the sandbox.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from moto.cloudformation.models import CloudFormationBackend, Event, cloudformation_backends
from moto.cloudformation.urls import url_bases

from sandbox.cloudformation.reads import READ_DELAY, Reads
from sandbox.cloudformation.responses import Response
from sandbox.cloudformation.templates import Declaration
from sandbox.cloudformation.views import History, Operation, Resource, Settings, View

_KEPT = 3600.0
"""For how many seconds earlier views are kept: no delay is longer."""

_BUNDLE = Declaration("Bundle", "Custom::InstanceBundle", {}, frozenset(), "Delete", "Delete")


@dataclass
class StackReads:
    """The views of the stacks, now and earlier.

    Attributes:
        reads: delays and throttles the reads of functions. Its `delay`, in seconds, can be changed
            at any time.
    """

    reads: Reads = field(default_factory=lambda: Reads(time.time, READ_DELAY))
    _now: dict[str, View] = field(default_factory=dict)
    _past: dict[str, History] = field(default_factory=dict)

    def enter(self, stack_id: str, status: str, operation: str | None = None) -> None:
        """Record a new status of a stack.

        Args:
            operation: the operation that begins with it, as LastOperations names it.
        """
        view = replace(self._known(stack_id), status=status)
        if view.deleted:
            view = replace(view, deletion_time=_now())
        if operation is not None:
            view = replace(view, operations=(*view.operations, Operation(operation)))
        self._note(view)

    def move(self, stack_id: str, logical_id: str, status: str, physical_id: str | None) -> None:
        """Record a new status of a resource of a stack.

        Args:
            physical_id: None while it has no ID.
        """
        view, bundle = self._known(stack_id), replace(_BUNDLE, logical_id=logical_id)
        moved = Resource(bundle, status, _now(), physical_id=physical_id)
        events = (*view.events, _event(view, moved))
        self._note(
            replace(
                view,
                resources={**view.resources, logical_id: moved},
                events=events,
                event_count=len(events),
            )
        )

    def physical_id(self, stack_id: str, logical_id: str) -> str | None:
        """The current ID of a resource of a stack; None if it has none."""
        resource = self._known(stack_id).resources.get(logical_id)
        return None if resource is None else resource.physical_id

    def clear(self) -> None:
        """Forget all stacks."""
        self._now.clear()
        self._past.clear()

    def views(self, account: str, region: str) -> list[View]:
        """The stacks as the caller sees them, newest first.

        Raises:
            Throttled: functions read too often.
        """
        moment = self.reads.moment(account, region)
        found = (
            view if moment is None else self._past[stack_id].at(moment)
            for stack_id, view in self._now.items()
        )
        return [view for view in found if view][::-1]

    def _known(self, stack_id: str) -> View:
        return self._now.get(stack_id) or _new(stack_id)

    def _note(self, view: View) -> None:
        self._now[view.stack_id] = view
        self._past.setdefault(view.stack_id, History(_KEPT)).add(time.time(), view)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replaces moto's CloudFormation until the context is left."""
        replaced = cloudformation_backends.backend
        cloudformation_backends.backend = cast(Any, partial(_Backend, self))
        cloudformation_backends.clear()
        try:
            yield
        finally:
            cloudformation_backends.backend = replaced
            cloudformation_backends.clear()


class _Backend(CloudFormationBackend):
    """The stacks, in the form that moto's server and the sandbox's API need."""

    def __init__(self, known: StackReads, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._known = known

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": Response.dispatch})

    def views(self, named: str | None = None) -> list[View]:
        """See `describe_api.Shelf`."""
        views = self._known.views(self.account_id, self.region_name)
        return [view for view in views if named in (None, view.name, view.stack_id)]

    def age(self, view: View) -> timedelta:
        """See `describe_api.Shelf`."""
        return _now() - view.deletion_time if view.deletion_time else timedelta()


def _event(view: View, moved: Resource) -> Event:
    event = Event(
        stack_id=view.stack_id,
        stack_name=view.name,
        logical_resource_id=moved.declaration.logical_id,
        physical_resource_id=moved.physical_id or "",
        resource_type=moved.declaration.type,
        resource_status=moved.status,
        resource_status_reason=None,
        resource_properties=None,
    )
    event.timestamp = _now()
    return event


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _new(stack_id: str) -> View:
    return View(
        stack_id=stack_id,
        name=stack_id.split("/")[1],
        settings=Settings(),
        template=None,
        change_set_id=None,
        status="REVIEW_IN_PROGRESS",
        status_reason=None,
        creation_time=_now(),
        updated_time=None,
        deletion_time=None,
        outputs=(),
        resources={},
        operations=(),
        events=(),
        event_count=0,
        parent_id=None,
        root_id=None,
    )
