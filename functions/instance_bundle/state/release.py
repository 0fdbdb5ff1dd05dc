"""The one write of operators: it deletes the claim of a location, if its owner still has it."""

from typing import TYPE_CHECKING

from instance_bundle.state import items
from instance_bundle.state.inspection import Claim
from instance_bundle.state.locations import owned_by
from instance_bundle.state.table import deletion

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import DeleteItemInputTypeDef


def request(table: str, claim: Claim) -> "DeleteItemInputTypeDef":
    """The DeleteItem request, on the condition that the function has, too.

    Args:
        table: the ledger's name.
        claim: as it was read; one that another request has taken over since stays.
    """
    return deletion(table, items.claim_key(claim.location), owned_by(claim.owner))
