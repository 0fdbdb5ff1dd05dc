"""The custom resources of accustom, which invoke themselves to find out if they take too long."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.serving import Served

from . import providers
from .providers import Provider
from .stories import Story, each_story
from .table import Suite

SUITE = Suite(
    "accustom",
    providers.version("accustom"),
    "custom resources in the sandbox: by its decorators, with and without the invocation of itself",
)

HANDLER = """
from accustom import RequestType, ResponseObject, sdecorator


@sdecorator(TIMEOUT_FUNCTION)
def handler(event, context):
    if event["RequestType"] == RequestType.DELETE:
        remove(event)
        return ResponseObject(physicalResourceId=event["PhysicalResourceId"])
    data = put(event)
    return ResponseObject(
        data=data, physicalResourceId=name_of(event), squashPrintResponse=is_secret(event)
    )
"""
PACKAGES = ("accustom", "requests", "certifi", "charset-normalizer", "idna", "typing-extensions")


@pytest.fixture(scope="module", params=["in a child", "in the function itself"])
def provider(request: pytest.FixtureRequest, served: Served) -> Provider:
    in_child = str(request.param == "in a child")
    handler = HANDLER.replace("TIMEOUT_FUNCTION", f"timeoutFunction={in_child}")
    return providers.deploy(served, handler, PACKAGES, polls=False)


@each_story
def test_what_its_resources_go_through(story: Story, provider: Provider) -> None:
    story(provider)
