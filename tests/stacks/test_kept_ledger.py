"""The application deleted and installed again, with the ledger that was kept."""

from collections.abc import Callable
from typing import Any

from .installations import install, resources
from .support import Aws, created, deleted

Template = Callable[..., dict[str, Any]]

NAME = "again"


def _of_it(body: dict[str, Any]) -> dict[str, Any]:
    """The template, for this installation."""
    token = f"{{{{resolve:ssm:/instance-bundle/{NAME}/ServiceToken}}}}"
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
    return body


def _install(aws: Aws, **parameters: str) -> str:
    stack_id = install(aws, NAME, {"FunctionName": NAME, "ExportName": "", **parameters})
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    return stack_id


def test_stacks_of_before_are_updated_and_deleted_by_the_next_installation(
    aws: Aws, template: Template
) -> None:
    first = _install(aws)
    table = aws.outputs(aws.stack(first))["LedgerTable"]
    instance = aws.instance(seconds="1")
    stack_id, before = created(aws, _of_it(template(instance, "kept/one", OnDelete="Delete")))
    deleted(aws, first)

    second = _install(aws, LedgerTableName=table)

    assert aws.outputs(aws.stack(second))["LedgerTable"] == table
    assert "LedgerTable" not in resources(aws, second)
    # An Update that makes no bundle answers with the one that the ledger has.
    aws.update_stack(
        stack_id, _of_it(template(instance, "kept/one", OnDelete="Delete", ServiceTimeout=600))
    )
    assert aws.outputs(aws.at_rest(stack_id)) == before
    assert len(aws.bundle_requests(instance)) == 1
    aws.update_stack(stack_id, _of_it(template(instance, "kept/two", OnDelete="Delete")))
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert aws.keys("kept/one") == []
    deleted(aws, stack_id)
    assert aws.keys("kept/") == []
    deleted(aws, second)
    assert table in aws.clients.client("dynamodb").list_tables()["TableNames"]
