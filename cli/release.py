"""`release`: delete the claim of a location, if it protects nothing."""

from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr

from cli.errors import NotFound, Refused, Unsafe
from cli.installation import Installation
from cli.there import Buckets, Unreadable
from instance_bundle.state import inspection, release


@dataclass(frozen=True, slots=True)
class Release:
    """A claim that protects nothing.

    Attributes:
        installation: whose ledger has it.
        claim: as it was read.
    """

    installation: Installation
    claim: inspection.Claim

    def described(self) -> str:
        """What is to be deleted, for the operator."""
        owner = self.claim.owner
        return (
            f"{self.claim.location.s3_uri} is claimed by the request {owner.request_id} of"
            f" {owner.logical_id} of the stack {owner.stack_name}. Nothing is stored there, no work"
            " may write there, and the ledger has no bundle there. Only the claim will be deleted."
        )

    def carry_out(self) -> None:
        """Delete the claim.

        Raises:
            Unsafe: another request has it by now; it stays.
            Refused: DynamoDB refuses.
        """
        request = release.request(self.installation.table, self.claim)
        if not self.installation.delete(request):
            raise Unsafe("Another request has the claim by now. Nothing was changed.")


def read(installation: Installation, location: str) -> Release:
    """The claim of a location, which protects nothing.

    Args:
        installation: whose ledger has it.
        location: `s3://bucket/prefix`, or the object that EC2 has stored an image as.

    Raises:
        NotFound: there is no such claim.
        Unsafe: it protects something, or work may still write there.
        Refused: S3 does not say whether something is there.
    """
    found = installation.items(Attr("item").exists())
    claims = inspection.claims(found)
    claim = next((each for each in claims if location in (each.location.s3_uri, each.s3_uri)), None)
    if claim is None:
        raise NotFound(f"The ledger has no claim of {location}.")
    if why := inspection.why_claimed(claim, found):
        raise Unsafe(f"The claim of {location} stays: {why}.")
    at = Buckets(installation.account).objects(claim.s3_uri, is_object=claim.is_object)
    if isinstance(at, Unreadable):
        raise Refused(f"The claim of {location} stays: S3 does not say what is there. {at.why}")
    if at is not None:
        raise Unsafe(f"The claim of {location} stays: {at.id} is there, {at.bytes} bytes.")
    return Release(installation, claim)
