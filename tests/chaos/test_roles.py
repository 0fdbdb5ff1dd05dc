"""The roles of the template, in the simulated world."""

import json
from typing import Any

import pytest

from sandbox.upstream.permissions import RolePolicies
from tests.chaos import roles
from tests.chaos.sequence import carry_out
from tests.chaos.steps import CREATE, DELETE, LATER, REGISTERS, STORES
from tests.chaos.world import World

REFUSED = "refused by IAM"


@pytest.mark.parametrize("kind", [{}, STORES, REGISTERS])
def test_the_template_allows_what_the_function_calls(world: World, kind: dict[str, Any]) -> None:
    world.counts.clear()

    carry_out(world, [CREATE | kind, LATER, DELETE, LATER])

    assert world.counts[REFUSED] == 0
    assert world.answers_struck == []


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        ({}, "ec2:BundleInstance"),
        (STORES, "ec2:CreateImage"),
        (STORES, "s3:PutObject"),
        (REGISTERS, "ec2:CreateTags"),
    ],
)
def test_the_function_sees_the_refusal_of_a_call_that_its_role_does_not_allow(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any], lacking: str
) -> None:
    denied = {"Effect": "Deny", "Action": lacking, "Resource": "*"}
    policy = json.dumps({"Statement": [denied]})
    without = {
        function: RolePolicies(policies.of_role | {policy})
        for function, policies in roles._policies().items()
    }
    monkeypatch.setattr(roles, "_policies", lambda: without)
    roles._judged.cache_clear()
    world.counts.clear()

    carry_out(world, [CREATE | kind, LATER])

    roles._judged.cache_clear()
    assert world.counts[REFUSED] > 0
    refused = [line for line in world.log if line.startswith("not allowed: ")]
    assert any(f"to perform: {lacking} " in line for line in refused)
