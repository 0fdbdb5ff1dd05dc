"""The resources of Amazon EC2 that calls are about, with the condition keys that count for them.

Service Authorization Reference, Actions, resources, and condition keys for Amazon EC2
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html). What is
being created has no ID yet: its ARN ends in `/*`, as in public reports of refusals
(https://github.com/kubernetes-sigs/karpenter/issues/2813).

What is not there is not asked for: EC2 says that it is not there. AWS does not document that. Under
policies that demand tags of resources EC2 was seen to answer so
(https://github.com/aws/karpenter-provider-aws/issues/7941).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE

from sandbox.authorization import others
from sandbox.authorization.call import Call
from sandbox.authorization.demand import Context, Target
from sandbox.ec2.image import snapshot_ids

_OF_NO_ACCOUNT = {"image", "snapshot"}
"""The kinds whose ARNs name no account."""


def anything(call: Call) -> Iterator[Target]:
    """What an action without resource types is allowed on."""
    yield Target(context=_region(call))


def image(call: Call) -> Iterator[Target]:
    """The image that the call is about."""
    yield from _there(call, call.parameters.get("ImageId", ""))


def snapshot(call: Call) -> Iterator[Target]:
    """The snapshot that the call is about."""
    yield from _there(call, call.parameters.get("SnapshotId", ""))


def snapshots_deleted_with_image(call: Call) -> Iterator[Target]:
    """The image's snapshots, where they are to be deleted as it is deregistered."""
    if call.parameters.get("DeleteAssociatedSnapshots") == "true":
        of_image = _backend(call).amis.get(call.parameters.get("ImageId", ""))
        for snapshot_id in snapshot_ids(of_image) if of_image else ():
            yield from _there(call, snapshot_id)


def snapshots_of_image(call: Call) -> Iterator[Target]:
    """The snapshots that the image is made of, as Amazon EBS asks for them: by fewer condition keys
    than EC2."""
    of_image = _backend(call).amis.get(call.parameters.get("ImageId", ""))
    for snapshot_id in snapshot_ids(of_image) if of_image else ():
        for there in _there(call, snapshot_id):
            tags = ((key, tag) for key, tag in there.context if key.startswith("aws:ResourceTag/"))
            yield Target(there.arn, tuple(tags))


def keys_of_image(call: Call) -> Iterator[Target]:
    """The customer's keys that the image's snapshots are encrypted by."""
    of_image = _backend(call).amis.get(call.parameters.get("ImageId", ""))
    snapshots = _backend(call).snapshots
    ids = snapshot_ids(of_image) if of_image else []
    for key_id in sorted({snapshots[id_].kms_key_id or "" for id_ in ids if id_ in snapshots}):
        yield from others.key(call, key_id, awss_own="alias/aws/ebs")


def tagged(call: Call) -> Iterator[Target]:
    """What tags are put on, or taken from."""
    tags = _tags(call, "Tag")
    for resource_id in call.numbered("ResourceId"):
        for there in _there(call, resource_id):
            yield Target(there.arn, (*there.context, *_asked(tags)))


def new_image(call: Call) -> Iterator[Target]:
    """The image that is made."""
    yield _new(call, "image", _specified(call).get("image", {}))


def new_snapshots(call: Call) -> Iterator[Target]:
    """The snapshots that are made."""
    yield Target(_arn(call, "snapshot", "*"))


def restored_tags(call: Call) -> Iterator[Target]:
    """What gets the tags that were stored with an image, and those of the request: the image and
    its snapshots. No page names the condition keys of this."""
    specified = _specified(call)
    for kind in ("image", "snapshot"):
        yield _new(call, kind, specified.get(kind, {}))


def image_from_instance(call: Call) -> Iterator[Target]:
    """The instance, the image that is made of it, and the snapshots that this is made of."""
    yield from _there(call, call.parameters.get("InstanceId", ""))
    yield from new_image(call)
    yield _new(call, "snapshot", _specified(call).get("snapshot", {}))


def tagged_at_creation(call: Call) -> Iterator[Target]:
    """What is tagged as it is made (Amazon EC2 User Guide, Grant permission to tag Amazon EC2
    resources during creation)."""
    for kind, tags in _specified(call).items():
        new = _new(call, kind, tags)
        yield Target(new.arn, (*new.context, ("ec2:CreateAction", call.action)))


def _backend(call: Call) -> EC2Backend:
    return ec2_backends[call.account][call.region]


def _region(call: Call) -> Context:
    return (("ec2:Region", call.region),)


def _arn(call: Call, kind: str, resource_id: str) -> str:
    account = "" if kind in _OF_NO_ACCOUNT else call.account
    return f"arn:aws:ec2:{call.region}:{account}:{kind}/{resource_id}"


def _there(call: Call, resource_id: str) -> Iterator[Target]:
    """A resource, if it exists; for types that the calls in `needs` do not use, that is assumed."""
    backend = _backend(call)
    kind = EC2_PREFIX_TO_RESOURCE.get(resource_id.partition("-")[0], "*")
    there: Container[str] | None = {
        "image": backend.amis,
        "instance": [instance.id for instance in backend.all_instances()],
        "snapshot": backend.snapshots,
    }.get(kind)
    if there is None or resource_id in there:
        tags: Mapping[str, str] = backend.tags.get(resource_id, {})
        prefixes = ("aws:ResourceTag", "ec2:ResourceTag")
        of_resource = [(f"{p}/{key}", value) for p in prefixes for key, value in dict(tags).items()]
        yield Target(_arn(call, kind, resource_id), (*_region(call), *of_resource))


def _new(call: Call, kind: str, tags: Mapping[str, str]) -> Target:
    return Target(_arn(call, kind, "*"), (*_region(call), *_asked(tags)))


def _asked(tags: Mapping[str, str]) -> Context:
    """The condition keys of tags that the request names."""
    if not tags:
        return ()
    each = ((f"aws:RequestTag/{key}", value) for key, value in tags.items())
    return (*each, ("aws:TagKeys", tuple(tags)))


def _tags(call: Call, name: str) -> dict[str, str]:
    """A list of tags in the query protocol."""
    tags: dict[str, str] = {}
    number = 1
    while (key := call.parameters.get(f"{name}.{number}.Key")) is not None:
        tags[key] = call.parameters.get(f"{name}.{number}.Value", "")
        number += 1
    return tags


def _specified(call: Call) -> dict[str, dict[str, str]]:
    """The tags of TagSpecifications, by the kind of resource."""
    specified: dict[str, dict[str, str]] = {}
    number = 1
    while (kind := call.parameters.get(f"TagSpecification.{number}.ResourceType")) is not None:
        specified[kind] = _tags(call, f"TagSpecification.{number}.Tag")
        number += 1
    return specified
