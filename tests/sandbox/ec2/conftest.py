"""EC2 on a clock that the test moves, with a bucket and an instance to make images of."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, S3


@pytest.fixture
def moved(clock: Clock) -> Iterator[Clock]:
    """The clock of an EC2 that is installed, and of a bucket `images`."""
    with ec2.install(clock), mock_aws():
        S3.create_bucket(Bucket="images")
        yield clock


@pytest.fixture
def ebs_instance(moved: Clock) -> str:
    return ec2.run_ebs_instance(EC2)
