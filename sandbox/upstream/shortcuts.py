"""Caches what moto computes again in each call, and keeps no list of all that it makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.model import Shape
from moto.core import responses, utils
from moto.core.common_models import BaseModel
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker


@contextmanager
def installed() -> Iterator[None]:
    """Have moto remember, as long as the context lasts:

    * the methods of a service's class, which it lists in each call, until the class has more or
      fewer: the sandbox adds some;
    * the names by which it finds a member of an answer in an object. An answer about an
      instance has a hundred members, with up to ten names each.

    And moto keeps each object that it ever made, for a page that lists them. Here only S3 does.
    """
    with (
        patch.object(BaseModel, "__new__", _untracked),
        patch.object(responses, "method_names_from_class", _listing()),
        patch.object(XFormedAttributePicker, "get_possible_keys", _remembering()),
    ):
        yield


def _untracked(cls: type[BaseModel], *_: Any, **__: Any) -> Any:
    instance = object.__new__(cls)
    if cls.__module__ == "moto.s3.models":  # it closes the files of its objects by the list
        cls.instances_tracked.append(instance)  # type: ignore[attr-defined]
    return instance


def _listing() -> Callable[[type], list[str]]:
    known: dict[type, tuple[int, list[str]]] = {}

    def method_names(service: type) -> list[str]:
        size = sum(len(vars(each)) for each in service.__mro__)
        found = known.get(service)
        if found is None or found[0] != size:
            found = known[service] = (size, utils.method_names_from_class(service))
        return found[1]

    return method_names


def _remembering() -> Any:
    names_of = XFormedAttributePicker.get_possible_keys
    # The shapes are kept with the names, so that no others get their IDs.
    known: dict[tuple[object, ...], tuple[Shape, Shape | None, tuple[str, ...]]] = {}

    def possible_keys(
        picker: XFormedAttributePicker, context: AttributePickerContext
    ) -> tuple[str, ...]:
        shape, parent = context.shape, getattr(context.shape, "parent", None)
        about = (type(context.obj), context.key, id(shape), id(parent))
        found = known.get(about)
        if found is None:
            found = known[about] = (shape, parent, tuple(dict.fromkeys(names_of(picker, context))))
        return found[2]

    return possible_keys
