"""cfnresponse's custom resources: AWS's module in functions whose code is in the template, and the
package."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.serving import Served

from . import providers
from .providers import Provider
from .stories import Story, each_story
from .table import Suite

SUITE = Suite(
    "cfnresponse",
    providers.version("cfnresponse"),
    "custom resources in the sandbox: AWS's module for code in templates, and the package",
)

HANDLER = """
import cfnresponse


def answer(event):
    if event["RequestType"] == "Delete":
        remove(event)
        return {}, event["PhysicalResourceId"]
    return put(event), name_of(event)


def handler(event, context):
    try:
        data, physical_id = answer(event)
    except ValueError as problem:
        physical_id = event.get("PhysicalResourceId")
        cfnresponse.send(
            event, context, cfnresponse.FAILED, {}, physical_id, reason=str(problem)
        )
    else:
        cfnresponse.send(
            event, context, cfnresponse.SUCCESS, data, physical_id, noEcho=is_secret(event)
        )
"""


@pytest.fixture(scope="module", params=["inline", "package"])
def provider(request: pytest.FixtureRequest, served: Served) -> Provider:
    if request.param == "inline":
        return providers.deploy_inline(served, HANDLER)
    return providers.deploy(served, HANDLER, ["cfnresponse"], polls=False)


@each_story
def test_what_its_resources_go_through(story: Story, provider: Provider) -> None:
    story(provider)
