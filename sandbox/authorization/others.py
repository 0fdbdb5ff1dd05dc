"""The tables, queues, stacks, secrets, buses, rules, functions, roles, logs and keys of calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import Queue, sqs_backends

from sandbox.authorization.call import Call
from sandbox.authorization.demand import Target
from sandbox.upstream import message_keys, table_keys

_NAMES_OF_TABLES = ("TableName", "TableArn", "SourceTableName", "SourceTableArn")


def anything(call: Call) -> Iterator[Target]:  # noqa: ARG001  one of several
    """All there is."""
    yield Target()


def table(call: Call) -> Iterator[Target]:
    """The table, or the index of it; each table of a batch.

    A call that is about one item has the value of the item's partition key (Amazon DynamoDB
    Developer Guide, Using IAM policy conditions for fine-grained access control).
    """
    for name in _table_names(call):
        arn = _arn(call, f"table/{name}")
        index = call.parameters.get("IndexName")
        yield Target(f"{arn}/index/{index}" if index else arn, tuple(_leading_keys(call, name)))


def queue(call: Call) -> Iterator[Target]:
    """The queue."""
    yield Target(_arn(call, _queue_name(call)))


def stack(call: Call) -> Iterator[Target]:
    """The stack, by its ARN; one that is named, by all IDs that a stack of the name may have
    (https://github.com/aws-samples/aws-hpc-tutorials/issues/271)."""
    named = str(call.parameters.get("StackName", "*"))
    yield Target(named if named.startswith("arn:") else _arn(call, f"stack/{named}/*"))


def passed_role(call: Call) -> Iterator[Target]:
    """The service role that a stack is given, which CloudFormation takes on
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html)."""
    if arn := call.parameters.get("RoleARN"):
        yield Target(arn, (("iam:PassedToService", "cloudformation.amazonaws.com"),))


def secret(call: Call) -> Iterator[Target]:
    """The secret."""
    secret_id = call.parameters.get("SecretId", "")
    found = _secret(call)
    arn = found.arn if found is not None else _arn(call, f"secret:{secret_id}")
    yield Target(arn, (("secretsmanager:SecretId", secret_id),))


def buses(call: Call) -> Iterator[Target]:
    """The bus of each entry (Amazon EventBridge User Guide, Using IAM policy conditions)."""
    for entry in call.parameters.get("Entries", []):
        name = (entry.get("EventBusName") or "default").rpartition("/")[2]
        context = (
            ("events:source", entry.get("Source", "")),
            ("events:detail-type", entry.get("DetailType", "")),
        )
        yield Target(_arn(call, f"event-bus/{name}"), context)


def function(call: Call) -> Iterator[Target]:
    """The function, by its ARN or its name."""
    named = str(call.parameters["FunctionName"])
    yield Target(named if named.startswith("arn:") else _arn(call, f"function:{named}"))


def event_source_mapping(call: Call) -> Iterator[Target]:
    """The event source mapping."""
    yield Target(_arn(call, f"event-source-mapping:{call.parameters['UUID']}"))


def rule(call: Call) -> Iterator[Target]:
    """The rule of the default bus."""
    named = call.parameters.get("Rule") or call.parameters.get("Name", "*")
    yield Target(_arn(call, f"rule/{named}"))


def role(call: Call) -> Iterator[Target]:
    """The role, by its ARN; one that is named, with its path."""
    parameters = call.parameters
    if "PolicySourceArn" in parameters:
        yield Target(parameters["PolicySourceArn"])
        return
    roles = iam_backends[call.account]["aws"].roles.values()
    found = (each.arn for each in roles if each.name == parameters.get("RoleName"))
    yield Target(next(found, f"arn:aws:iam::{call.account}:role/{parameters.get('RoleName')}"))


def named_key(call: Call) -> Iterator[Target]:
    """The key that a call of KMS names, by its ARN or its ID."""
    named = str(call.parameters.get("KeyId", "*"))
    yield Target(named if named.startswith("arn:") else _arn(call, f"key/{named}"))


def log_group(call: Call) -> Iterator[Target]:
    """The log group."""
    yield Target(_arn(call, f"log-group:{call.parameters['logGroupName']}"))


def log_stream(call: Call) -> Iterator[Target]:
    """The stream of a log group."""
    group, stream = call.parameters["logGroupName"], call.parameters["logStreamName"]
    yield Target(_arn(call, f"log-group:{group}:log-stream:{stream}"))


def key_of_table(call: Call) -> Iterator[Target]:
    """The customer's key that the table is encrypted by; the former one, too, during a change."""
    for name in _table_names(call):
        found = dynamodb_backends[call.account][call.region].tables.get(name)
        for key_id in table_keys.keys_of(found) if found is not None else []:
            yield from key(call, key_id)


def key_of_queue(call: Call) -> Iterator[Target]:
    """The customer's key that the queue is encrypted by."""
    found = queue_of(call)
    yield from key(call, message_keys.key_of(found) if found is not None else None)


def keys_of_messages(call: Call) -> Iterator[Target]:
    """The customer's keys that the queue and its messages are encrypted by."""
    found = queue_of(call)
    for key_id in message_keys.to_receive(found) if found is not None else []:
        yield from key(call, key_id)


def key_of_secret(call: Call) -> Iterator[Target]:
    """The customer's key that the secret is encrypted by."""
    found = _secret(call)
    yield from key(call, found.kms_key_id if found is not None else None)


def policy_of_table(call: Call, arn: str) -> str | None:
    """The resource-based policy of a table, JSON; None where it has none. It is also about the
    table's indexes
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/access-control-resource-based.html).

    Args:
        arn: of the table, or of an index of it.
    """
    policies = dynamodb_backends[call.account][call.region].resource_policies
    found = policies.get(arn.partition("/index/")[0])
    return found.policy_doc if found else None


def queue_of(call: Call) -> Queue | None:
    """moto's queue; None where there is none."""
    return sqs_backends[call.account][call.region].queues.get(_queue_name(call))


def _arn(call: Call, resource: str) -> str:
    return f"arn:aws:{call.service}:{call.region}:{call.account}:{resource}"


def _table_names(call: Call) -> list[str]:
    """The names of the tables; a call may give a table's ARN instead."""
    parameters = call.parameters
    named = parameters.get("RequestItems") or [
        parameters[each] for each in _NAMES_OF_TABLES if each in parameters
    ]
    return [str(each).rpartition("/")[2] for each in named]


def _leading_keys(call: Call, table_name: str) -> Iterator[tuple[str, str]]:
    found = dynamodb_backends[call.account][call.region].tables.get(table_name)
    key = call.parameters.get("Key") or call.parameters.get("Item") or {}
    if found is not None and found.hash_key_attr in key:
        yield "dynamodb:LeadingKeys", str(next(iter(key[found.hash_key_attr].values())))


def _queue_name(call: Call) -> str:
    return str(call.parameters.get("QueueUrl", "")).rpartition("/")[2]


def _secret(call: Call) -> Any:
    secrets = secretsmanager_backends[call.account][call.region].secrets
    return secrets.get(call.parameters.get("SecretId", ""))


def key(call: Call, key_id: str | None, awss_own: str = "") -> Iterator[Target]:
    """A key, used by the called service on the caller's behalf; AWS managed keys are open to all
    callers of the service (AWS KMS Developer Guide, kms:ViaService, and AWS managed keys).

    Args:
        awss_own: the alias of the AWS managed key, `alias/aws/` and the service if empty.
    """
    awss_own = awss_own or f"alias/aws/{call.service}"
    kms = kms_backends[call.account][call.region]
    if not key_id or key_id == awss_own:
        return
    # moto makes a table's key where the template names none.
    if kms.alias_exists(awss_own) and kms.describe_key(awss_own).arn == key_id:
        return
    region, account = call.region, call.account
    arn = key_id if key_id.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{key_id}"
    yield Target(arn, (("kms:ViaService", f"{call.service}.{region}.amazonaws.com"),))
