"""What EC2's images, snapshots and tags were before they changed.

Nothing is kept of what did not change: a reader of the past gets moto's own objects, and copies of
those that have changed since then.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot

from sandbox.ec2 import kept

Resource = TypeVar("Resource")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a resource, and what the resource was before.

    Attributes:
        moment: epoch seconds.
        image: None if there was none.
        snapshot: None if there was none.
        tags: none if it had none, or if it was not there.
    """

    moment: float
    image: Ami | None
    snapshot: Snapshot | None
    tags: dict[str, str]


class History:
    """The changes of one account and region that somebody may not see yet.

    Args:
        ec2: moto's backend, which has the resources as they are.
    """

    def __init__(self, ec2: EC2Backend) -> None:
        self._ec2 = ec2
        self._changes: dict[str, list[Change]] = {}
        self._lock = threading.RLock()

    def note(self, resource_ids: Iterable[str], moment: float) -> None:
        """Keep what resources are, just before they change."""
        for id_ in resource_ids:
            image, snapshot = self._ec2.amis.get(id_), self._ec2.snapshots.get(id_)
            tags = dict(self._ec2.tags.get(id_, {}))
            self._add(id_, Change(moment, _copied(image), _copied(snapshot), tags))

    def note_new(self, resource_ids: Iterable[str], moment: float) -> None:
        """Keep that resources were not there, just after they were made."""
        for id_ in resource_ids:
            self._add(id_, Change(moment, None, None, {}))

    def forget(self, moment: float) -> None:
        """Forget the changes up to a moment: everybody sees them."""
        with self._lock:
            for id_, changes in list(self._changes.items()):
                self._changes[id_] = [change for change in changes if change.moment > moment]
                if not self._changes[id_]:
                    del self._changes[id_]

    def tags_at(self, resource_id: str, moment: float) -> dict[str, str]:
        """The tags that a resource had; read only."""
        with self._lock:
            change = self._first_after(resource_id, moment)
        tags: dict[str, str] = self._ec2.tags.get(resource_id, {})
        return tags if change is None else change.tags

    def at(self, moment: float) -> EC2Backend:
        """moto's backend with the images, snapshots and tags of a moment; read only."""
        with self._lock:
            found = {id_: self._first_after(id_, moment) for id_ in self._changes}
            changes = {id_: change for id_, change in found.items() if change is not None}
        if not changes:
            return self._ec2
        past = _bare_copy(self._ec2)
        past.amis = _replaced(self._ec2.amis, {id_: c.image for id_, c in changes.items()})
        past.snapshots = _replaced(
            self._ec2.snapshots, {id_: c.snapshot for id_, c in changes.items()}
        )
        past.tags = defaultdict(
            dict, _replaced(self._ec2.tags, {id_: c.tags for id_, c in changes.items()})
        )
        return past

    def _add(self, resource_id: str, change: Change) -> None:
        with self._lock:
            changes = self._changes.setdefault(resource_id, [])
            changes.append(change)
            # What time brings is noted late, with the moment at which it came.
            changes.sort(key=lambda each: each.moment)

    def _first_after(self, resource_id: str, moment: float) -> Change | None:
        changes = self._changes.get(resource_id, [])
        return next((change for change in changes if change.moment > moment), None)


def of(account_id: str, region: str) -> History:
    """The history of an account and region."""
    return of_backend(ec2_backends[account_id][region])


def of_backend(ec2: EC2Backend) -> History:
    """The history of a backend."""
    return kept.of(ec2, History, lambda: History(ec2))


def _replaced(now: dict[str, Resource], before: dict[str, Resource | None]) -> dict[str, Resource]:
    """What was there before: as it is now where it did not change."""
    merged = {**now, **before}
    return {id_: each for id_, each in merged.items() if each is not None}


def _copied(resource: Resource) -> Resource:
    if resource is None:
        return resource
    duplicate = _bare_copy(resource)
    for name, value in vars(resource).items():
        if isinstance(value, list):  # such as launch permissions, which change in place
            vars(duplicate)[name] = list(value)
    return duplicate


def _bare_copy(original: Resource) -> Resource:
    """A shallow copy; moto keeps a list of all models that are made in the usual way."""
    duplicate = object.__new__(type(original))
    vars(duplicate).update(vars(original))
    return duplicate
