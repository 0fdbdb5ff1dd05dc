"""What each request has made, as the ledger, EC2 and S3 have it together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cli import there
from cli.installation import Account
from cli.there import Buckets, Found, Unreadable
from instance_bundle.state import RequestKey, inspection


@dataclass(frozen=True, slots=True)
class Product:
    """What one request has made: a bundle, AMIs, snapshots, or what is left of them.

    Attributes:
        owned: what the ledger has of it.
        found: the AMIs and snapshots that EC2 has, by their IDs.
    """

    owned: inspection.Owned
    found: Mapping[str, Found] = field(default_factory=dict)

    @property
    def key(self) -> RequestKey:
        """The request, and its resource."""
        return self.owned.key

    @property
    def physical_ids(self) -> frozenset[str]:
        """The IDs that the resource has while CloudFormation manages this; none if unknown. That of
        a stored image is the AMI's."""
        own = {self.owned.physical_id} - {""}
        stored = {each.id for each in self.found.values() if each.made and each.made.bucket}
        return frozenset(own | stored)

    @property
    def uris(self) -> Mapping[str, bool]:
        """Where its objects should be; and whether each is one object, without parts."""
        known = {}
        if self.owned.s3_uri:
            known[self.owned.s3_uri] = self.owned.is_object
        for each in self.found.values():
            if each.made and each.kind == "AMI" and (uri := each.made.object_uri(each.id)):
                known[uri] = True
        return known

    @property
    def ids(self) -> Sequence[str]:
        """The AMIs and snapshots that the ledger has of it."""
        return (*self.owned.image_ids, *self.owned.snapshot_ids)

    def objects(self, buckets: Buckets) -> Sequence[Found | Unreadable]:
        """Its objects that are there, or can't be read."""
        read = (buckets.objects(uri, is_object=alone) for uri, alone in self.uris.items())
        return [each for each in read if each is not None]


def joined(
    account: Account, owned: Iterable[inspection.Owned], tagged: Iterable[Found]
) -> Sequence[Product]:
    """What each request has made, in the order of stacks and resources.

    AMIs and snapshots that have lost their tags are found by the ledger.

    Args:
        account: where it is.
        owned: what the ledger has.
        tagged: the AMIs and snapshots that EC2 has, by the tags of this application.

    Raises:
        Refused: EC2 refuses to describe what the ledger has.
    """
    found: defaultdict[RequestKey, dict[str, Found]] = defaultdict(dict)
    for each in tagged:
        if each.made is not None:
            found[each.made.key][each.id] = each
    products = [Product(each, found.pop(each.key, {})) for each in owned]
    products += [Product(inspection.Owned(key, "unrecorded"), own) for key, own in found.items()]
    lost = {id_ for each in products for id_ in each.ids if id_ not in each.found}
    by_id = {each.id: each for each in _named(account, lost)}
    return sorted(
        (_with_lost(each, by_id) for each in products),
        key=lambda each: (
            each.key.stack_name,
            each.key.resource,
            sorted(each.physical_ids),
            sorted(each.uris),
        ),
    )


def _with_lost(product: Product, by_id: Mapping[str, Found]) -> Product:
    lost = {id_: by_id[id_] for id_ in product.ids if id_ in by_id}
    return Product(product.owned, {**product.found, **lost})


def _named(account: Account, ids: Iterable[str]) -> Sequence[Found]:
    images = sorted(each for each in ids if each.startswith("ami-"))
    snapshots = sorted(each for each in ids if each.startswith("snap-"))
    return there.named(account, images, snapshots)
