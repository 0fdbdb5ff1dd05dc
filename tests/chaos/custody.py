"""The bundles' owners: which bundles CloudFormation has, has sent a Delete for, or has retained.

CloudFormation's side reports each change here. Whenever a request is sent or an answer arrives,
each bundle for which no Delete was sent must exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from tests.chaos.images import Portrait
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Contents:
    """What exists of a finished bundle.

    Attributes:
        objects: the ETag of each of its objects, by bucket and key.
        images: the attributes of its AMIs, by ID.
        snapshots: of the AMI that is stored.
    """

    objects: Mapping[tuple[str, str], str]
    images: Mapping[str, Portrait]
    snapshots: Set[str]

    @classmethod
    def of(cls, world: World, physical_id: str) -> Contents | None:
        """None if no work with this ID has finished."""
        if physical_id in world.finished:
            return cls._of_bundle(world, physical_id)
        if physical_id in world.images.stored:
            return cls._of_image(world, physical_id)
        return None

    @classmethod
    def _of_bundle(cls, world: World, physical_id: str) -> Contents:
        task = world.finished[physical_id]
        bucket, location = task.storage.bucket, f"{task.storage.bucket}/{task.storage.prefix}"
        etags = world.etags(bucket)
        images = [
            image.image_id
            for image in world.images.registered.values()
            if image.location == f"{location}.manifest.xml"
        ]
        return cls(
            {(bucket, key): etags[key] for key in task.written if key in etags},
            {id_: seen for id_ in images if (seen := world.images.portrait(id_))},
            frozenset(),
        )

    @classmethod
    def _of_image(cls, world: World, image_id: str) -> Contents:
        target, seen = world.images.stored[image_id].target, world.images.portrait(image_id)
        etags = world.etags(target.bucket)
        made = world.images.made[image_id]
        return cls(
            {(target.bucket, target.key): etags[target.key]} if target.key in etags else {},
            {} if seen is None else {image_id: seen},
            world.images.snapshots_left(made),
        )


@dataclass(frozen=True, slots=True)
class _Holding:
    """A bundle for which no Delete was sent.

    Attributes:
        was: its contents when CloudFormation received its ID, or when it was retained.
        on_delete: the values that OnDelete may have: an Update that was not answered may have
            changed it.
    """

    owner: str
    was: Contents
    on_delete: frozenset[str]
    is_retained: bool = False


@dataclass(slots=True)
class Custody:
    """The bundles of one sequence, by their physical IDs.

    Attributes:
        foreign: the keys of objects that others have written.
        is_hindered: whether faults may have prevented the function from removing something.
        violations: in the order in which they were found.
    """

    world: World
    foreign: Set[str]
    is_hindered: Callable[[], bool]
    violations: list[str] = field(default_factory=list)
    _holdings: dict[str, _Holding] = field(default_factory=dict)
    _leaving: dict[str, Contents] = field(default_factory=dict)

    def hold(self, owner: str, physical_id: str, on_delete: str) -> None:
        """The resource has this bundle, which is finished."""
        before = self._holdings.get(physical_id)
        if before is not None and before.is_retained:
            self.violations.append(f"{physical_id} was retained, and {owner} received it again")
            return
        contents = Contents.of(self.world, physical_id)
        if contents is not None:
            self._holdings[physical_id] = _Holding(owner, contents, frozenset({on_delete}))

    def doubt(self, physical_id: str, on_delete: str) -> None:
        """An Update of the resource with this ID timed out: it may have taken effect."""
        before = self._holdings.get(physical_id)
        if before is not None and not before.is_retained:
            self._holdings[physical_id] = _Holding(
                before.owner, before.was, before.on_delete | {on_delete}
            )

    def retain(self, physical_id: str) -> None:
        """The resource's policy retains the bundle: CloudFormation sends no Delete."""
        before, contents = self._holdings.get(physical_id), Contents.of(self.world, physical_id)
        if before is not None and contents is not None:
            self.check()
            self._holdings[physical_id] = _Holding(before.owner, contents, frozenset(), True)

    def delete_sent(self, physical_id: str, *, undoes: bool | None = False) -> None:
        """CloudFormation sends a Delete for this ID.

        Args:
            undoes: whether the operation that created the resource is rolled back; None if it
                replaced the bundle: how RetainExceptOnCreate then applies is not documented.
        """
        before = self._holdings.get(physical_id)
        if before is None or before.is_retained:
            return
        retained = {_is_retained(on_delete, undoes=undoes) for on_delete in before.on_delete}
        if retained == {True}:
            self.retain(physical_id)
            return
        del self._holdings[physical_id]
        if retained == {False}:
            self._leaving[physical_id] = before.was

    def delete_answered(self, physical_id: str, *, succeeded: bool) -> None:
        """The Delete for this ID was answered, or timed out."""
        contents = self._leaving.pop(physical_id, None)
        now = Contents.of(self.world, physical_id)
        if contents is None or now is None or not succeeded or self.is_hindered():
            return
        # Another bundle may be at the same location by now.
        objects = {
            place for place, etag in contents.objects.items() if now.objects.get(place) == etag
        }
        if objects or now.images or now.snapshots:
            self.violations.append(
                f"The Delete of {physical_id} succeeded, but these are left: "
                f"{sorted(objects)} {sorted(now.images)} {sorted(now.snapshots)}"
            )

    def check(self) -> None:
        """Check that each bundle exists for which no Delete was sent."""
        for physical_id, holding in list(self._holdings.items()):
            now = Contents.of(self.world, physical_id)
            if now is None:
                continue
            if lost := list(self._lost(physical_id, holding, now)):
                how = "was retained" if holding.is_retained else f"is {holding.owner}'s"
                self.violations.append(f"{physical_id} {how}, but is gone or changed: {lost}")
                del self._holdings[physical_id]

    def _lost(self, physical_id: str, holding: _Holding, now: Contents) -> list[str]:
        was = holding.was
        lost = [
            key
            for (bucket, key), etag in was.objects.items()
            if key not in self.foreign and now.objects.get((bucket, key)) != etag
        ]
        if holding.is_retained:
            lost += [id_ for id_, seen in was.images.items() if now.images.get(id_) != seen]
        elif physical_id in was.images and physical_id not in now.images:
            lost.append(physical_id)
        return lost + sorted(was.snapshots - now.snapshots)


def _is_retained(on_delete: str, *, undoes: bool | None) -> bool | None:
    """Whether a Delete leaves the bundle; None if that is not known."""
    if on_delete == "RetainExceptOnCreate":
        return None if undoes is None else not undoes
    return on_delete == "Retain"
