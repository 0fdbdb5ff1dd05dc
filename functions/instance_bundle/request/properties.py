"""The properties of `Custom::InstanceBundle`: read, checked, and converted to a frozen value.

`properties.schema.json` defines what is allowed, except that a tag's key is given once, which JSON
Schema can't say. It is read here at run time, docs/reference.md is generated from it, and template
authors can lint against it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from instance_bundle.errors import Problem
from instance_bundle.request import upload_policy
from instance_bundle.request.formats import FORMATS
from instance_bundle.request.upload_policy import UploadPolicy

if TYPE_CHECKING:
    from fastjsonschema import JsonSchemaValueException

SCHEMA_FILE = Path(__file__).with_name("properties.schema.json")
DEFAULT_SERVICE_TIMEOUT = 3600
"""Seconds, where `ServiceTimeout` is absent (AWS::CloudFormation::CustomResource reference)."""
DEFAULT_COMPLETION_TIMEOUT = 43200
"""Seconds, where `CompletionTimeout` is absent: as long as a wait condition can wait
(AWS::CloudFormation::WaitCondition reference)."""

_DOCUMENTATION = ("description", "updateRequires")
"""The schema's keywords that check nothing: left out, compiling it takes a quarter less."""
_POLICY_MEMBERS = ("AWSAccessKeyId", "UploadPolicy", "UploadPolicySignature")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a bundle is: in objects `<prefix>.manifest.xml` and `<prefix>.part.<n>`."""

    bucket: str
    prefix: str

    @property
    def s3_uri(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def manifest_key(self) -> str:
        """The key of the manifest, which EC2 writes last."""
        return f"{self.prefix}.manifest.xml"

    @property
    def part_prefix(self) -> str:
        """What the keys of the parts begin with; digits follow, and nothing else."""
        return f"{self.prefix}.part."

    def is_part(self, key: str) -> bool:
        """Whether a key is exactly `<prefix>.part.<digits>`."""
        return re.fullmatch(re.escape(self.part_prefix) + "[0-9]+", key) is not None


MethodName = Literal["BundleInstance", "StoreImage"]
Architecture = Literal["i386", "x86_64", "arm64"]


@dataclass(frozen=True, slots=True)
class Target:
    """What distinguishes a request's work from other work.

    Attributes:
        method: how the image is made.
        request_id: the request that asks for it.
        instance_id: the instance.
        location: where the image is stored; with StoreImage EC2 names the object, and the prefix
            only identifies the request.
    """

    method: MethodName
    request_id: str
    instance_id: str
    location: Location

    @property
    def prefix(self) -> str:
        """What the keys begin with; empty where EC2 names the object itself."""
        return self.location.prefix if self.method == "BundleInstance" else ""


@dataclass(frozen=True, slots=True)
class Image:
    """The AMI that is asked for.

    Attributes:
        name: as given, or None if one is to be generated.
        description: empty where there is none.
        architecture: as given, or None for the manifest's.
        no_reboot: the instance keeps running while the image is made.
        tags: of the image and its snapshots.
        object_tags: of the object that the image is stored as.
    """

    name: str | None = None
    description: str = ""
    architecture: Architecture | None = None
    no_reboot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    object_tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any) -> "Image | None":
        """Read the property, which is valid or absent; None if it is absent."""
        if not isinstance(given, Mapping):
            return None
        return cls(
            name=given.get("Name"),
            description=given.get("Description", ""),
            architecture=given.get("Architecture"),
            no_reboot=given.get("NoReboot") in (True, "true"),
            tags={tag["Key"]: tag["Value"] for tag in given.get("Tags", [])},
            object_tags={tag["Key"]: tag["Value"] for tag in given.get("ObjectTags", [])},
        )


@dataclass(frozen=True, slots=True)
class Properties:
    """ResourceProperties, valid.

    Attributes:
        method: how the image is made.
        instance_id: the instance to bundle.
        bucket: the bucket to store the bundle in.
        prefix: as given, or None if one is to be generated.
        upload_policy: as given, or None.
        upload_credentials: ARN of the secret that signs an upload policy, or None.
        image: the AMI, or None if none is described.
        dry_run: only ask EC2 whether the request would be allowed.
    """

    method: MethodName
    instance_id: str
    bucket: str
    prefix: str | None
    upload_policy: UploadPolicy | None
    upload_credentials: str | None
    image: Image | None
    dry_run: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "Properties":
        """Read ResourceProperties that have no `problems`, such as those of an admitted request."""
        s3 = raw["Storage"]["S3"]
        return cls(
            method=raw.get("Method", "BundleInstance"),
            instance_id=raw["InstanceId"],
            bucket=s3["Bucket"],
            prefix=s3.get("Prefix"),
            upload_policy=UploadPolicy(
                s3["AWSAccessKeyId"],
                upload_policy.read_document(s3["UploadPolicy"]),
                s3["UploadPolicySignature"],
            )
            if "UploadPolicy" in s3
            else None,
            upload_credentials=raw.get("UploadCredentials"),
            image=Image.parse(raw.get("Image")),
            dry_run=raw.get("DryRun") in (True, "true"),
        )

    @property
    def identity(self) -> str:
        """What identifies the bundle, as one text: if it changes, the bundle is replaced."""
        names = [self.method, self.instance_id, self.bucket, self.dry_run]
        if self.method == "StoreImage":
            image = self.image or Image()
            return json.dumps([*names, image.name, image.no_reboot])
        return json.dumps([*names, self.prefix])


def problems(raw: Any) -> list[Problem]:
    """Every problem of ResourceProperties by themselves, in the order of their paths.

    One invocation asks about the same properties several times, and they are checked once.
    """
    return list(_checked(json.dumps(raw, sort_keys=True)))


def service_timeout(raw: Any) -> int:
    """Seconds that CloudFormation waits for the answer, read from ResourceProperties of any shape.

    An unreadable value counts as absent: CloudFormation has refused it, or uses the default.
    """
    return _seconds(raw, "ServiceTimeout", DEFAULT_SERVICE_TIMEOUT)


def completion_timeout(raw: Any) -> int:
    """Seconds that the work may take with a handle, read from ResourceProperties of any shape."""
    return _seconds(raw, "CompletionTimeout", DEFAULT_COMPLETION_TIMEOUT)


def completion_handle(raw: Any) -> str | None:
    """The URL of the handle in ResourceProperties of any shape; None where there is none."""
    value = raw.get("CompletionHandle") if isinstance(raw, Mapping) else None
    return value if isinstance(value, str) and value else None


def on_delete(raw: Any) -> str:
    """What ResourceProperties of any shape say by `OnDelete`: `Retain`, where nothing."""
    said = raw.get("OnDelete") if isinstance(raw, Mapping) else None
    return said if said in ("Delete", "RetainExceptOnCreate") else "Retain"


def removes_on_delete(raw: Any) -> bool:
    """Whether objects may have to be removed, by ResourceProperties of any shape."""
    return on_delete(raw) != "Retain"


def _seconds(raw: Any, name: str, longest: int) -> int:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    if isinstance(value, int | str) and re.fullmatch(r"[0-9]{1,9}", str(value)):
        return min(max(int(value), 1), longest)
    return longest


@lru_cache(maxsize=4)
def _checked(text: str) -> tuple[Problem, ...]:
    """The problems of properties, given as JSON."""
    # Imported here, since Deletes and polls check nothing.
    import fastjsonschema

    raw = json.loads(text)
    problems = set(_repeated_keys(raw))
    try:
        _validator()(raw)
    except fastjsonschema.JsonSchemaValuesException as found:
        problems |= {problem for error in found.errors for problem in _explain(error)}
    return tuple(sorted(problems, key=lambda problem: (problem.path, problem.message)))


def _repeated_keys(raw: Any) -> Iterator[Problem]:
    """The keys of tags that are given twice, in properties of any shape; upper and lower case are
    two keys (EC2 API Reference, Tag)."""
    image = raw.get("Image") if isinstance(raw, Mapping) else None
    for name in ("Tags", "ObjectTags"):
        tags = image.get(name) if isinstance(image, Mapping) else None
        keys = [
            tag.get("Key") if isinstance(tag, Mapping) else None
            for tag in (tags if isinstance(tags, list) else [])
        ]
        for index, key in enumerate(keys):
            if isinstance(key, str) and key in keys[:index]:
                why = f"{_shown(key)} is the key of an earlier tag; give each key once"
                yield Problem(f"Image.{name}[{index}].Key", why)


def _explain(error: "JsonSchemaValueException") -> Iterator[Problem]:
    """The problems, each at its own path, that one violation of the schema means."""
    path = (error.name or "").removeprefix("data").removeprefix(".")
    value, rule, definition = error.value, error.rule, error.definition
    if rule == "required":
        for name in definition["required"]:
            if name not in value:
                yield Problem(_join(path, name), "is required")
    elif rule == "additionalProperties":
        allowed = definition["properties"]
        for name in value:
            if name not in allowed:
                known = ", ".join(sorted(allowed))
                yield Problem(_join(path, name), f"is not a property here; there are {known}")
    elif rule == "dependencies":
        missing = re.search(r"missing dependency (\w+) for (\w+)$", error.message)
        if missing and missing[2] not in _POLICY_MEMBERS:
            yield Problem(_join(path, missing[1]), f"is required with {missing[2]}")
        elif missing and missing[2] == next(name for name in _POLICY_MEMBERS if name in value):
            yield Problem(
                _join(path, missing[1]),
                "is required with the other members of an upload policy; give "
                f"{', '.join(_POLICY_MEMBERS)}, or none of them",
            )
    else:
        message = definition.get("errorMessage", "must be an object")
        shown = "" if definition.get("writeOnly") else f"{_shown(value)} "
        yield Problem(path or "ResourceProperties", f"{shown}{message}")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        # A value in the wrong place may be secret.
        return "an object" if isinstance(value, Mapping) else "a list"
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def _join(path: str, name: str) -> str:
    shown = name if re.fullmatch(r"[\w-]{1,80}", name) else _shown(name)
    return f"{path}.{shown}" if path else shown


@cache
def _validator() -> Any:
    """A validator that reports all problems."""
    import fastjsonschema

    return fastjsonschema.compile(
        json.loads(SCHEMA_FILE.read_text(encoding="utf-8"), object_hook=_rules),
        formats=FORMATS,
        fast_fail=False,
    )


def _rules(definition: dict[str, Any]) -> dict[str, Any]:
    return {name: rule for name, rule in definition.items() if name not in _DOCUMENTATION}
