"""The application uninstalled as docs/installations.md says, while stacks need it and later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .installations import install, resources
from .pages import Operator
from .support import Aws, created, deleted

Template = Callable[..., dict[str, Any]]

NAME, EXPORT = "uninstalled", "uninstalled-ServiceToken"
SECTION = "Uninstall"


def test_stacks_that_need_the_application_are_found_before_it_is_uninstalled(
    aws: Aws, template: Template, tmp_path: Path
) -> None:
    operator = Operator(aws, "docs/installations.md", tmp_path)
    installation = install(aws, NAME, {"FunctionName": NAME, "ExportName": EXPORT})
    assert aws.at_rest(installation)["StackStatus"] == "CREATE_COMPLETE", aws.events(installation)
    ledger = resources(aws, NAME)["LedgerTable"]
    reference = f"{{{{resolve:ssm:/instance-bundle/{NAME}/ServiceToken}}}}"
    importing, referring = (
        created(aws, _with(token, template(aws.instance(seconds="1"), f"uninstalled/{name}")))[0]
        for name, token in (("one", {"Fn::ImportValue": EXPORT}), ("two", reference))
    )

    shown = operator.type(SECTION, 0, APPLICATION=NAME, EXPORT=EXPORT)
    imports, *owned, status = shown.strip().split("\n")
    assert imports == importing.split("/")[1]
    assert all(stack.split("/")[1] in "".join(owned) for stack in (importing, referring))
    assert status == "Nothing is in flight."
    with pytest.raises(ClientError, match="is in use by"):
        aws.clients.cloudformation.delete_stack(StackName=NAME)
    assert aws.stack(NAME)["StackStatus"] == "CREATE_COMPLETE"

    deleted(aws, importing)
    operator.type(SECTION, 1, APPLICATION=NAME)
    aws.clients.cloudformation.delete_stack(StackName=referring)
    assert aws.at_rest(referring)["StackStatus"] == "DELETE_FAILED"
    operator.type(SECTION, 2, STACK=referring)
    assert aws.stack(referring)["StackStatus"] == "DELETE_COMPLETE"
    assert aws.keys("uninstalled/two.manifest") != []

    tables = aws.clients.client("dynamodb")
    assert ledger in tables.list_tables()["TableNames"]
    operator.type(SECTION, 3, LEDGER=ledger)
    assert ledger not in tables.list_tables()["TableNames"]


def _with(token: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The template, with this ServiceToken."""
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
    return body
