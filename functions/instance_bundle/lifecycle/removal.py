"""Deletes a finished bundle as its `OnDelete` says."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from instance_bundle.lifecycle import effects
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.meaning import Meaning, is_meant
from instance_bundle.methods import Bundle
from instance_bundle.request import on_delete
from instance_bundle.state import Announcement, Record, Tombstone


def delete_bundle(me: Record, bundle: Bundle) -> Generator[Effect[Any], Any, None]:
    """Remove a bundle and announce that, or retain it; and leave its tombstone.

    The claim of a retained bundle stays: it shows which resource made the bundle, and where it is.
    """
    maker = replace(me.key, request_id=bundle.made_by)
    to_remove = will_remove(me, bundle)
    if to_remove and (yield from perform(effects.Claim(bundle.location, maker))) is None:
        checked = yield from perform(effects.CheckRemoval(bundle))
        if checked != bundle:
            yield from perform(effects.PutBundle(me.key, checked))
        yield from perform(effects.AboutToRemove(me.key, checked))
        if (yield from perform(effects.Remove(checked))):
            yield from perform(effects.Announce(me.key, Announcement("removed", checked)))
    if to_remove:
        yield from perform(effects.ReleaseLocation(bundle.location, maker))
    stone = Tombstone(bundle.physical_id, me.sent, unseen=False)
    yield from perform(effects.LeaveTombstone(me.key, stone))


def will_remove(me: Record, bundle: Bundle) -> bool:
    """Whether a request removes a finished bundle that it deletes; otherwise it is retained."""
    return not bundle.is_dry_run and _is_to_remove(me, bundle.on_delete or _on_delete(me))


def removes(me: Record, other: Record) -> bool:
    """Whether a request removes a bundle that an earlier one finished, but did not answer."""
    return _is_to_remove(me, _on_delete(other) if other.undelivered else _on_delete(me))


def _on_delete(record: Record) -> str:
    if record.on_delete:
        return record.on_delete
    return on_delete(record.request.properties if record.request is not None else None)


def _is_to_remove(me: Record, said: str) -> bool:
    undone = me.request_type != "Delete" or is_meant(me, Meaning.UNDOES)
    return said == "Delete" or (said == "RetainExceptOnCreate" and undone)
