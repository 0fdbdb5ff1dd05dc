"""What moto's models leave out of a stack's resources."""

from __future__ import annotations

import json
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from sandbox.cloudformation import tables
from sandbox.cloudformation.intrinsics import text
from sandbox.cloudformation.providers import Order
from sandbox.upstream import aws_policies


def complete(order: Order, resource: Any) -> None:
    """Give the resource what its model leaves out."""
    if isinstance(resource, TaggedEC2Resource):
        _tag(order, resource)
    if order.type == "AWS::DynamoDB::Table":
        tables.complete(resource, order.properties)
    if order.type == "AWS::IAM::Role":
        _complete_role(order, resource)
    if order.type == "AWS::Lambda::Function":
        _complete_function(order, resource)
    if order.type == "AWS::SQS::Queue":
        _complete_queue(order, resource)


def _tag(order: Order, resource: Any) -> None:
    tags = {
        **order.tags,
        "aws:cloudformation:stack-name": order.stack_name,
        "aws:cloudformation:stack-id": order.stack_id,
        "aws:cloudformation:logical-id": order.logical_id,
    }
    ec2_backends[order.account][order.region].create_tags([resource.physical_resource_id], tags)


def _complete_queue(order: Order, queue: Any) -> None:
    key = order.properties.get("KmsMasterKeyId")
    managed = order.properties.get("SqsManagedSseEnabled", not key)
    queue.kms_master_key_id = key
    queue.sqs_managed_sse_enabled = text(managed)


def _complete_role(order: Order, role: Any) -> None:
    backend = iam_backends[order.account][get_partition(order.region)]
    for policy in order.properties.get("Policies", []):
        role.put_policy(policy["PolicyName"], json.dumps(policy["PolicyDocument"]))
    attached = set(role.managed_policies)
    wanted = set(order.properties.get("ManagedPolicyArns", []))
    for arn in wanted - attached:
        aws_policies.make_known(backend, arn)
        backend.attach_role_policy(arn, role.name)
    for arn in attached - wanted:
        backend.detach_role_policy(arn, role.name)


def detach_policies(order: Order, name: str) -> None:
    # CloudFormation detaches what it attached; moto refuses to delete the role before.
    backend = iam_backends[order.account][get_partition(order.region)]
    for arn in list(backend.get_role(name).managed_policies):
        backend.detach_role_policy(arn, name)


def _complete_function(order: Order, function: Any) -> None:
    properties = order.properties
    function.architectures = properties.get("Architectures", ["x86_64"])
    function.tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    log_group = properties.get("LoggingConfig", {}).get("LogGroup")
    if log_group:
        function.logs_group_name = log_group
