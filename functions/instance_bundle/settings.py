"""The function's environment variables, read once: the names of its resources, and what stacks may
do with the function's permissions."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of an instance."""

    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Tag | None":
        """Read `key=value`; None of an empty text."""
        key, _, value = text.partition("=")
        return cls(key, value) if text else None

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The template's parameters that limit what a stack may ask for.

    Attributes:
        buckets: patterns of the buckets that bundles may go to; with none, to any.
        instance_tag: the tag that an instance must have to be bundled; None where any may be.
        upload_secrets: patterns of the ARNs of secrets that may sign upload policies; with none,
            `UploadCredentials` is off.
        deletes_objects: the function may remove bundles' objects.
        deletes_versions: where a bucket has versions, it may remove those of bundles.
        makes_images: the function may make AMIs, and store them.
        response_origin: `scheme://host:port` that answers and signals may go to, in addition to
            CloudFormation's buckets; the template never sets it, a sandbox does.
    """

    buckets: tuple[str, ...] = ()
    instance_tag: Tag | None = None
    upload_secrets: tuple[str, ...] = ()
    deletes_objects: bool = True
    deletes_versions: bool = False
    makes_images: bool = True
    response_origin: str | None = None

    def allow_bucket(self, name: str) -> bool:
        """Whether bundles may go to a bucket."""
        return not self.buckets or _matches(name, self.buckets)

    def allow_secret(self, arn: str) -> bool:
        """Whether a secret may sign upload policies."""
        return _matches(arn, self.upload_secrets)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` sets in the function's environment.

    Attributes:
        ledger_table: name of the DynamoDB table of the ledger.
        request_table: name of the DynamoDB table of the requests' texts.
        poll_queue_url: URL of the SQS queue that carries the polls.
        limits: what stacks may ask for.
        event_bus: name or ARN of the EventBridge bus that receives the events about bundles;
            empty for none.
        verify_requests: requests are those of stacks in the function's account and Region, and
            CloudFormation is asked to confirm one before a step that does harm; off only for events
            that are made by hand.
        event_queue_arn: ARN of the SQS queue that carries events of EC2's and S3's; empty in the
            failure handler.
    """

    ledger_table: str
    request_table: str
    poll_queue_url: str
    limits: Limits
    event_bus: str
    verify_requests: bool = True
    event_queue_arn: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls AWS, as far as the environment says.

    Attributes:
        function: its name.
        role: the name of its role.
        installation: the name of the application's stack.
    """

    function: str
    role: str
    installation: str

    def __str__(self) -> str:
        of = f" {self.function}" if self.function else ""
        at = f" (application {self.installation})" if self.installation else ""
        return f"the role{self.role and f' {self.role}'} of the function{of}{at}"


@cache
def identity() -> Identity:
    """The identity of this process."""
    return Identity(
        function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        role=os.environ.get("ROLE", ""),
        installation=os.environ.get("INSTALLATION", ""),
    )


def is_paused() -> bool:
    """Whether the application is paused, for an incident: it makes nothing and removes nothing."""
    return os.environ.get("PAUSED") == "true"


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        KeyError: a variable of the template is missing.
        ValueError: a list of allowed buckets is given, and names none: no list would mean all.
    """
    buckets = _list("ALLOWED_BUCKETS")
    if not buckets and os.environ.get("ALLOWED_BUCKETS"):
        raise ValueError(
            "ALLOWED_BUCKETS is not empty, but names no bucket; correct the application's "
            "parameter AllowedBuckets, and deploy the application again"
        )
    return Settings(
        ledger_table=os.environ["LEDGER_TABLE"],
        request_table=os.environ["REQUEST_TABLE"],
        poll_queue_url=os.environ["POLL_QUEUE_URL"],
        limits=Limits(
            buckets=buckets,
            instance_tag=Tag.parse(os.environ.get("ALLOWED_INSTANCE_TAG", "")),
            upload_secrets=_list("UPLOAD_SECRET_ARNS"),
            deletes_objects=os.environ.get("ALLOW_OBJECT_DELETION", "true") == "true",
            deletes_versions=os.environ.get("ALLOW_VERSION_DELETION") == "true",
            makes_images=os.environ.get("ALLOW_IMAGES", "true") == "true",
            response_origin=os.environ.get("SANDBOX_RESPONSE_ORIGIN"),
        ),
        event_bus=os.environ.get("EVENT_BUS", ""),
        verify_requests=os.environ.get("VERIFY_REQUESTS", "true") != "false",
        event_queue_arn=os.environ.get("EVENT_QUEUE_ARN", ""),
    )


def _list(variable: str) -> tuple[str, ...]:
    """The members of a list that the template joins by commas."""
    members = (member.strip() for member in os.environ.get(variable, "").split(","))
    return tuple(member for member in members if member)


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(_expression(pattern), text, re.DOTALL) for pattern in patterns)


def _expression(pattern: str) -> str:
    """As IAM reads a pattern: `*` is any text and `?` any character (IAM User Guide, Resource)."""
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
