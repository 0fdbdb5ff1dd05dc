"""The resource type AWS::Lambda::EventInvokeConfig, which moto's CloudFormation lacks."""

from __future__ import annotations

import logging
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.common_models import CloudFormationModel

logger = logging.getLogger("sandbox")


class EventInvokeConfigResource(CloudFormationModel):
    """CloudFormation's AWS::Lambda::EventInvokeConfig, on the configs that moto keeps."""

    def __init__(self, function_name: str, qualifier: str) -> None:
        self.function_name = function_name
        self.qualifier = qualifier

    @property
    def physical_resource_id(self) -> str:
        return f"{self.function_name}|{self.qualifier}"

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:  # noqa: ARG003  it has none
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003  the resource names itself
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,  # noqa: ARG003
    ) -> EventInvokeConfigResource:
        properties = cloudformation_json["Properties"]
        name, qualifier = properties["FunctionName"], properties["Qualifier"]
        numbers = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")
        config: dict[str, Any] = {k: int(properties[k]) for k in numbers if k in properties}
        if "DestinationConfig" in properties:
            config["DestinationConfig"] = properties["DestinationConfig"]
        backend = get_backend(account_id, region_name)
        function = backend.get_function(name)
        function.event_invoke_config.clear()
        backend.put_function_event_invoke_config(name, config)
        return cls(function.function_name, qualifier)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: EventInvokeConfigResource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> EventInvokeConfigResource:
        original_resource.delete(account_id, region_name)
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003  the physical ID says all
        account_id: str,
        region_name: str,
    ) -> None:
        cls(*resource_name.split("|")).delete(account_id, region_name)

    def delete(self, account_id: str, region_name: str) -> None:
        try:
            function = get_backend(account_id, region_name).get_function(self.function_name)
        except UnknownFunctionException:
            logger.debug("%s went before its event invoke config", self.function_name)
            return
        function.event_invoke_config.clear()
