"""Upload policies, verified by the rules that Amazon S3 has for browsers' uploads with POST.

EC2 writes a bundle's objects with what the bucket's owner has signed: an S3 POST policy, under
Amazon S3's signature version 2
(https://docs.aws.amazon.com/AmazonS3/latest/API/HTTPPOSTForms.html). What S3 says of a policy that
it refuses is worded here as S3 words it.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ACL = "ec2-bundle-read"
"""The ACL that EC2 asks for each object of a bundle."""

_OPERATIONS = {"eq", "starts-with", "content-length-range"}
_EXPIRATION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class UploadRefused(Exception):
    """S3 does not take the object; the text is S3's message."""


@dataclass(frozen=True, slots=True)
class SignedPolicy:
    """An upload policy as a request gives it; what it does not give is None.

    Attributes:
        policy: its base64 text, as it was on the wire: that is what was signed.
        signature: base64 of the HMAC-SHA1 of that text.
    """

    access_key_id: str | None
    policy: str | None
    signature: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that is to be written.

    Attributes:
        size: in bytes.
    """

    bucket: str
    key: str
    size: int

    @property
    def fields(self) -> Mapping[str, str]:
        """The form's fields that the policy has to have conditions for.

        S3 counts the bucket, which is in the URL, among them: a policy that has no condition for it
        fails with "Extra input fields: bucket".
        """
        return {"bucket": self.bucket, "key": self.key, "acl": ACL}


def verify(
    signed: SignedPolicy, upload: Upload, secret_of: Callable[[str], str | None], now: float
) -> None:
    """Refuse an object that the policy does not allow to be written.

    Args:
        secret_of: the secret access key of an access key ID; None if S3 does not know it.
        now: epoch seconds.

    Raises:
        UploadRefused: by the first rule that is broken, in S3's order: the access key, the
            signature, the policy's form, its expiration, its conditions.
    """
    _check_signature(signed, secret_of)
    document = _document(signed.policy or "")
    if _expiration(document) <= now:
        raise UploadRefused("Invalid according to Policy: Policy expired.")
    covered = {_check(condition, upload) for condition in _conditions(document)}
    for name in upload.fields:
        if name not in covered:
            raise UploadRefused(f"Invalid according to Policy: Extra input fields: {name}")


def sign(policy: str, secret: str) -> str:
    """The signature of a policy, given as base64 text."""
    digest = hmac.digest(secret.encode(), policy.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def _check_signature(signed: SignedPolicy, secret_of: Callable[[str], str | None]) -> None:
    access_key_id = _given("AWSAccessKeyId", signed.access_key_id)
    policy = _given("Policy", signed.policy)
    signature = _given("Signature", signed.signature)
    secret = secret_of(access_key_id)
    if secret is None:
        raise UploadRefused("The AWS Access Key Id you provided does not exist in our records.")
    if not hmac.compare_digest(sign(policy, secret).encode(), signature.encode()):
        raise UploadRefused(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )


def _given(field: str, value: str | None) -> str:
    if not value:
        raise UploadRefused(
            f"Bucket POST must contain a field named '{field}'.  "
            "If it is specified, please check the order of the fields."
        )
    return value


def _document(policy: str) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(policy))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UploadRefused("Invalid Policy: Invalid JSON.")
    return document


def _expiration(document: dict[str, Any]) -> float:
    """Epoch seconds from which the policy is not valid any more."""
    if "expiration" not in document:
        raise UploadRefused("Invalid Policy: Policy missing expiration.")
    text = document["expiration"]
    try:
        if isinstance(text, str) and _EXPIRATION.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:  # a month 13, an hour 25
        pass
    raise UploadRefused(f"Invalid Policy: Invalid 'expiration' value: '{text}'")


def _conditions(document: dict[str, Any]) -> list[Any]:
    if "conditions" not in document:
        raise UploadRefused("Invalid Policy: Policy missing conditions.")
    conditions = document["conditions"]
    if not isinstance(conditions, list):
        raise UploadRefused("Invalid Policy: Invalid 'conditions' value: must be a List.")
    return conditions


def _check(condition: Any, upload: Upload) -> str | None:
    """Refuse an upload that does not meet a condition.

    Returns:
        The form's field that the condition is about; None if it is about the size.
    """
    # S3 takes operations and the names of fields in any case, and values as they are.
    match _spelt_out(condition):
        case [str(operation), first, second] if operation.lower() == "content-length-range":
            _check_size(operation, first, second, upload.size)
            return None
        case [str(operation), field, wanted] if operation.lower() in {"eq", "starts-with"}:
            return _check_field(operation, field, wanted, upload)
        case [str(operation), *_] if operation.lower() in _OPERATIONS:
            raise UploadRefused(f"Invalid Policy: Invalid {operation}: wrong number of arguments.")
        case [str(operation), *_]:
            raise UploadRefused(
                f"Invalid Policy: Invalid Condition: unknown operation '{operation}'."
            )
        case []:
            raise UploadRefused("Invalid Policy: Invalid Condition: missing operation identifier.")
    raise UploadRefused("Invalid Policy: Invalid condition test: must be a List or Object.")


def _spelt_out(condition: Any) -> Any:
    """A condition as a list, also where it was given as `{name: value}`."""
    if not isinstance(condition, dict):
        return condition
    if len(condition) != 1:
        raise UploadRefused(
            "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one "
            "property specified."
        )
    [(name, value)] = condition.items()
    if not isinstance(value, str):
        raise UploadRefused("Invalid Policy: Invalid Simple-Condition: value must be a string.")
    return ["eq", f"${name}", value]


def _check_field(operation: str, field: Any, wanted: Any, upload: Upload) -> str:
    if not (isinstance(field, str) and field.startswith("$") and isinstance(wanted, str)):
        raise _failed(operation, field, wanted)
    name = field.removeprefix("$").lower()
    value = upload.fields.get(name, "")
    if not (value.startswith(wanted) if operation.lower() == "starts-with" else value == wanted):
        raise _failed(operation, field, wanted)
    return name


def _check_size(operation: str, least: Any, most: Any, size: int) -> None:
    if not all(re.fullmatch(r"[0-9]+", str(bound)) for bound in (least, most)):
        raise _failed(operation, least, most)
    if size < int(least):
        raise UploadRefused("Your proposed upload is smaller than the minimum allowed size")
    if size > int(most):
        raise UploadRefused("Your proposed upload exceeds the maximum allowed size")


def _failed(*condition: Any) -> UploadRefused:
    text = json.dumps(condition, ensure_ascii=False)
    return UploadRefused(f"Invalid according to Policy: Policy Condition failed: {text}")
