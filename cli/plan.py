"""`plan`: what an update will do, before it does it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from boto3.dynamodb.conditions import Attr

from cli import change_sets
from cli.change_sets import Change, ChangeSet
from cli.installation import Installation
from cli.stacks import BUNDLE, NESTED
from instance_bundle.lifecycle import Bundle, Forecast, Planned, forecast
from instance_bundle.state import Resource, inspection

Does = Literal["make", "replace", "update in place", "nothing", "delete", "fail", "not asked"]
"""What a request does.

- make: a bundle.
- replace: a new bundle; then CloudFormation deletes the former one.
- update in place: the AMI only.
- nothing: the existing bundle is the answer.
- delete: what is removed and what is kept is said.
- fail: the request is FAILED.
- not asked: CloudFormation sends no request.
"""

_INSTANCE = {
    "shut down": " EC2 shuts the instance down for that.",
    "rebooted": " EC2 reboots the instance for that, if it runs.",
    "keeps running": " The instance keeps running.",
    "": "",
}
_IMAGE = {
    "changed": "The description and the tags of its AMI are changed.",
    "another": "Another AMI is registered from it; the earlier one is kept until the Delete.",
    "dropped": "Its AMI is no longer an attribute, and is kept until the Delete.",
    "": "",
}


@dataclass(frozen=True, slots=True)
class Former:
    """A bundle that is deleted, or is no longer managed.

    Attributes:
        physical_id: its ID.
        s3_uri: where it is.
        is_removed: its objects, AMIs and snapshots are removed; otherwise they are kept.
        why: what decides that.
    """

    physical_id: str
    s3_uri: str
    is_removed: bool
    why: str

    def __str__(self) -> str:
        becomes = "is removed" if self.is_removed else "is kept"
        return f"{self.physical_id} at {self.s3_uri} {becomes} ({self.why})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request does, and what becomes of the bundles from before.

    Attributes:
        does: in a word.
        forecast: by the function's own rows.
        former: those that are deleted, or are no longer managed.
        problems: why it is FAILED, or what waits; empty if nothing is known.
    """

    does: Does
    forecast: Forecast
    former: tuple[Former, ...] = ()
    problems: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """For people."""
        found = self.forecast
        if self.does == "not asked":
            yield "CloudFormation sends no request: it retains or imports the resource."
        made = found.properties
        if made is not None and self.does != "fail":
            where = f"s3://{made.bucket}/{made.prefix or '…'}"
            what = (
                f"Asks EC2 whether it would bundle {made.instance_id}, and makes nothing."
                if made.dry_run
                else f"Bundles {made.instance_id} to {where}."
                if made.method == "BundleInstance"
                else f"Makes an AMI of {made.instance_id}, and stores it in s3://{made.bucket}."
            )
            yield change_sets.shown(what) + _INSTANCE[found.instance]
        if found.stays is not None and self.does != "fail":
            yield f"The bundle {found.stays.physical_id} stays. {_IMAGE[found.image]}".rstrip()
        then = "Then " if self.does == "replace" else ""
        yield from (f"{then}{each}." for each in self.former)
        if self.does == "delete" and not self.former:
            yield "The ledger has no bundle of it: nothing is removed."
        yield from self.problems


@dataclass(frozen=True, slots=True)
class Row:
    """What happens to a resource.

    Attributes:
        change: what CloudFormation says.
        same: what happens; if that depends on what is not known yet, if that is as before.
        other: what happens if that is not as before; None if it makes no difference.
    """

    change: Change
    same: Outcome
    other: Outcome | None = None

    @property
    def fails(self) -> bool:
        """Whether the request is FAILED for sure."""
        return self.same.does == "fail" and self.other is None

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        return {
            "logicalId": self.change.logical_id,
            "action": self.change.action,
            "knownAfterApply": self.change.unknown,
            **_as_json(self.same),
            "ifChanged": self.other and _as_json(self.other),
        }

    def lines(self) -> Iterator[str]:
        """What people read."""
        unknown = ", ".join(self.change.unknown)
        if self.other is None:
            yield f"{self.change.logical_id}: {self.same.does}."
            yield from (f"  {each}" for each in self.same.sentences())
        else:
            yield f"{self.change.logical_id}: {unknown} is known after apply."
            for title, outcome in (("as before", self.same), ("changed", self.other)):
                yield f"  If it is {title}: {outcome.does}."
                yield from (f"    {each}" for each in outcome.sentences())
        if self.change.hidden:
            yield f"  Not known: whether {', '.join(self.change.hidden)} changes, which is hidden."


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change set does to bundles.

    Attributes:
        change_set: the change set.
        rows: of its bundles.
        nested: the logical IDs of the nested stacks that it changes, which have plans of their own.
    """

    change_set: ChangeSet
    rows: Sequence[Row]
    nested: Sequence[str]

    @property
    def needs_work(self) -> bool:
        """Whether it can't be executed, or is FAILED for sure."""
        return bool(self.change_set.obstacle) or any(row.fails for row in self.rows)

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        return {
            "stack": self.change_set.stack,
            "stackId": self.change_set.stack_id,
            "changeSet": self.change_set.name,
            "obstacle": self.change_set.obstacle or None,
            "changes": [row.as_json() for row in self.rows],
            "nested": self.nested,
        }

    def lines(self) -> Iterator[str]:
        """What people read."""
        name, stack = self.change_set.name, self.change_set.stack
        obstacle = self.change_set.obstacle
        can = f"can't be executed: {obstacle}" if obstacle else "can be executed."
        yield f"The change set {name} of stack {stack} {can}"
        for row in self.rows:
            yield from row.lines()
        if not self.rows:
            yield "It changes no bundle."
        for each in self.nested:
            yield f"{each}: a nested stack, of which nothing is known here."


