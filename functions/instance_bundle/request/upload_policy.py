"""The upload policy, which permits EC2 to write a bundle into a bucket on behalf of its owner.

It is an Amazon S3 POST policy with signature version 2 (Amazon S3 API Reference, Browser uploads,
Constructing a POST policy). The policy's base64 is what is signed and sent.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACL = "ec2-bundle-read"
"""The ACL of the objects that EC2 writes (Amazon S3 User Guide, Canned ACL)."""

_LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """A signed policy.

    Attributes:
        access_key_id: the key that signed.
        document: the policy itself, in the bytes that were signed after base64.
        signature: base64 of HMAC-SHA1(secret access key, base64(document)).
    """

    access_key_id: str
    document: bytes = field(repr=False)
    signature: str = field(repr=False)


def make(bucket: str, prefix: str, expires: float) -> bytes:
    """The document of a policy that allows one bundle at one location.

    Args:
        bucket: the bucket's name.
        prefix: what the keys begin with.
        expires: epoch seconds.
    """
    moment = datetime.fromtimestamp(expires, UTC)
    document = {
        "expiration": f"{moment:%Y-%m-%dT%H:%M:%S.000Z}",
        "conditions": [{"bucket": bucket}, {"acl": ACL}, ["starts-with", "$key", prefix]],
    }
    return json.dumps(document).encode()


def sign(document: bytes, secret_access_key: str) -> str:
    """The signature of a policy's document."""
    signed = hmac.new(secret_access_key.encode(), base64.b64encode(document), hashlib.sha1)
    return base64.b64encode(signed.digest()).decode()


def read_document(text: str) -> bytes:
    """The document that a property holds, as JSON or as its base64.

    Raises:
        ValueError: it is neither, or it is a base64 that differs from the one that would be sent,
            so that the signature would not match.
    """
    if text.lstrip().startswith("{"):
        return text.encode()
    try:
        document = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("neither JSON nor base64 in one line") from error
    if base64.b64encode(document).decode() != text:
        raise ValueError("not the base64 that would be sent")
    return document


def problems(document: bytes, bucket: str, prefix: str, ends: float) -> Iterator[str]:
    """Why a policy would not permit this bundle; the policy is a JSON object.

    Args:
        document: the policy.
        bucket: where the bundle is to go.
        prefix: what its keys begin with.
        ends: the latest end of the work, in epoch seconds.
    """
    policy: Mapping[str, Any] = json.loads(document)
    yield from _expiration_problems(policy.get("expiration"), ends)
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        yield "has no list of `conditions`"
        return
    form = {
        "bucket": (bucket, "Storage.S3.Bucket is"),
        "acl": (ACL, "EC2 writes with the ACL"),
        "key": (prefix, "the keys begin with"),
    }
    for name, (value, meaning) in form.items():
        found = [rule for rule in map(_rule, conditions) if rule and rule[1] == name]
        if not found:
            yield f"has no condition on `{name}`; {meaning} {_shown(value)}"
        elif not all(_lets_through(kind, wanted, name, value) for kind, _, wanted in found):
            yield f"has a condition on `{name}` that does not fit: {meaning} {_shown(value)}"


def _expiration_problems(expiration: Any, ends: float) -> Iterator[str]:
    try:
        expires = datetime.fromisoformat(expiration)
    except (TypeError, ValueError):
        yield "has no `expiration` that can be read, such as 2030-01-01T12:00:00.000Z"
        return
    if expires.replace(tzinfo=expires.tzinfo or UTC).timestamp() <= ends:
        last = datetime.fromtimestamp(ends, UTC)
        yield (
            f"expires before {last:%Y-%m-%dT%H:%M:%SZ}, and the work may last until then; sign "
            "one that is valid for longer, or shorten ServiceTimeout, or CompletionTimeout"
        )


def _rule(condition: Any) -> tuple[str, str, str] | None:
    """A condition as (`eq` or `starts-with`, field, value); None of any other condition."""
    match condition:
        case {**members} if len(members) == 1:
            [(name, value)] = members.items()
            return "eq", str(name).lower(), str(value)
        case [str(kind), str(name), value] if name.startswith("$"):
            return kind.lower(), name.removeprefix("$").lower(), str(value)
    return None


def _lets_through(kind: str, wanted: str, name: str, value: str) -> bool:
    if kind == "starts-with":
        return value.startswith(wanted)
    # A bundle has several keys, and none of them equals the prefix.
    return kind == "eq" and value == wanted and name != "key"


def _shown(value: str) -> str:
    return f"`{value}`" if len(value) <= _LONGEST_SHOWN else f"`{value[:_LONGEST_SHOWN]}…`"
