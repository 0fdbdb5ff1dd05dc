"""What custom resources by others go through, the same in each suite."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.functions.conftest import wait_for

from .providers import Provider

OUTPUTS: dict[str, Any] = {
    "Id": {"Ref": "Thing"},
    "Shout": {"Fn::GetAtt": ["Thing", "Shout"]},
    "Length": {"Fn::GetAtt": ["Thing", "Length"]},
}


Story = Callable[[Provider], None]


def create_update_and_delete(provider: Provider) -> None:
    """With an update in place, and one that replaces the resource."""
    served, name, other = provider.served, _name(), _name()
    stack = served.create({"Thing": provider.resource(Name=name, Text="one")}, **OUTPUTS)
    assert served.until(stack, "CREATE_COMPLETE") == {"Id": name, "Shout": "ONE", "Length": "3"}
    assert provider.contents(name) == "one"

    served.update(stack, {"Thing": provider.resource(Name=name, Text="three")}, **OUTPUTS)
    assert served.until(stack, "UPDATE_COMPLETE") == {"Id": name, "Shout": "THREE", "Length": "5"}
    assert provider.contents(name) == "three"

    served.update(stack, {"Thing": provider.resource(Name=other, Text="three")}, **OUTPUTS)
    wait_for(lambda: provider.contents(other) == "three")
    wait_for(lambda: provider.contents(name) is None)  # the clean-up after the replacement
    assert served.until(stack, "UPDATE_COMPLETE")["Id"] == other

    served.delete(stack)
    assert provider.contents(other) is None
    _nothing_is_left(provider)


def failing_create(provider: Provider) -> None:
    """It rolls the stack back, and the reason is in the stack's events."""
    served, name = provider.served, _name()
    stack = served.create({"Thing": provider.resource(Name=name, Text="refused")}, **OUTPUTS)

    served.until(stack, "ROLLBACK_COMPLETE")

    assert "This text is refused" in served.until_resource(stack, "Thing", "CREATE_FAILED")
    assert served.statuses(stack, "Thing")[-1] == "DELETE_COMPLETE"
    assert provider.contents(name) is None
    served.delete(stack)
    _nothing_is_left(provider)


def failing_update(provider: Provider) -> None:
    """It rolls the resource back to what it was."""
    served, name = provider.served, _name()
    stack = served.create({"Thing": provider.resource(Name=name, Text="one")}, **OUTPUTS)
    before = served.until(stack, "CREATE_COMPLETE")

    served.update(stack, {"Thing": provider.resource(Name=name, Text="refused")}, **OUTPUTS)
    after = served.until(stack, "UPDATE_ROLLBACK_COMPLETE")

    assert after == before
    assert "This text is refused" in served.until_resource(stack, "Thing", "UPDATE_FAILED")
    assert provider.contents(name) == "one"
    served.delete(stack)
    assert provider.contents(name) is None
    _nothing_is_left(provider)


def secret_attributes(provider: Provider) -> None:
    """With NoEcho they are masked in outputs, and used by other resources."""
    served, name = provider.served, _name()
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {
            "Name": name,
            "Type": "String",
            "Value": {"Fn::GetAtt": ["Thing", "Shout"]},
        },
    }
    thing = provider.resource(Name=name, Text="hidden", IsSecret="true")

    stack = served.create({"Thing": thing, "Parameter": parameter}, **OUTPUTS)

    outputs = served.until(stack, "CREATE_COMPLETE")
    assert (outputs["Id"], outputs["Shout"], outputs["Length"]) == (name, "****", "****")
    found = served.clients.client("ssm").get_parameter(Name=name)["Parameter"]
    assert found["Value"] == "HIDDEN"
    served.delete(stack)
    _nothing_is_left(provider)


each_story = pytest.mark.parametrize(
    "story",
    [create_update_and_delete, failing_create, failing_update, secret_attributes],
    ids=lambda story: story.__name__,
)


def _name() -> str:
    return f"thing-{uuid.uuid4().hex[:12]}"


def _nothing_is_left(provider: Provider) -> None:
    """Neither rules nor permissions, once a poll that has answered has cleaned up."""
    if provider.polls:
        wait_for(lambda: not provider.left_behind())
