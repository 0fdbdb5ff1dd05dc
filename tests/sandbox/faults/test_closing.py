"""A sandbox that closes. No other may be open in its process, so it has its own file."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError

from sandbox.server import Server
from tests.fixtures import PATIENCE
from tests.sandbox.faults.conftest import Sandbox, held
from tests.sandbox.functions.conftest import wait_for

AN_HOUR = 3600


def is_held(sandbox: Sandbox) -> bool:
    [fault] = sandbox.shown()
    return bool(fault["hits"])


def test_no_call_is_held_when_the_sandbox_has_closed() -> None:
    ended: Future[Any]
    with ThreadPoolExecutor(1) as pool:
        with Server() as server:
            sandbox = Sandbox(server.endpoint)
            sandbox.set("ec2:CreateKeyPair", "delay", seconds=AN_HOUR)
            ended = pool.submit(sandbox.client("ec2").create_key_pair, KeyName="key")
            wait_for(lambda: is_held(sandbox))
            assert not ended.done()
        with suppress(NoConnection, HTTPClientError):
            pytest.fail(f"the call was carried out: {ended.result(PATIENCE)}")
    wait_for(lambda: not held())
