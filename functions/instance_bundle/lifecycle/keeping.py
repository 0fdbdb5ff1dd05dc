"""Steps about a bundle that exists: update in place, delete."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeVar

from instance_bundle.errors import Refusal, Refused
from instance_bundle.lifecycle import effects, history
from instance_bundle.lifecycle.driving import Driving, StepRun
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.next_step import answered
from instance_bundle.lifecycle.removal import delete_bundle
from instance_bundle.methods import Bundle
from instance_bundle.request import Properties, on_delete
from instance_bundle.state import Announcement, Done, Tombstone
from instance_bundle.telemetry import logger

T = TypeVar("T")


def update_in_place(d: Driving) -> StepRun:
    resource, request = d.known(), d.request()
    bundle = history.held(resource, d.me.physical_id)
    assert bundle is not None  # noqa: S101  next_step has seen it
    is_rollback = history.is_rollback(resource, d.me)
    if not is_rollback:
        yield from perform(effects.Admit(d.me, makes_bundle=False))
    for unseen in history.unseen_at(resource, d.me):
        if unseen != bundle:
            yield from _repair(d, delete_bundle(d.me, unseen), unseen, is_rollback=is_rollback)
    changed = replace(bundle, on_delete=on_delete(request.properties))
    image = Properties.parse(request.properties).image
    if not bundle.is_dry_run and image != request.old_image:
        update = perform(effects.UpdateImage(d.me.key, bundle, request.old_image, image))
        image_id = yield from _repair(d, update, bundle, is_rollback=is_rollback)
        if image_id is not None:
            changed = yield from _with_image(d, changed, image_id)
    if changed != bundle:
        yield from perform(effects.PutBundle(d.me.key, changed))
    return answered(changed)


def _with_image(d: Driving, bundle: Bundle, image_id: str) -> Generator[Effect[Any], Any, Bundle]:
    """The bundle with its AMI as it is now; another one is announced."""
    changed = replace(bundle, attributes={**bundle.attributes, **d.image_attributes(image_id)})
    if image_id == bundle.attributes.get("ImageId"):
        return changed
    changed = replace(changed, image_ids=bundle.announced)
    if image_id:
        yield from perform(effects.Announce(d.me.key, Announcement("complete", changed)))
    return changed


def _repair(
    d: Driving, repair: Generator[Effect[Any], Any, T], bundle: Bundle, *, is_rollback: bool
) -> Generator[Effect[Any], Any, T | None]:
    """Perform a repair.

    A rollback's Update must not fail, since CloudFormation can't continue then: if AWS refuses the
    repair, the bundle stays as it is.
    """
    try:
        return (yield from repair)
    except (Refused, Refusal) as refused:
        if not is_rollback:
            raise
        if isinstance(refused, Refused) and d.now < d.me.deadline:
            d.believed(refused)
        logger.error("The bundle stays as it is", id=bundle.physical_id, why=str(refused))
        return None


def delete(d: Driving) -> StepRun:
    resource, me = d.known(), d.me
    bundles = history.deleted_by(resource, me)
    for bundle in bundles:
        yield from delete_bundle(me, bundle)
    if not bundles:
        logger.info("There is no finished bundle to delete")
    unseen = not history.has_seen(resource, me)
    stone = Tombstone(me.physical_id, me.sent, unseen)
    yield from perform(effects.LeaveTombstone(me.key, stone))
    return Done(me.physical_id)
