"""What all tests share: AWS's documented example credentials, and no way to a real AWS."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

import sandbox  # noqa: F401  it says which images moto has, and has to come before moto
from tests.fixtures import Clock

os.environ["AWS_ACCESS_KEY_ID"] = "AKIAIOSFODNN7EXAMPLE"
os.environ["AWS_SECRET_ACCESS_KEY"] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
os.environ["AWS_REGION"] = "us-east-1"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)


STACKS, UNIT = (Path(__file__).parent / name for name in ("stacks", "unit"))

# What is imported stays, half a million objects: the garbage collector leaves it out.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread whole stacks, which mostly wait, among unit tests, which keep a core busy.

    The tests of a file stay together: they share what it sets up.
    """
    of_stacks = [item for item in items if STACKS in item.path.parents]
    of_units = [item for item in items if UNIT in item.path.parents]
    if not (of_stacks and of_units):
        return
    shares: dict[Path, float] = {}
    for kind in (of_stacks, of_units):
        for place, item in enumerate(kind):
            shares.setdefault(item.path, place / len(kind))
    others = [item for item in items if item.path not in shares]
    items[:] = [*others, *sorted([*of_stacks, *of_units], key=lambda item: shares[item.path])]


def pytest_collection_finish() -> None:
    """Have the garbage collector check what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _fast_moto() -> Iterator[None]:
    """Have moto do once what is the same in each test, and not do what no test needs."""
    from moto.core import config, models

    from sandbox.upstream import shortcuts

    with (
        shortcuts.installed(),
        # Each start of moto registers 2,500 URLs with `requests`, which nothing here calls AWS by.
        patch.object(models, "RESPONSES_METHODS", []),
        # A new session reads the models of AWS's APIs again.
        patch.dict(config.default_user_config["core"], {"reset_boto3_session": False}),
    ):
        yield


@pytest.fixture
def clock() -> Clock:
    """A clock that the test moves."""
    return Clock()
