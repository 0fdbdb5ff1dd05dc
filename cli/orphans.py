"""`orphans`: what requests have made that no stack manages, and what it costs a month."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr

from cli import prices, products, there
from cli.installation import Installation
from cli.managed import Stacks
from cli.output import Say, size, usd
from cli.prices import Cost
from cli.products import Product
from cli.there import Buckets, Found, Unreadable
from instance_bundle.state import RequestKey, inspection

COLUMNS = ("STACK", "LOGICAL ID", "KIND", "ID", "WHY", "SIZE", "USD A MONTH")

_EVERYTHING = Attr("item").exists()


@dataclass(frozen=True, slots=True)
class Row:
    """An AMI, a snapshot, or the objects of a bundle, without a stack.

    Attributes:
        key: the request that made it, and its resource.
        why: why no stack manages it.
        is_stack_deleted: there is no such stack.
        thing: what it is; not readable if S3 does not say whether it is there.
        cost: what it costs a month, at most; a sentence if that is not known.
    """

    key: RequestKey
    why: str
    is_stack_deleted: bool
    thing: Found | Unreadable
    cost: Cost | str

    @property
    def kind(self) -> there.Kind:
        """What it is."""
        return self.thing.kind if isinstance(self.thing, Found) else "objects"

    @property
    def bytes(self) -> int | None:
        """Its size, at most; None of an AMI, and if it is not known."""
        return self.thing.bytes if isinstance(self.thing, Found) else None

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        known = isinstance(self.cost, Cost)
        return {
            "stack": self.key.stack_name,
            "stackId": self.key.stack_id,
            "stackDeleted": self.is_stack_deleted,
            "logicalId": self.key.logical_id,
            "requestId": self.key.request_id or None,
            "kind": self.kind,
            "id": self.thing.id,
            "why": self.why,
            "bytes": self.bytes,
            "usdPerMonth": round(self.cost.usd, 6) if isinstance(self.cost, Cost) else None,
            "unknown": None if known else self.cost,
        }

    def cells(self) -> Sequence[str]:
        """What the table shows."""
        return (
            self.key.stack_name,
            self.key.logical_id,
            self.kind,
            self.thing.id,
            self.why,
            "" if self.bytes is None else self._bounded(size(self.bytes)),
            self._price(),
        )

    def _price(self) -> str:
        if not isinstance(self.cost, Cost):
            return "unknown"
        return self._bounded(usd(self.cost.usd)) if self.bytes is not None else ""

    def _bounded(self, amount: str) -> str:
        """A snapshot's size is the most that it may be billed for."""
        return f"at most {amount}" if self.kind == "snapshot" else amount


@dataclass(frozen=True, slots=True)
class Orphans:
    """All of them.

    Attributes:
        region: where they are.
        rows: each of them.
    """

    region: str
    rows: Sequence[Row]

    @property
    def usd(self) -> float:
        """What those cost a month, at most, whose cost is known."""
        return sum(each.cost.usd for each in self.rows if isinstance(each.cost, Cost))

    @property
    def unknown(self) -> Sequence[Row]:
        """Those whose cost is not known."""
        return [each for each in self.rows if not isinstance(each.cost, Cost)]

    @property
    def oldest_price(self) -> str:
        """The date of the oldest price that was used, ISO 8601; empty if none was."""
        dates = (each.cost.date for each in self.rows if isinstance(each.cost, Cost))
        return min(filter(None, dates), default="")

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        return {
            "orphans": [each.as_json() for each in self.rows],
            "total": {
                "region": self.region,
                "bytes": sum(each.bytes or 0 for each in self.rows),
                "usdPerMonth": round(self.usd, 6),
                "pricesFrom": self.oldest_price or None,
                "unknown": len(self.unknown),
            },
        }

    def lines(self) -> Sequence[str]:
        """What is written below the table: the total, and why costs are unknown."""
        stored = size(sum(each.bytes or 0 for each in self.rows))
        prices_of = f", by prices of {self.oldest_price} or later" if self.oldest_price else ""
        total = f"{stored} at most, {usd(self.usd)} USD a month at most in {self.region}{prices_of}"
        unknown = [f"  {each.thing.id}: {each.cost}." for each in self.unknown]
        return (
            f"Total: {total}.",
            *(["Not in the total, since its cost is unknown:"] if unknown else []),
            *unknown,
        )


def read(installation: Installation, say: Say) -> Orphans:
    """What no stack manages, in the order of stacks and resources.

    Args:
        installation: whose stacks are meant.
        say: called with what is being read.

    Raises:
        Refused: AWS refuses to read the ledger, or to describe stacks, AMIs or snapshots.
    """
    account = installation.account
    say("Reading the ledger")
    items = installation.items(_EVERYTHING)
    say("Reading AMIs and snapshots")
    tagged = there.tagged(account, inspection.MAKER_TAG)
    # A tag may be copied with its AMI, from another account or Region.
    own = [each for each in tagged if each.made and installation.may_have(each.made.key.stack_id)]
    everything = products.joined(account, inspection.owned(items), own)
    busy = {record.key for record in inspection.requests(items) if record.in_flight}
    stacks, buckets, region = Stacks(account), Buckets(account), account.region_name
    of_resource = _physical_ids(everything)
    whys: list[tuple[Product, str]] = []
    for number, product in enumerate(everything):
        say(f"Reading stacks: {number} of {len(everything)} bundles")
        others = of_resource[product.key.resource]
        whys.append((product, "" if product.key in busy else _why(product, stacks, others)))
    # Once the objects of a bundle were removed by hand, others may have a bundle at its location.
    listed = {uri for product, why in whys if not why for uri in product.uris}
    rows: list[Row] = []
    for number, (product, why) in enumerate(whys):
        say(f"Reading objects: {number} of {len(whys)} bundles")
        if not why:
            continue
        things = [*product.found.values(), *product.objects(buckets)]
        deleted = stacks.is_deleted(product.key.stack_id)
        rows += [
            Row(product.key, why, deleted, thing, _cost(thing, region))
            for thing in things
            if thing.id not in listed
        ]
        listed |= product.uris.keys()
    return Orphans(region, rows)


def _physical_ids(everything: Iterable[Product]) -> Mapping[str, set[str]]:
    """The physical IDs that each resource has had, as far as is known."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in everything:
        found[each.key.resource] |= each.physical_ids
    return found


def _why(product: Product, stacks: Stacks, of_resource: set[str]) -> str:
    """Why no stack manages it; empty if one does, or may."""
    key, own = product.key, product.physical_ids
    custody = product.owned.custody
    if custody == "deleted":
        return ""  # nothing of it is stored
    why = stacks.why_unmanaged(key.stack_id, key.logical_id, own, of_resource - own)
    if custody in ("released", "kept"):
        return why if why == "stack deleted" else {"kept": "retained"}.get(custody, custody)
    return why


def _cost(thing: Found | Unreadable, region: str) -> Cost | str:
    return thing.why if isinstance(thing, Unreadable) else prices.cost(thing, region)
