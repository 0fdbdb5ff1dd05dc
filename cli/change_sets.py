"""A change set, as CloudFormation describes it, without the secrets that templates may have."""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from cli.errors import NotFound, calling
from cli.installation import Account

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef

Action = Literal["Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual"]

_UNKNOWN = re.compile(r"\{\{changeSet:KNOWN_AFTER_APPLY\}\}|^\*+$")
"""What refers to new resources, or is a NoEcho parameter's."""
_SECRETS = ("AWSAccessKeyId", "UploadPolicy", "UploadPolicySignature")
_LEFT_OUT = ("CompletionHandle", "UploadCredentials", "ServiceTimeout", "CompletionTimeout")
"""Properties that decide nothing here, or are secret."""
_DECIDES = ("Method", "InstanceId", "Storage", "DryRun", "Image")
"""Properties on which it depends whether a bundle is made."""
_OTHERS = {"InstanceId": "i-0fffffffffffffff0", "DryRun": "false", "NoReboot": "false"}
_OTHER = "known-after-apply"
"""What stands for a value that is not known: valid, and most probably another one than before."""

Path = tuple[str | int, ...]
"""A property's path: names, and numbers in lists."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change set does to a resource.

    Attributes:
        logical_id: the resource's name in the template.
        action: CloudFormation's.
        type: of the resource.
        physical_id: empty if there is none yet.
        before: its properties; empty if it is new.
        after: its properties; empty if it is removed. What is not known yet is as before.
        otherwise: the same, if what is not known yet differs from before.
        unknown: the paths of what is not known yet.
        hidden: the paths of what is hidden before and after, and may change unseen.
        keeps: CloudFormation sends no Delete for what it removes or replaces, since a policy of the
            template retains it.
    """

    logical_id: str
    action: Action
    type: str
    physical_id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    otherwise: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set.

    Attributes:
        name: its name.
        stack_id: of its stack.
        stack: the stack's name.
        obstacle: why it can't be executed; empty if it can.
        changes: of all resources.
    """

    name: str
    stack_id: str
    stack: str
    obstacle: str
    changes: Sequence[Change]


def read(account: Account, stack: str, name: str) -> ChangeSet:
    """A change set.

    Args:
        account: where it is.
        stack: the stack's name or ID.
        name: the change set's name or ID.

    Raises:
        NotFound: there is no such change set, or stack.
        Refused: AWS refuses to describe it.
    """
    cloudformation = account.cloudformation()
    changes: list[Change] = []
    token: dict[str, Any] = {}
    with calling("cloudformation:DescribeChangeSet"):
        while True:
            try:
                page = cloudformation.describe_change_set(
                    StackName=stack, ChangeSetName=name, IncludePropertyValues=True, **token
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in ("ChangeSetNotFound", "ValidationError"):
                    raise NotFound(error.response["Error"]["Message"]) from error
                raise
            resources = [each["ResourceChange"] for each in page["Changes"]]
            changes += map(_change, resources)
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
    is_ready = page["ExecutionStatus"] == "AVAILABLE"
    why = page.get("StatusReason") or f"It is {page['ExecutionStatus']}."
    return ChangeSet(
        page["ChangeSetName"],
        page["StackId"],
        page["StackName"],
        "" if is_ready else why,
        changes,
    )


def shown(text: str) -> str:
    """A text for people, where what stands for unknown values is called that."""
    for other in (_OTHERS["InstanceId"], _OTHER):
        text = text.replace(other, "[known after apply]")
    return text


def _change(given: "ResourceChangeTypeDef") -> Change:
    contexts = (given.get(name) for name in ("BeforeContext", "AfterContext"))
    was, now = (json.loads(str(context)) if context else {} for context in contexts)
    before, after = _properties(was), _properties(now)
    unknown = [path for path, value in _leaves(after) if _is_unknown(value)]
    hidden = [path for path in unknown if path[0] in _DECIDES and _is_unknown(_at(before, path))]
    policy = "DeletionPolicy" if given["Action"] == "Remove" else "UpdateReplacePolicy"
    return Change(
        given["LogicalResourceId"],
        given["Action"],
        given["ResourceType"],
        given.get("PhysicalResourceId", ""),
        before,
        _filled(after, unknown, before),
        _filled(after, unknown, {}),
        unknown=tuple(map(_shown, unknown)),
        hidden=tuple(map(_shown, hidden)),
        # What a policy retains gets no Delete (AWS CloudFormation Template Reference,
        # DeletionPolicy and UpdateReplacePolicy).
        keeps=(now or was).get(policy, "Delete") != "Delete",
    )


def _properties(context: Mapping[str, Any]) -> dict[str, Any]:
    """The properties without those that decide nothing here, some of which are secret."""
    found: dict[str, Any] = copy.deepcopy(context.get("Properties", {}))
    s3 = found.get("Storage", {})
    s3 = s3.get("S3", {}) if isinstance(s3, dict) else {}
    for holder, names in ((found, _LEFT_OUT), (s3, _SECRETS)):
        for name in names:
            if isinstance(holder, dict):
                holder.pop(name, None)
    return found


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path, value


def _shown(path: Path) -> str:
    return ".".join(map(str, path))


def _is_unknown(value: Any) -> bool:
    return isinstance(value, str) and _UNKNOWN.search(value) is not None


def _filled(
    after: Mapping[str, Any], unknown: Sequence[Path], before: Mapping[str, Any]
) -> dict[str, Any]:
    """The properties, with what is not known as it was, or else as something that it was not."""
    filled = copy.deepcopy(dict(after))
    for path in unknown:
        holder: Any = filled
        for step in path[:-1]:
            holder = holder[step]
        was = _at(before, path)
        holder[path[-1]] = _other(path) if was is None or _is_unknown(was) else was
    return filled


def _at(properties: Any, path: Path) -> Any:
    for step in path:
        try:
            properties = properties[step]
        except (KeyError, IndexError, TypeError):
            return None
    return properties


def _other(path: Path) -> str:
    return _OTHERS.get(str(path[-1]), _OTHER)
