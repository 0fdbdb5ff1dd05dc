"""The resources of types that nothing here models."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from moto.utilities.utils import get_partition

from sandbox.cloudformation import schemas
from sandbox.cloudformation.providers import Finished, Made, Order, generated_id

log = logging.getLogger("sandbox")


@dataclass(frozen=True, slots=True)
class _PlaceholderAttributes:
    order: Order
    physical_id: str
    hidden: bool = False

    def attribute(self, name: str) -> Any:
        if not name.endswith("Arn"):
            return f"{self.physical_id}.{name}"
        service = self.order.type.split("::")[1].lower()
        partition = get_partition(self.order.region)
        place = f"{self.order.region}:{self.order.account}"
        return f"arn:{partition}:{service}:{place}:{self.physical_id}"


class Placeholders:
    """The resources that nothing here models: an ID, and no resource."""

    def create(self, order: Order) -> Finished:
        log.info("not modelled: %s (%s)", order.type, order.logical_id)
        return Finished(_placeholder(order, generated_id(order)))

    def update(self, order: Order, made: Made) -> Finished:
        before, after = made.order.properties, order.properties
        if schemas.replaces(order.type, order.region, before, after):
            return self.create(order)
        return Finished(_placeholder(order, made.physical_id))

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Finished:
        return Finished(made or _placeholder(order, physical_id))


def _placeholder(order: Order, physical_id: str) -> Made:
    return Made(physical_id, order, _PlaceholderAttributes(order, physical_id))
