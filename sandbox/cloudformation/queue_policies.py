"""CloudFormation's AWS::SQS::QueuePolicy, which moto has no model of."""

from __future__ import annotations

import json
from typing import Any

from moto.core.common_models import CloudFormationModel
from moto.sqs.models import sqs_backends


class QueuePolicy(CloudFormationModel):
    """One policy of several queues.

    Attributes:
        queues: the queues' URLs.
    """

    def __init__(self, queues: list[str]) -> None:
        self.queues = queues

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:  # noqa: ARG003  it has none
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003  a queue policy has no name
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,  # noqa: ARG003
    ) -> QueuePolicy:
        properties = cloudformation_json["Properties"]
        made = cls(list(properties["Queues"]))
        made._set(json.dumps(properties["PolicyDocument"]), account_id, region_name)
        return made

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: QueuePolicy,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> QueuePolicy:
        original_resource.delete(account_id, region_name)
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> None:
        cls(list(cloudformation_json["Properties"]["Queues"])).delete(account_id, region_name)

    def delete(self, account_id: str, region_name: str) -> None:
        self._set(None, account_id, region_name)

    def _set(self, policy: str | None, account_id: str, region_name: str) -> None:
        for url in self.queues:
            name = url.rpartition("/")[2]
            sqs_backends[account_id][region_name].set_queue_attributes(name, {"Policy": policy})
