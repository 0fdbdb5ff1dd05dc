"""Dynamic references to secure strings and to secrets: ``{{resolve:ssm-secure:…}}`` and
``{{resolve:secretsmanager:…}}``, in the properties of AWS's own types.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm-secure-strings.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html
"CloudFormation never stores the actual secure string value. Instead, it only stores the literal
dynamic reference": the value is read when the resource is created or updated, so that it may be
that of a secret of the same stack, and another value alone is no update.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from moto.secretsmanager.exceptions import SecretsManagerClientError
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.providers import Failed, Finished, Made, Order
from sandbox.cloudformation.resources import ModelledResources

_SECURE = re.compile(r"\{\{resolve:ssm-secure:([^{}]+)\}\}")
_SECRET = re.compile(r"\{\{resolve:secretsmanager:([^{}]+)\}\}")
_ARN_PARTS = 7  # arn:aws:secretsmanager:<region>:<account>:secret:<name>

_SUPPORTED = {
    ("AWS::DirectoryService::MicrosoftAD", "Password"),
    ("AWS::DirectoryService::SimpleAD", "Password"),
    ("AWS::ElastiCache::ReplicationGroup", "AuthToken"),
    ("AWS::IAM::User", "LoginProfile/Password"),
    ("AWS::KinesisFirehose::DeliveryStream", "RedshiftDestinationConfiguration/Password"),
    ("AWS::OpsWorks::App", "AppSource/Password"),
    ("AWS::OpsWorks::Stack", "CustomCookbooksSource/Password"),
    ("AWS::OpsWorks::Stack", "RdsDbInstances"),
    ("AWS::RDS::DBCluster", "MasterUserPassword"),
    ("AWS::RDS::DBInstance", "MasterUserPassword"),
    ("AWS::Redshift::Cluster", "MasterUserPassword"),
}
"""Where secure strings are supported: types, and paths of properties."""


def check(resources: Mapping[str, Any]) -> None:
    """Raises ValidationError for references to secure strings where they are not supported.

    resources: as a template's sketch has them. Its words, and how a path ends at a list:
    https://github.com/aws/serverless-application-model/issues/1528,
    https://github.com/aws/aws-cdk/issues/4664.
    """
    wrong = [
        f"{resource['Type']}/Properties/{path}"
        for resource in resources.values()
        if resource.get("Type", "").startswith("AWS::")
        for path in _paths(resource["Properties"])
        if (resource["Type"], path) not in _SUPPORTED
    ]
    if wrong:
        raise invalid(f"SSM Secure reference is not supported in: [{','.join(wrong)}]")


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Where references to secure strings are."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, f"{path}/{name}" if path else name)
    elif _SECURE.search(json.dumps(value)):
        yield path


class Revealing:
    """The resources that moto has models of, which get the values behind these references."""

    def __init__(self, modelled: ModelledResources) -> None:
        self._modelled = modelled

    def create(self, order: Order) -> Finished:
        try:
            revealed = _revealed(order)
        except _Unreadable as problem:
            return Finished(Failed(str(problem)))
        return _of(order, self._modelled.create(revealed))

    def update(self, order: Order, made: Made) -> Finished:
        try:
            revealed = _revealed(order)
        except _Unreadable as problem:
            return Finished(Failed(str(problem), untouched=True))
        return _of(order, self._modelled.update(revealed, made))

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Finished:
        return self._modelled.delete(order, physical_id, made)


class _Unreadable(Exception):
    """A secret that there is no value of."""


def _of(order: Order, work: Finished) -> Finished:
    """The work, as what was ordered with the references as they are."""
    result = work.result
    return Finished(replace(result, order=order)) if isinstance(result, Made) else work


def _revealed(order: Order) -> Order:
    found = _replaced(order.properties, order)
    return order if found == order.properties else replace(order, properties=found)


def _replaced(value: Any, order: Order) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, order) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, order) for item in value]
    if not isinstance(value, str) or "{{resolve:" not in value:
        return value
    found = _SECURE.sub(lambda match: _secure_string(match[1], order), value)
    return _SECRET.sub(lambda match: _secret(match[1], order), found)


def _secure_string(key: str, order: Order) -> str:
    parameter = ssm_backends[order.account][order.region].get_parameter(key)
    if parameter is None:
        raise _Unreadable(f"Parameters: [ssm-secure:{key}] cannot be found.")
    value: str = parameter.response_object(decrypt=True)["Value"]
    return value


def _secret(key: str, order: Order) -> str:
    """The value that a reference names: ``secret-id:SecretString:json-key:stage:version``."""
    parts = key.split(":")
    named = _ARN_PARTS if key.startswith("arn:") else 1
    secret_id, rest = ":".join(parts[:named]), [*parts[named:], "", "", "", ""]
    kind, json_key, stage, version = rest[:4]
    if kind not in ("", "SecretString"):
        raise _Unreadable(f"Invalid secret reference: {kind} is not SecretString")
    secrets = secretsmanager_backends[order.account][order.region]
    try:
        found = secrets.get_secret_value(secret_id, version or None, stage or None)  # type: ignore[arg-type]
    except SecretsManagerClientError as problem:
        raise _Unreadable(
            f"{problem.message} (Service: AWSSecretsManager; Status Code: 400; Error Code: "
            f"{problem.error_type})"
        ) from problem
    whole: str = found.get("SecretString", "")
    return _member(whole, json_key) if json_key else whole


def _member(secret: str, key: str) -> str:
    try:
        members = json.loads(secret)
    except ValueError:
        members = None
    if not isinstance(members, dict) or key not in members:
        raise _Unreadable("Could not find a value associated with JSONKey in SecretString")
    return text(members[key])
