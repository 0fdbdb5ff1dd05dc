"""The resources that moto has models of."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.core.common_models import CloudFormationModel
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from sandbox.cloudformation import (
    adaptation,
    queue_policies,  # noqa: F401  defines a model, see model_of
    schemas,
)
from sandbox.cloudformation.completions import complete, detach_policies
from sandbox.cloudformation.half_made import no_role_left
from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.providers import (
    Failed,
    Finished,
    Made,
    Order,
    Outcome,
    generated_id,
    no_attribute,
)
from sandbox.cloudwatch import alarm_resources  # noqa: F401  defines a model, too

log = logging.getLogger("sandbox")

# moto's model of a nested stack does not wait for it.
_NOT_MODELLED = ("AWS::CloudFormation::Stack",)
_GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


# Looked up each time: moto caches its list, and so misses models that are defined later.
def model_of(resource_type: str) -> type[CloudFormationModel] | None:
    """moto's model of the resource type, or one defined next to it; None where there is none."""
    if resource_type in _NOT_MODELLED:
        return None
    models = {model.cloudformation_type(): model for model in CloudFormationModel.__subclasses__()}
    return models.get(resource_type)


@dataclass(frozen=True, slots=True)
class _ModelAttributes:
    model: Any
    order: Order
    hidden: bool = False

    def attribute(self, name: str) -> Any:
        more = adaptation.attributes(self.order.type, self.model)
        if name in more:
            return more[name]
        try:
            value = self.model.get_cfn_attribute(name)
        except (AttributeError, NotImplementedError, UnformattedGetAttTemplateException) as problem:
            raise no_attribute(self.order, name) from problem
        if value is None:
            raise no_attribute(self.order, name)
        return value


class ModelledResources:
    """The resources that moto has models of."""

    def create(self, order: Order) -> Finished:
        return _finished(lambda: self._create_whole(order))

    def update(self, order: Order, made: Made) -> Finished:
        if not schemas.replaces(order.type, order.region, made.order.properties, order.properties):
            return _finished(lambda: self._update(order, made))
        name_type = _model(order).cloudformation_name_type() or ""
        if keeps_custom_name(order, made, name_type):
            refused = custom_named(order.properties.get(name_type))
            return Finished(Failed(refused, untouched=True))
        replaced = self.create(order).result
        if isinstance(replaced, Failed):
            replaced = replace(replaced, physical_id=None, untouched=True)
        return Finished(replaced)

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Finished:
        return _finished(lambda: self._delete(order, physical_id, made))

    def _create_whole(self, order: Order) -> Made:
        name = _name(order, _model(order))
        if order.type != "AWS::IAM::Role":
            return self._create(order, name)
        backend = iam_backends[order.account][get_partition(order.region)]
        with no_role_left(backend, name, order.region):
            return self._create(order, name)

    def _create(self, order: Order, name: str) -> Made:
        model = _model(order)
        if _is_taken(order, name):
            raise _AlreadyExists(order, name)
        resource: Any = model.create_from_cloudformation_json(
            name,
            _declared(order, name),
            order.account,
            order.region,
            LogicalId=order.logical_id,
            StackId=order.stack_id,
            ResourceType=order.type,
        )
        complete(order, resource)
        return _made(order, resource, generated_id(order))

    def _update(self, order: Order, made: Made) -> Made:
        model = _model(order)
        if adaptation.updated(order.type, _resource(made), made.order.properties, order.properties):
            return replace(made, order=order)
        if not _implements(model.update_from_cloudformation_json):
            log.warning("not modelled: an update of %s (%s)", order.logical_id, order.type)
            return replace(made, order=order)
        name = _name(order, model, made)
        if adaptation.stays(order.type, name, _resource(made)):
            return replace(made, order=order)
        resource: Any = model.update_from_cloudformation_json(
            original_resource=_resource(made),
            new_resource_name=name,
            cloudformation_json=_declared(order, name),
            account_id=order.account,
            region_name=order.region,
        )
        if resource is None:
            return replace(made, order=order)
        complete(order, resource)
        return _made(order, resource, made.physical_id)

    def _delete(self, order: Order, physical_id: str, made: Made | None) -> Made:
        model = _model(order)
        resource: Any = _resource(made) if made else None
        gone = made or Made(physical_id, order, _ModelAttributes(None, order))
        try:
            if order.type == "AWS::IAM::Role":
                detach_policies(order, physical_id)
            if _deletes_itself(resource):
                resource.delete(order.account, order.region)
            elif _implements(model.delete_from_cloudformation_json):
                model.delete_from_cloudformation_json(
                    physical_id, _declared(order, physical_id), order.account, order.region
                )
            else:
                log.warning("not modelled: a delete of %s (%s)", order.logical_id, order.type)
        except Exception as problem:
            if any(word in _code(problem) for word in _GONE):
                return gone
            raise
        if order.type == "AWS::S3::Bucket":
            _check_bucket_gone(order, physical_id)
        return gone


