"""The bucket owner's access key, which signs upload policies, in AWS Secrets Manager."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instance_bundle import aws
from instance_bundle.errors import UnusableSecret

# Names that the API, the console, credential files and common tools give the two fields, reduced to
# their letters and without a leading "aws": AccessKeyId, "Access key ID", AWS_ACCESS_KEY_ID,
# aws_secret_access_key, AWSSecretKey, access_key, …
_ID_NAMES = {"accesskeyid", "accesskey"}
_SECRET_NAMES = {"secretaccesskey", "secretkey"}
_TOKEN_NAMES = {"sessiontoken", "securitytoken", "token"}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived access key. It is used and forgotten: nothing keeps it."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def read(secret_arn: str) -> AccessKey:
    """Read the key from a secret, now.

    Args:
        secret_arn: the secret's ARN.

    Raises:
        UnusableSecret: the secret holds no long-lived access key.
        PassingFault: no answer.
        Denied: Secrets Manager refuses it.
    """
    # Imported here, since few requests read a secret.
    from aws_lambda_powertools.utilities.parameters import SecretsProvider
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    provider = SecretsProvider(boto3_client=aws.secretsmanager())
    with aws.calling("secretsmanager:GetSecretValue"):
        try:
            value = provider.get(secret_arn, max_age=0, force_fetch=True)
        except GetParameterError as error:
            # Powertools keeps of the client's error only its text.
            raise error.__context__ or error from None
    return _parse(value, secret_arn)


def _parse(value: Any, secret_arn: str) -> AccessKey:
    try:
        content = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        raise UnusableSecret(secret_arn, "it is no JSON object") from None
    if not isinstance(content, Mapping):
        raise UnusableSecret(secret_arn, "it is no JSON object")
    fields = _fields(content)
    key_id, secret = _one_of(fields, _ID_NAMES), _one_of(fields, _SECRET_NAMES)
    if not key_id or not secret:
        missing = "AccessKeyId" if not key_id else "SecretAccessKey"
        raise UnusableSecret(secret_arn, f"it has no field {missing}")
    if _one_of(fields, _TOKEN_NAMES) or key_id.startswith("ASIA"):
        raise UnusableSecret(
            secret_arn,
            "the access key is a temporary one, and an upload policy has no place for its "
            "session token; a long-lived access key is needed",
        )
    return AccessKey(key_id, secret)


def _fields(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields by their reduced names; CreateAccessKey's answer has them one level deeper."""
    inner = content.get("AccessKey")
    fields = inner if isinstance(inner, Mapping) else content
    return {_reduced(name): value for name, value in fields.items()}


def _reduced(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower()).removeprefix("aws")


def _one_of(fields: Mapping[str, Any], names: set[str]) -> str:
    """The first field of these names that is a text; empty where there is none."""
    found = (fields[name] for name in fields if name in names)
    return next((value.strip() for value in found if isinstance(value, str)), "")
