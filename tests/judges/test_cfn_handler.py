"""cfn-handler's custom resources, with and without its polling, in the sandbox."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.serving import Served

from . import providers
from .providers import Provider
from .stories import Story, each_story
from .table import Fault, Suite

SUITE = Suite(
    "cfn-handler",
    providers.version("cfn-handler"),
    "custom resources in the sandbox: answers at once, and by polls of an EventBridge schedule",
    (
        Fault(
            "polls of a function that is deleted with the resource: it answers before it removes "
            "the rule, which then stays. So the function has a stack of its own here.",
            ".venv-judges/bin/python tests/judges/reproducers/answers_first.py",
        ),
    ),
)

AT_ONCE = """
from cfn_handler import CustomResource

resource = CustomResource()


def make(event, context):
    resource.physical_resource_id = name_of(event)
    resource.no_echo = is_secret(event)
    return put(event)


resource.create(make)
resource.update(make)


@resource.delete
def delete(event, context):
    remove(event)


def handler(event, context):
    return resource(event, context)
"""

POLLING = """
from cfn_handler import CustomResource

resource = CustomResource()


def begin(event, context):
    return None


def finish(event, context):
    if not is_ready(event):
        return None
    resource.physical_resource_id = name_of(event)
    resource.no_echo = is_secret(event)
    return put(event)


resource.create(begin)
resource.update(begin)
resource.delete(begin)
resource.poll_create(finish)
resource.poll_update(finish)


@resource.poll_delete
def finish_deletion(event, context):
    if not is_ready(event):
        return None
    remove(event)
    return {}


def handler(event, context):
    return resource(event, context)
"""


@pytest.fixture(scope="module", params=["at once", "polling"])
def provider(request: pytest.FixtureRequest, served: Served) -> Provider:
    polls = request.param == "polling"
    return providers.deploy(served, POLLING if polls else AT_ONCE, ["cfn-handler"], polls=polls)


@each_story
def test_what_its_resources_go_through(story: Story, provider: Provider) -> None:
    story(provider)
