"""Whose the bundles are: what CloudFormation holds, what it has asked to delete, what is retained.

CloudFormation's side reports each change here. Whenever a request is sent, or an answer arrives,
each bundle that nobody has asked to delete must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from tests.chaos.images import Portrait
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is of a finished bundle.

    Attributes:
        objects: the ETag of each of its objects, by bucket and key.
        images: what its AMIs look like, by their IDs.
        snapshots: of the AMI that is stored.
    """

    objects: Mapping[tuple[str, str], str]
    images: Mapping[str, Portrait]
    snapshots: Set[str]

    @classmethod
    def of(cls, world: World, physical_id: str) -> Contents | None:
        """None where no work with this ID was ever finished."""
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
    """A bundle that nobody has asked to delete.

    Attributes:
        was: its contents when CloudFormation learned of it, or when it was retained.
        on_delete: each value of OnDelete that may be in force: an Update that was not answered may
            have changed it, or not.
    """

    owner: str
    was: Contents
    on_delete: frozenset[str]
    is_retained: bool = False


@dataclass(slots=True)
class Custody:
    """The bundles of one sequence, by their physical IDs.

    Attributes:
        foreign: the keys that somebody else has written to.
        is_hindered: whether faults may have kept the function from removing something.
        violations: what was broken, as it was noticed.
    """

    world: World
    foreign: Set[str]
    is_hindered: Callable[[], bool]
    violations: list[str] = field(default_factory=list)
    _holdings: dict[str, _Holding] = field(default_factory=dict)
    _leaving: dict[str, Contents] = field(default_factory=dict)

    def hold(self, owner: str, physical_id: str, on_delete: str) -> None:
        """CloudFormation was answered that the resource has this bundle, which is finished."""
        before = self._holdings.get(physical_id)
        if before is not None and before.is_retained:
            self.violations.append(f"{physical_id} was retained, and {owner} was given it again")
            return
        contents = Contents.of(self.world, physical_id)
        if contents is not None:
            self._holdings[physical_id] = _Holding(owner, contents, frozenset({on_delete}))

    def doubt(self, physical_id: str, on_delete: str) -> None:
        """An Update of the resource with this ID was given up: it may have taken effect."""
        before = self._holdings.get(physical_id)
        if before is not None and not before.is_retained:
            self._holdings[physical_id] = _Holding(
                before.owner, before.was, before.on_delete | {on_delete}
            )

    def retain(self, physical_id: str) -> None:
        """The resource's policy has CloudFormation forget the bundle: it sends no Delete."""
        before, contents = self._holdings.get(physical_id), Contents.of(self.world, physical_id)
        if before is not None and contents is not None:
            self.check()
            self._holdings[physical_id] = _Holding(before.owner, contents, frozenset(), True)

    def leave(self, physical_id: str, *, undoes: bool | None = False) -> None:
        """CloudFormation sends a Delete for this ID.

        undoes: whether the operation that created the resource is rolled back; None where it is one
            that replaced the bundle, of which nobody has said how RetainExceptOnCreate applies.
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

    def left(self, physical_id: str, *, succeeded: bool) -> None:
        """That Delete is over."""
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
                f"The Delete of {physical_id} succeeded, and of it there is: "
                f"{sorted(objects)} {sorted(now.images)} {sorted(now.snapshots)}"
            )

    def check(self) -> None:
        """See that all that nobody has asked to delete is there."""
        for physical_id, holding in list(self._holdings.items()):
            now = Contents.of(self.world, physical_id)
            if now is None:
                continue
            if lost := list(self._lost(physical_id, holding, now)):
                how = "was retained" if holding.is_retained else f"is {holding.owner}'s"
                self.violations.append(f"{physical_id} {how}, and of it is gone or changed: {lost}")
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
    """Whether a Delete leaves what it is about; None where that is not known."""
    if on_delete == "RetainExceptOnCreate":
        return None if undoes is None else not undoes
    return on_delete == "Retain"
