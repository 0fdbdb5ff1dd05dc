"""New resources need no confirmation by CloudFormation, whose Describe calls are throttled."""

from dataclasses import replace
from typing import Any

import pytest

from instance_bundle.aws import stacks
from instance_bundle.lifecycle import Lifecycle
from instance_bundle.methods import Methods
from instance_bundle.request import Request
from instance_bundle.settings import Limits
from instance_bundle.state import Ledger, Pending
from tests.model.table import MemoryTable, in_memory
from tests.unit.test_lifecycle import Ec2, request

CREATES = 10_000
NOON = 1_800_000_000.0


def create(number: int) -> Request:
    """A Create of a resource of its own, at a location of its own."""
    asked = request(request_id=f"r{number}")
    key = replace(asked.key, logical_id=f"Bundle{number}")
    storage = {"S3": {"Bucket": "images", "Prefix": f"web{number}"}}
    return replace(asked, key=key, properties={**asked.properties, "Storage": storage})


def test_ten_thousand_creates_of_new_resources_ask_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    for name in ("describe_stack", "describe_resource", "has_had"):
        monkeypatch.setattr(stacks, name, calls.append)
    ledger, ec2 = Ledger("ledger", "requests", lambda: NOON), Ec2()
    in_memory(ledger, MemoryTable())
    life = Lifecycle(ledger, Methods({"BundleInstance": ec2}), Limits(), clock=lambda: NOON)

    for number in range(CREATES):
        record, is_new = ledger.receive(create(number), 30)
        assert is_new
        assert isinstance(life.drive(record), Pending)

    assert len(ec2.started) == CREATES
    assert calls == []
