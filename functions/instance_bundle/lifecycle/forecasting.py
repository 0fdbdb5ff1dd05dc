"""What a request will do that CloudFormation is about to send: the same rows decide it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from instance_bundle.lifecycle import history
from instance_bundle.lifecycle.meaning import Meaning
from instance_bundle.lifecycle.next_step import Do, Reply, Seen, next_step
from instance_bundle.lifecycle.removal import will_remove
from instance_bundle.methods import Bundle
from instance_bundle.request import Image, Properties, Request, RequestKey, RequestType, problems
from instance_bundle.state import Done, Record, Resource

_LATER = "99991231T235959Z"
"""`Record.sent` of a request that is still to come."""

ToInstance = Literal["", "shut down", "rebooted", "keeps running"]
"""What happens to the instance: EC2 shuts it down to bundle it, and reboots it to make an AMI
unless NoReboot says otherwise (EC2 API Reference, BundleInstance and CreateImage)."""
ToImage = Literal["", "changed", "another", "dropped"]
"""What an Update that makes no bundle does to the AMI.

- changed: its description and tags.
- another: another AMI is registered from the bundle; the earlier ones are kept until the Delete.
- dropped: it is no longer an attribute, and is kept until the Delete.
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A request that is still to come.

    Attributes:
        request_type: Create, Update or Delete.
        physical_id: the resource's ID so far; empty in a Create.
        properties: ResourceProperties.
        old_properties: OldResourceProperties; empty if it is no Update.
    """

    request_type: RequestType
    physical_id: str = ""
    properties: Mapping[str, Any] | None = None
    old_properties: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the function does with a request, if nothing else happens before.

    Attributes:
        properties: of the bundle that it makes; None if it makes none.
        instance: what happens to the instance.
        image: what an Update that makes no bundle does to the AMI.
        replaces: the bundle that CloudFormation deletes afterwards; None if there is none.
        stays: the bundle that an Update answers; None if there is none.
        removed: the bundles that a Delete removes, with their AMIs.
        kept: the bundles that a Delete retains.
        released: the bundles that are no longer managed from then on.
        problems: why it is FAILED; empty if nothing is known.
    """

    properties: Properties | None = None
    instance: ToInstance = ""
    image: ToImage = ""
    replaces: Bundle | None = None
    stays: Bundle | None = None
    removed: tuple[Bundle, ...] = ()
    kept: tuple[Bundle, ...] = ()
    released: tuple[Bundle, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def makes(self) -> bool:
        """Whether it makes a bundle."""
        return self.properties is not None


def forecast(planned: Planned, resource: Resource, stack_id: str, logical_id: str) -> Forecast:
    """What the function does with a request.

    Args:
        planned: the request, which CloudFormation sends in an operation that goes forward.
        resource: all that is known about its resource.
        stack_id: the stack's ID.
        logical_id: the resource's.
    """
    me = _record(planned, RequestKey(stack_id, logical_id, "planned"))
    if planned.request_type == "Delete":
        bundles = history.deleted_by(resource, me)
        removed = tuple(bundle for bundle in bundles if will_remove(me, bundle))
        kept = tuple(bundle for bundle in bundles if bundle not in removed)
        return Forecast(removed=removed, kept=kept)
    found = tuple(map(str, problems(planned.properties)))
    if found:
        return Forecast(problems=found)
    match next_step(me, resource, Seen(ended=True), now=0):
        case Do("update in place"):
            return _in_place(planned, history.held(resource, planned.physical_id))
        case Reply(Done() as answer):
            return Forecast(stays=history.held(resource, answer.physical_id))
        case Reply(answer):
            return Forecast(problems=(getattr(answer, "reason", ""),))
        case step:
            return _new(planned, me, resource, releases=step == Do("release"))


def _record(planned: Planned, key: RequestKey) -> Record:
    request = Request(
        planned.request_type,
        key,
        response_url="",
        physical_id=planned.physical_id,
        properties=planned.properties or {},
        old_properties=planned.old_properties or {},
    )
    return Record(
        request,
        key,
        planned.request_type,
        planned.physical_id,
        sent=_LATER,
        is_dated=True,
        first_receipt=0,
        deadline=1,
        generation=0,
        lease_until=0,
        begun=0,
        confirmed=(Meaning.FORWARD if planned.request_type == "Update" else Meaning.GENUINE).value,
    )


def _new(planned: Planned, me: Record, resource: Resource, *, releases: bool) -> Forecast:
    properties = Properties.parse(planned.properties or {})
    asked = properties.identity
    return Forecast(
        properties=properties,
        instance=_to_instance(properties),
        replaces=history.held(resource, me.physical_id),
        released=tuple(
            bundle
            for bundle in resource.bundles
            if releases and (planned.request_type == "Create" or bundle.identity == asked)
        ),
    )


def _to_instance(properties: Properties) -> ToInstance:
    if properties.dry_run:
        return ""
    if properties.method == "BundleInstance":
        return "shut down"
    image = properties.image
    return "keeps running" if image is not None and image.no_reboot else "rebooted"


def _in_place(planned: Planned, bundle: Bundle | None) -> Forecast:
    properties = Properties.parse(planned.properties or {})
    old = Image.parse((planned.old_properties or {}).get("Image"))
    is_dry_run = bundle is not None and bundle.is_dry_run
    if is_dry_run or properties.image == old:
        return Forecast(stays=bundle)
    return Forecast(stays=bundle, image=_to_image(properties, old or Image()))


def _to_image(properties: Properties, old: Image) -> ToImage:
    new = properties.image
    if properties.method == "StoreImage":
        now = new or Image()
        same = (old.description, old.tags) == (now.description, now.tags)
        return "" if same else "changed"
    if new is None:
        return "dropped"
    same = new.name is not None and (new.name, new.architecture) == (old.name, old.architecture)
    return "changed" if same else "another"
