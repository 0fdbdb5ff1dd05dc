"""`owned`: what the resources of a stack, or of all stacks, have made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr, ConditionBase

from cli.installation import Installation
from instance_bundle.state import inspection

COLUMNS = ("STACK", "LOGICAL ID", "BUNDLE", "CUSTODY", "ON DELETE", "S3 URI", "AMI", "SNAPSHOTS")

_EVERYTHING = Attr("resource").exists()


@dataclass(frozen=True, slots=True)
class Row:
    """A bundle that a resource made."""

    owned: inspection.Owned

    @property
    def on_delete(self) -> str:
        """What a Delete does with it; empty if it is not known, or no longer counts."""
        bundle = self.owned.bundle
        return bundle.on_delete if bundle and self.owned.custody != "released" else ""

    def attribute(self, name: str) -> str:
        """What `Fn::GetAtt` returned last."""
        bundle = self.owned.bundle
        return bundle.attributes.get(name, "") if bundle else ""

    @property
    def snapshots(self) -> Sequence[str]:
        """The IDs of the AMI's snapshots."""
        return [each for each in self.attribute("SnapshotIds").split(",") if each]

    def as_json(self) -> Mapping[str, object]:
        """The fields that README.md lists."""
        owned = self.owned
        return {
            "stack": owned.key.stack_name,
            "stackId": owned.key.stack_id,
            "logicalId": owned.key.logical_id,
            "requestId": owned.key.request_id or None,
            "physicalId": owned.physical_id or None,
            "custody": owned.custody,
            "onDelete": self.on_delete or None,
            "s3Uri": owned.s3_uri or None,
            "imageId": self.attribute("ImageId") or None,
            "snapshotIds": self.snapshots,
        }

    def cells(self) -> Sequence[str]:
        """What the table shows."""
        return (
            self.owned.key.stack_name,
            self.owned.key.logical_id,
            self.owned.physical_id,
            self.owned.custody,
            self.on_delete,
            self.owned.s3_uri,
            self.attribute("ImageId"),
            " ".join(self.snapshots),
        )


def read(installation: Installation, stack: str | None) -> Sequence[Row]:
    """What the resources of a stack have made.

    Args:
        installation: whose ledger has it.
        stack: the stack's name, or its ID; None for all stacks.
    """
    if stack is None:
        return [Row(each) for each in inspection.owned(installation.items(_EVERYTHING))]
    found = inspection.owned(installation.items(_about(stack)))
    return [Row(each) for each in found if stack in (each.key.stack_id, each.key.stack_name)]


def _about(stack: str) -> ConditionBase:
    """Items of the stack's resources, and claims that they own; it may let others through."""
    named = stack if ":stack/" in stack else f":stack/{stack}/"
    return Attr("resource").contains(named) | Attr("owner").contains(named)
