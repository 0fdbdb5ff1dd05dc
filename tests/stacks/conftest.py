"""The sandboxes of the whole-stack tests, each a process of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .faults import (
    clear_faults,
    forget_images,
    forget_ledger,
    hurry,
    wait_for_empty_queues,
)
from .support import Aws, Observers, SandboxProcess, locked, shared, signing_secret


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers of the run have."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def aws(of_all_workers: Path) -> Iterator[Aws]:
    """A sandbox that all tests of all workers share: each is about its own stacks alone."""
    with shared(of_all_workers / "sandbox") as ready:
        clients = Observers(ready["endpoint"])
        yield Aws({**ready, "secret": signing_secret(clients)}, clients)


CHANGED = {"EventBusName": "images", "LogRetentionInDays": "7", "AllowObjectDeletion": "false"}
"""The parameters of the application in the sandbox of `alone`. The bus is not there at first."""


@pytest.fixture(scope="session")
def changeable(of_all_workers: Path) -> Iterator[Aws]:
    """The sandbox of `alone`."""
    with shared(of_all_workers / "changeable-sandbox", CHANGED) as ready:
        clients = Observers(ready["endpoint"])
        yield Aws({**ready, "secret": signing_secret(clients)}, clients)


@pytest.fixture
def alone(changeable: Aws, of_all_workers: Path) -> Iterator[Aws]:
    """A sandbox that one test at a time has, for what would disturb other tests."""
    with locked(of_all_workers / "alone"):
        yield changeable


@pytest.fixture
def template(aws: Aws) -> Callable[..., dict[str, Any]]:
    """Makes a template of one bundle, with the properties that a test gives."""

    def make(instance_id: str, prefix: str | None = None, **properties: Any) -> dict[str, Any]:
        s3 = {"Bucket": aws.ready["bucket"]} | ({"Prefix": prefix} if prefix else {})
        return {
            "Resources": {
                "Bundle": {
                    "Type": "Custom::InstanceBundle",
                    "Properties": {
                        "ServiceToken": {"Fn::ImportValue": "cfn-instance-bundle-ServiceToken"},
                        "InstanceId": instance_id,
                        "Storage": {"S3": s3},
                    }
                    | properties,
                }
            },
            "Outputs": {
                "BundleId": {"Value": {"Ref": "Bundle"}},
                "S3Uri": {"Value": {"Fn::GetAtt": ["Bundle", "S3Uri"]}},
            },
        }

    return make


@pytest.fixture(scope="session")
def quick_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox of its own, for faults: what was killed in it is taken up again soon.

    Each poll has an invocation of its own, so that a fault about one stack strikes no other. What
    the function may have to look up before it starts a bundle, it has to.
    """
    sandbox = SandboxProcess.start(
        tmp_path_factory.mktemp("quick-sandbox"), {"AllowedInstanceTag": "sandbox:bundled=yes"}
    )
    clients = Observers(sandbox.ready["endpoint"])
    aws = Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    try:
        hurry(aws)
        yield aws
    finally:
        status = sandbox.end()
    assert status == 0


@pytest.fixture
def quick_and_clear(quick_aws: Aws) -> Iterator[Aws]:
    """The sandbox for faults, with none left in it after a test, and no memory of its stacks."""
    yield quick_aws
    clear_faults(quick_aws)
    wait_for_empty_queues(quick_aws)
    forget_ledger(quick_aws)
    forget_images(quick_aws)
