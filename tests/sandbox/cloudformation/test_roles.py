"""The service role of a stack, as single calls name it."""

from __future__ import annotations

from typing import Any

from tests.sandbox.cloudformation.phases import Phases, template
from tests.sandbox.cloudformation.support import ACCOUNT, client, installed

WEAK = f"arn:aws:iam::{ACCOUNT}:role/weak"
CLEANER = f"arn:aws:iam::{ACCOUNT}:role/cleaner"


def refusal(role: str, function: str) -> str | None:
    """Why a function may not be invoked."""
    return None if role == CLEANER else f"{role} may not invoke {function}"


def test_a_stack_is_deleted_by_the_role_that_the_request_names() -> None:
    with installed(client, refusal) as sandbox:
        sandbox.answer = lambda _: None
        phases = Phases(sandbox)
        stack_id = phases.created(template(Bundle="one"), Bundle="bun-1")
        wanted: list[dict[str, Any]] = [{"RoleARN": WEAK}, {}]
        for named in wanted:
            sandbox.client.delete_stack(StackName="shop", **named)
            sandbox.until("DELETE_FAILED")
            assert sandbox.stack()["RoleARN"] == WEAK
        assert f"{WEAK} may not invoke" in sandbox.reason("Bundle", "DELETE_FAILED")

        sandbox.client.delete_stack(StackName="shop", RoleARN=CLEANER)
        phases.answer(phases.request("Delete"))
        sandbox.until("DELETE_COMPLETE", stack_id)
