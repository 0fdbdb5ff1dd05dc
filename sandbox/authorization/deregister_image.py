"""DeregisterImage, which deletes the snapshots that the caller may delete, and names the others.

EC2 API Reference, DeleteSnapshotReturnCode, `missing-permissions`
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.authorization.demand import Demand
from sandbox.calls.api_calls import ServiceError
from sandbox.ec2.images_api import UNDELETABLE

Refusals = Sequence[tuple[Demand, ServiceError]]


def refusal(refusals: Refusals, environ: dict[str, Any]) -> ServiceError | None:
    """What refuses the whole call, if anything does; the snapshots that stay are noted in the
    request."""
    stay = [demand for demand, _ in refusals if demand.action == "ec2:DeleteSnapshot"]
    ids = [demand.target.arn.rpartition("/")[2] for demand in stay]
    environ[f"HTTP_{UNDELETABLE.upper().replace('-', '_')}"] = ",".join(ids)
    return next((error for demand, error in refusals if demand not in stay), None)
