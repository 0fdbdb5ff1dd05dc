"""The bucket owner's access key, which signs upload policies, in AWS Secrets Manager."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instance_bundle import aws
from instance_bundle.errors import UnusableSecret

# As IAM's and AWS STS's APIs name them (IAM API Reference, AccessKey; AWS STS API Reference,
# Credentials).
_ID, _SECRET, _TOKEN = "AccessKeyId", "SecretAccessKey", "SessionToken"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived access key. It is used once and stored nowhere."""

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
    key_id, secret = _text(content, _ID), _text(content, _SECRET)
    if not key_id or not secret:
        missing = _SECRET if key_id else _ID
        raise UnusableSecret(secret_arn, f"it has no field {missing}")
    if content.get(_TOKEN) or key_id.startswith("ASIA"):
        raise UnusableSecret(
            secret_arn,
            "the access key is temporary, and an upload policy can't contain its session token; "
            "a long-lived access key is needed",
        )
    return AccessKey(key_id, secret)


def _text(content: Mapping[str, Any], name: str) -> str:
    """A field that is a text; empty where there is none."""
    value = content.get(name)
    return value.strip() if isinstance(value, str) else ""
