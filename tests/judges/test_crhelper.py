"""crhelper's custom resources, with and without its polling, in the sandbox."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.serving import Served

from . import providers
from .providers import Provider
from .stories import Story, each_story
from .table import Suite

SUITE = Suite(
    "crhelper",
    providers.version("crhelper"),
    "custom resources in the sandbox: answers at once, and by polls of an EventBridge schedule",
)

AT_ONCE = """
from crhelper import CfnResource

helper = CfnResource()


@helper.create
@helper.update
def make(event, context):
    helper.NoEcho = is_secret(event)
    helper.Data.update(put(event))
    return name_of(event)


@helper.delete
def delete(event, context):
    remove(event)


def handler(event, context):
    helper(event, context)
"""

POLLING = """
from crhelper import CfnResource

helper = CfnResource(polling_interval=1)


@helper.create
@helper.update
@helper.delete
def begin(event, context):
    helper.Data["Begun"] = event["RequestType"]


@helper.poll_create
@helper.poll_update
def finish(event, context):
    if not is_ready(event):
        return None
    helper.NoEcho = is_secret(event)
    helper.Data.update(put(event))
    return name_of(event)


@helper.poll_delete
def finish_deletion(event, context):
    if not is_ready(event):
        return None
    remove(event)
    return event["PhysicalResourceId"]


def handler(event, context):
    helper(event, context)
"""


@pytest.fixture(scope="module", params=["at once", "polling"])
def provider(request: pytest.FixtureRequest, served: Served) -> Provider:
    polls = request.param == "polling"
    return providers.deploy(served, POLLING if polls else AT_ONCE, ["crhelper"], polls=polls)


@each_story
def test_what_its_resources_go_through(story: Story, provider: Provider) -> None:
    story(provider)
