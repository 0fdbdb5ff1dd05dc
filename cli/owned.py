"""`owned`: what the resources of a stack, or of all, have made, and what of that is still there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr, ConditionBase

from cli import products, there
from cli.installation import Account, Installation
from cli.output import size
from cli.products import Product
from cli.there import Buckets, Found, Unreadable
from instance_bundle.state import RequestKey, inspection

COLUMNS = (
    *("STACK", "LOGICAL ID", "BUNDLE", "CUSTODY", "ON DELETE", "S3 URI", "SIZE"),
    *("AMI", "SNAPSHOTS", "MISSING"),
)

_EVERYTHING = Attr("resource").exists()


@dataclass(frozen=True, slots=True)
class Row:
    """A bundle that a resource made.

    Attributes:
        product: what the ledger and EC2 have of it.
        objects: those that S3 has, or does not show.
    """

    product: Product
    objects: Sequence[Found | Unreadable]

    @property
    def owned(self) -> inspection.Owned:
        """What the ledger has."""
        return self.product.owned

    def ids(self, kind: there.Kind) -> Sequence[str]:
        """The IDs of what EC2 has."""
        return [each.id for each in self.product.found.values() if each.kind == kind]

    @property
    def uris(self) -> Sequence[str]:
        """Where objects are, or should be."""
        return list(self.product.uris)

    @property
    def bytes(self) -> int | None:
        """The size of all objects; None if one can't be read."""
        sizes = [each.bytes if isinstance(each, Found) else None for each in self.objects]
        return sum(each or 0 for each in sizes) if None not in sizes else None

    @property
    def missing(self) -> Sequence[str]:
        """What the ledger or the tags of an AMI name, and AWS no longer has."""
        there_now = {each.id for each in self.objects} | {*self.product.found}
        return [each for each in (*self.uris, *self.product.ids) if each not in there_now]

    @property
    def unreadable(self) -> Sequence[str]:
        """Why objects can't be read."""
        return [each.why for each in self.objects if isinstance(each, Unreadable)]

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        owned, key = self.owned, self.owned.key
        images = self.ids("AMI")
        current = next((each for each in owned.image_ids[:1]), next(iter(images), None))
        return {
            "stack": key.stack_name,
            "stackId": key.stack_id,
            "logicalId": key.logical_id,
            "requestId": key.request_id or None,
            "physicalId": owned.physical_id or None,
            "custody": owned.custody,
            "onDelete": owned.on_delete or None,
            "s3Uri": next(iter(self.uris), None),
            "bytes": self.bytes,
            "imageId": current,
            "imageIds": images,
            "snapshotIds": self.ids("snapshot"),
            "missing": self.missing,
            "unreadable": self.unreadable,
        }

    def cells(self) -> Sequence[str]:
        """What the table shows."""
        readable = self.bytes is not None
        return (
            self.owned.key.stack_name,
            self.owned.key.logical_id,
            self.owned.physical_id,
            self.owned.custody,
            self.owned.on_delete,
            " ".join(self.uris),
            (size(self.bytes or 0) if readable else "unknown") if self.uris else "",
            " ".join(self.ids("AMI")),
            " ".join(self.ids("snapshot")),
            " ".join(self.missing),
        )


def read(installation: Installation, stack: str | None) -> Sequence[Row]:
    """What the resources of a stack have made.

    Args:
        installation: whose ledger has it.
        stack: the stack's name, or its ID; None for all stacks.

    Raises:
        Refused: AWS refuses to read the ledger, or to describe AMIs or snapshots.
    """
    account = installation.account
    about = _about(stack) if stack else _EVERYTHING
    ledger = inspection.owned(installation.items(about))
    own = [each for each in ledger if _is_of(each.key, stack)]
    # A tag may be copied with its AMI, from another account or Region.
    tagged = [
        each
        for each in _tagged(account, stack)
        if each.made and installation.may_have(each.made.key.stack_id)
    ]
    buckets = Buckets(account)
    found = products.joined(account, own, tagged)
    return [Row(each, each.objects(buckets)) for each in found]


def _is_of(key: RequestKey, stack: str | None) -> bool:
    return stack in (None, key.stack_id, key.stack_name)


def _tagged(account: Account, stack: str | None) -> Sequence[Found]:
    if stack is None:
        return there.tagged(account, inspection.MAKER_TAG)
    tag = inspection.STACK_TAG if ":stack/" in stack else inspection.STACK_NAME_TAG
    return there.tagged(account, tag, [stack])


def _about(stack: str) -> ConditionBase:
    """Items of the stack's resources, and claims that they own; it may let others through."""
    named = stack if ":stack/" in stack else f":stack/{stack}/"
    return Attr("resource").contains(named) | Attr("owner").contains(named)
