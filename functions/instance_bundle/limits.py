"""What whoever deployed the application lets its stacks do with its rights."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


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
    """The template's parameters that bound what a stack may ask for.

    Attributes:
        buckets: patterns of the buckets that bundles may go to; with none, to any.
        instance_tag: what an instance must carry to be bundled; None where any may be.
        upload_secrets: patterns of the ARNs of secrets that may sign upload policies; with none,
            `UploadCredentials` is off.
        deletes_objects: the function may remove bundles' objects.
        makes_images: the function may make AMIs, and store them.
        response_origin: `scheme://host:port` that answers and signals may go to beside
            CloudFormation's buckets; the template never sets it, a sandbox does.
    """

    buckets: tuple[str, ...] = ()
    instance_tag: Tag | None = None
    upload_secrets: tuple[str, ...] = ()
    deletes_objects: bool = True
    makes_images: bool = True
    response_origin: str | None = None

    def allow_bucket(self, name: str) -> bool:
        """Whether bundles may go to a bucket."""
        return not self.buckets or _matches(name, self.buckets)

    def allow_secret(self, arn: str) -> bool:
        """Whether a secret may sign upload policies."""
        return _matches(arn, self.upload_secrets)


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(_expression(pattern), text, re.DOTALL) for pattern in patterns)


def _expression(pattern: str) -> str:
    """As IAM reads a pattern: `*` is any text and `?` any character (IAM User Guide, Resource)."""
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
