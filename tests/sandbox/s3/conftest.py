"""A server, and clients of its S3."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS, Clients
from sandbox.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return Clients(server.endpoint).s3


def client(server: Server, region: str, **credentials: str) -> Any:
    own: dict[str, Any] = {name.lower(): value for name, value in CREDENTIALS.items()}
    keys = own | credentials
    config = Config(s3={"addressing_style": "path"})
    made: BaseClient = boto3.Session(**keys).client(
        "s3", region_name=region, endpoint_url=server.endpoint, config=config
    )
    return made


def refused(call: Any, **given: Any) -> tuple[int, str]:
    """Status and code of an error."""
    with pytest.raises(ClientError) as raised:
        call(**given)
    response = raised.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    """A new bucket."""
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    s3.create_bucket(Bucket=name)
    return name
