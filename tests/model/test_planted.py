"""Bugs that are planted in the core, each against one rule: the search finds all of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from instance_bundle.lifecycle import effects, flow, history, keeping, making, next_step, removal
from instance_bundle.lifecycle.driving import Driving
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.meaning import Meaning
from instance_bundle.methods import Bundle, Work
from instance_bundle.state import Poll, Record, Resource, hints, ledger
from instance_bundle.state.items import millis, request_key
from instance_bundle.state.table import THERE
from tests.model.scenarios import SCENARIOS
from tests.model.search import search

SCHEDULES = 1200


@contextmanager
def _without_superseded() -> Iterator[None]:
    """A superseded request still starts work."""
    decide = next_step.next_step

    def planted(me: Record, *others: Any) -> Any:
        return decide(replace(me, superseded=False), *others)

    with patch.object(flow, "next_step", planted):
        yield


@contextmanager
def _shown_at_once() -> Iterator[None]:
    """Work whose start had no answer, and that is not shown yet, is regarded as not started."""
    with (
        patch.object(next_step, "may_show_yet", lambda record, now: False),
        patch.object(making, "may_show_yet", lambda record, now: False),
    ):
        yield


@contextmanager
def _without_versions() -> Iterator[None]:
    """A record is saved even if another process has written it since it was read."""
    with patch.object(ledger, "_unwritten_since", lambda record: THERE):
        yield


@contextmanager
def _unconfirmed_deletes() -> Iterator[None]:
    """CloudFormation is not asked before a Delete."""
    decide = next_step.next_step

    def planted(me: Record, *others: Any) -> Any:
        if me.request_type == "Delete":
            me = replace(me, confirmed=me.confirmed or Meaning.GENUINE.value)
        return decide(me, *others)

    with patch.object(flow, "next_step", planted):
        yield


@contextmanager
def _attempt_not_stored() -> Iterator[None]:
    """An attempt is stored only after the call."""

    def planted(d: Driving, work: Work) -> Generator[Effect[Any], Any, Any]:
        now = yield from perform(effects.Now())
        task = yield from perform(effects.Start(work))
        yield from d.save(replace(d.me, attempted_at=now))
        d.me = yield from perform(effects.MergeTask(d.me, task))
        return making._under_way(d, work, task, 5)

    with patch.object(making, "_attempt", planted):
        yield


@contextmanager
def _rolls_back_to_itself() -> Iterator[None]:
    """A rollback answers with the bundle that it should remove."""

    def planted(resource: Resource, record: Record, asked: str) -> Any:
        return history.held(resource, record.physical_id)

    with patch.object(history, "before", planted):
        yield


@contextmanager
def _released_is_managed() -> Iterator[None]:
    """A released bundle is still regarded as one that CloudFormation manages."""
    load = ledger.Ledger.resource

    def planted(self: ledger.Ledger, key: Any) -> Resource:
        found = load(self, key)
        if any(other.request_type == "Delete" for other in found.requests):
            return replace(found, bundles=(*found.bundles, *found.released), released=())
        return found

    def deleted_by(resource: Resource, record: Record) -> Any:
        return list(resource.bundles)

    with (
        patch.object(ledger.Ledger, "resource", planted),
        patch.object(history, "deleted_by", deleted_by),
    ):
        yield


@contextmanager
def _failed_update_changes_id() -> Iterator[None]:
    """A failed Update answers with the ID of its task."""
    id_of = next_step.id_of_failure

    def planted(me: Record) -> str:
        return me.task.id if me.task is not None else id_of(me)

    with patch.object(next_step, "id_of_failure", planted):
        yield


@contextmanager
def _announced_last() -> Iterator[None]:
    """A removal is announced only after the bundle's item is gone."""

    def planted(me: Record, bundle: Bundle) -> Generator[Effect[Any], Any, None]:
        steps = removal.delete_bundle(me, bundle)
        announced: list[Effect[Any]] = []
        result: Any = None
        with suppress(StopIteration):
            while True:
                effect = steps.send(result)
                if isinstance(effect, effects.Announce):
                    announced.append(effect)
                else:
                    result = yield effect
        yield from announced

    with patch.object(keeping, "delete_bundle", planted):
        yield


@contextmanager
def _hinted_away() -> Iterator[None]:
    """An event of AWS's puts the next poll off instead of making it due."""

    def planted(self: hints.Hints, poll: Poll) -> Poll:
        due = millis(self._clock() + 7200)
        self._table.update(request_key(poll.key), {"due": due}, THERE)
        return poll

    with patch.object(hints.Hints, "make_due", planted):
        yield


Plant = Callable[[], Any]

PLANTED: list[tuple[Plant, str, str]] = [
    (_without_superseded, "create interrupted, StoreImage", "superseded"),
    (_shown_at_once, "create interrupted, BundleInstance", "after"),
    (_without_versions, "create, StoreImage", "is superseded"),
    (_unconfirmed_deletes, "create, BundleInstance", "CloudFormation was not asked"),
    (_attempt_not_stored, "create interrupted, BundleInstance", "after the Delete"),
    (_rolls_back_to_itself, "replacement rolled back, BundleInstance", "Rolled back from"),
    (_released_is_managed, "retained and added again, StoreImage", "which is retained"),
    (_hinted_away, "create, BundleInstance", "has no answer"),
    (_announced_last, "create, StoreImage", "was not announced as removed"),
    (_failed_update_changes_id, "replacement, StoreImage", "changed the ID"),
]


@pytest.mark.parametrize(
    ("plant", "scenario", "violation"),
    PLANTED,
    ids=[plant.__name__.strip("_") for plant, _, _ in PLANTED],
)
def test_a_planted_bug_is_found(plant: Plant, scenario: str, violation: str) -> None:
    with plant():
        report = search(SCENARIOS[scenario], SCHEDULES, stop_after=1)

    assert report.broken, f"{report.schedules} schedules do not break a promise"
    assert violation in "\n".join(report.broken[0].violations)