def _finished(work: Callable[[], Outcome]) -> Finished:
    try:
        return Finished(work())
    except Exception as problem:  # a model may raise anything
        log.info("a resource's model refused", exc_info=True)
        return Finished(Failed(_said(problem)))


def _said(problem: Exception) -> str:
    message = getattr(problem, "message", None) or str(problem) or type(problem).__name__
    return f'Resource handler returned message: "{message}" (HandlerErrorCode: {_code(problem)})'


def _code(problem: Exception) -> str:
    code = getattr(problem, "error_type", None) or getattr(problem, "code", None)
    return code if isinstance(code, str) and code else type(problem).__name__


def _model(order: Order) -> type[CloudFormationModel]:
    model = model_of(order.type)
    if model is None:
        raise LookupError(f"no model of {order.type}")
    return model


def _name(order: Order, model: type[CloudFormationModel], made: Made | None = None) -> str:
    name_type = model.cloudformation_name_type() or ""
    given = order.properties.get(name_type)
    if isinstance(given, str):
        return given
    if made and adaptation.keeps_name(order.type) and name_type not in made.order.properties:
        return str(_resource(made).name)
    return generated_id(order)


def keeps_custom_name(order: Order, made: Made, name_type: str) -> bool:
    """Whether the resource has a name of the template's, which the update does not change."""
    if name_type not in order.properties:
        return False
    return bool(order.properties[name_type] == made.order.properties.get(name_type))


def custom_named(name: Any) -> str:
    """What is said of such a resource where it would have to be replaced
    (https://github.com/cloudtools/stacker/issues/96)."""
    return (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
        f"Rename {name} and update the stack again."
    )


class _AlreadyExists(Exception):
    """A create handler fails with this code where the resource is there already (CloudFormation CLI
    User Guide, Contract tests for resource types)."""

    code = "AlreadyExists"

    def __init__(self, order: Order, name: str) -> None:
        super().__init__(
            f"Resource of type '{order.type}' with identifier '{name}' already exists."
        )


def _is_taken(order: Order, name: str) -> bool:
    """Whether another resource has the name, where moto would take that one for the new one. A
    rollback would then delete it."""
    match order.type:
        case "AWS::Lambda::Function":
            functions = lambda_backends[order.account][order.region].list_functions()
            return any(function.function_name == name for function in functions)
        case "AWS::SQS::Queue":
            return name in sqs_backends[order.account][order.region].queues
    return False


def _declared(order: Order, name: str) -> dict[str, Any]:
    return {
        "Type": order.type,
        "Properties": adaptation.adapted(order.type, order.properties, name),
    }


def _made(order: Order, resource: Any, otherwise: str) -> Made:
    resource.cf_resource_type = order.type
    resource.logical_resource_id = order.logical_id
    physical_id = adaptation.physical_id(order.type, resource) or otherwise
    return Made(physical_id, order, _ModelAttributes(resource, order))


def _resource(made: Made) -> Any:
    return getattr(made.attributes, "model", None)


def _implements(method: Any) -> bool:
    return not hasattr(method, "__isabstractmethod__")


def _deletes_itself(resource: Any) -> bool:
    delete = getattr(resource, "delete", None)
    return callable(delete) and len(inspect.signature(delete).parameters) == 2


def _check_bucket_gone(order: Order, name: str) -> None:
    # moto leaves a bucket that has objects, and says nothing.
    if name in s3_backends[order.account][get_partition(order.region)].buckets:
        raise invalid(f"The bucket you tried to delete is not empty: {name}")