def read(installation: Installation, stack: str, name: str) -> Plan:
    """What a change set does to bundles.

    Args:
        installation: whose ledger has them.
        stack: the stack's name or ID.
        name: the change set's name or ID.

    Raises:
        NotFound: there is no such change set.
        Refused: AWS refuses a call.
    """
    found = change_sets.read(installation.account, stack, name)
    items = installation.items(Attr("resource").begins_with(f"{found.stack_id}|"))
    token = installation.outputs.get("ServiceToken")

    def known(logical_id: str) -> Resource:
        key = f"{found.stack_id}|{logical_id}"
        return inspection.resource(item for item in items if item["resource"] == key)

    rows = [
        _row(installation, found, change, known(change.logical_id))
        for change in found.changes
        if change.type == BUNDLE or token in {p.get("ServiceToken") for p in _both(change)} - {None}
    ]
    nested = [change.logical_id for change in found.changes if change.type == NESTED]
    return Plan(found, rows, nested)


def _row(installation: Installation, found: ChangeSet, change: Change, resource: Resource) -> Row:
    same, other = (
        _outcome(installation, found, change, properties, resource)
        for properties in (change.after, change.otherwise)
    )
    return Row(change, other) if same.does == other.does else Row(change, same, other)


def _outcome(
    installation: Installation,
    found: ChangeSet,
    change: Change,
    properties: Mapping[str, object],
    resource: Resource,
) -> Outcome:
    def ask(planned: Planned) -> Forecast:
        return forecast(planned, resource, found.stack_id, change.logical_id)

    if change.action in ("Import", "SyncWithActual") or (
        change.action == "Remove" and change.keeps
    ):
        return Outcome("not asked", Forecast())
    if change.action == "Remove":
        said = ask(Planned("Delete", change.physical_id))
        former = _deleted(said, by_policy=False)
        return Outcome("delete", said, former, _obstacles(installation, former))
    is_new = change.action == "Add"
    planned = (
        Planned("Create", properties=properties)
        if is_new
        else Planned("Update", change.physical_id, properties, change.before)
    )
    said = ask(planned)
    if installation.parameters.get("Paused") == "true":
        why = f"The application {installation.stack} is paused: the request is FAILED."
        return Outcome("fail", said, problems=(why,))
    if said.problems:
        return Outcome("fail", said, problems=said.problems)
    if said.makes and not is_new:
        former = _deleted(ask(Planned("Delete", change.physical_id)), by_policy=change.keeps)
        return Outcome("replace", said, former, _obstacles(installation, former))
    if said.makes:
        former = tuple(_former(each, "it was retained before") for each in said.released)
        return Outcome("make", said, former)
    return Outcome("update in place" if said.image else "nothing", said)


def _deleted(said: Forecast, *, by_policy: bool) -> tuple[Former, ...]:
    if by_policy:
        kept = (*said.removed, *said.kept)
        return tuple(_former(each, "UpdateReplacePolicy of the template") for each in kept)
    return (
        *(_former(each, f"OnDelete: {each.on_delete}", is_removed=True) for each in said.removed),
        *(_former(each, f"OnDelete: {each.on_delete or 'Retain'}") for each in said.kept),
    )


def _former(bundle: Bundle, why: str, *, is_removed: bool = False) -> Former:
    where = bundle.attributes.get("S3Uri") or bundle.location.s3_uri
    return Former(bundle.physical_id, where, is_removed, why)


def _obstacles(installation: Installation, former: Sequence[Former]) -> tuple[str, ...]:
    """Why a Delete fails, or waits."""
    if not any(each.is_removed for each in former):
        return ()
    if installation.parameters.get("AllowObjectDeletion") == "false":
        return ("The application's parameter AllowObjectDeletion is false: that Delete is FAILED.",)
    if installation.parameters.get("Paused") == "true":
        return (f"The application {installation.stack} is paused: that Delete waits.",)
    return ()


def _both(change: Change) -> tuple[Mapping[str, object], Mapping[str, object]]:
    return change.before, change.after


def _as_json(outcome: Outcome) -> Mapping[str, object]:
    made, stays = outcome.forecast.properties, outcome.forecast.stays
    return {
        "does": outcome.does,
        "bucket": change_sets.shown(made.bucket) if made else None,
        "prefix": change_sets.shown(made.prefix) if made and made.prefix else None,
        "instance": outcome.forecast.instance or None,
        "stays": stays.physical_id if stays else None,
        "image": outcome.forecast.image or None,
        "former": [
            {
                "physicalId": each.physical_id,
                "s3Uri": each.s3_uri,
                "becomes": "removed" if each.is_removed else "kept",
                "why": each.why,
            }
            for each in outcome.former
        ],
        "problems": outcome.problems,
    }
