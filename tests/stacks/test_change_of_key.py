"""KmsKeyArn is changed while bundles are made."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from sandbox.artifact import REPOSITORY

from .installations import change, install, resources
from .support import Aws, json_of, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]


def test_the_key_changes_while_bundles_are_made(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_work_goes_on_with_the_former_key, aws, template),
        partial(_work_waits_until_the_former_key_is_named, aws, template),
    )


def _work_goes_on_with_the_former_key(aws: Aws, template: Template) -> None:
    one, other = _key(aws), _key(aws)
    installation = _installed(aws, one)

    for key, former in ((other, one), ("", other), (one, "")):
        stack_id = _polled(aws, template, installation, seconds="15")
        change(aws, installation, KmsKeyArn=key, FormerKmsKeyArn=former)
        assert _key_of_polls(aws, installation) == key
        assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)

    assert _refused(aws, installation) == set()


def _work_waits_until_the_former_key_is_named(aws: Aws, template: Template) -> None:
    one, other = _key(aws), _key(aws)
    installation = _installed(aws, one)
    stack_id = _polled(aws, template, installation, seconds="15")

    change(aws, installation, KmsKeyArn=other)
    wait_for(lambda: one in _refused(aws, installation) or None, "a poll that cannot be received")
    assert aws.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"

    change(aws, installation, FormerKmsKeyArn=one)
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)


def _key(aws: Aws) -> str:
    """The ARN of a new key, with a policy as docs/security.md has it."""
    text = (REPOSITORY / "docs/security.md").read_text().partition("## A key of your own")[2]
    events = json.loads(text.partition("```json")[2].partition("```")[0])
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    account = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [account, events]})
    arn: str = aws.clients.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


def _installed(aws: Aws, key: str) -> str:
    """The name of a new installation, which is also that of its function."""
    name = f"keyed-{uuid.uuid4().hex[:8]}"
    stack_id = install(aws, name, {"FunctionName": name, "ExportName": "", "KmsKeyArn": key})
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    return name


def _polled(aws: Aws, template: Template, installation: str, **steering: str) -> str:
    """A new stack, whose bundle is being made; the next poll of it is in the queue."""
    ledger = resources(aws, installation)["LedgerTable"]
    body = template(aws.instance(**steering), f"keyed/{uuid.uuid4().hex[:8]}")
    token = f"{{{{resolve:ssm:/instance-bundle/{installation}/ServiceToken}}}}"
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
    stack_id = aws.create_stack(body)

    def is_between_polls() -> bool | None:
        items = aws.clients.client("dynamodb").scan(TableName=ledger)["Items"]
        return (
            any(
                stack_id in item["resource"]["S"]
                and "task" in item
                and item["lease_until"]["N"] == "0"
                for item in items
            )
            or None
        )

    wait_for(is_between_polls, "the bundle to be polled from time to time")
    return stack_id


def _key_of_polls(aws: Aws, installation: str) -> str:
    """The key that encrypts polls from now on; empty for one of AWS's."""
    found = aws.clients.client("sqs").get_queue_attributes(
        QueueUrl=resources(aws, installation)["PollQueue"], AttributeNames=["KmsMasterKeyId"]
    )
    key: str = found.get("Attributes", {}).get("KmsMasterKeyId", "")
    return key


def _refused(aws: Aws, installation: str) -> set[str]:
    """The keys that the functions of an installation were not allowed to use."""
    return {
        each["resource"]
        for each in json_of(f"{aws.clients.endpoint}/sandbox/authorizations")
        if each["function"].startswith(installation)
        and each["action"].startswith("kms:")
        and not each["allowed"]
    }
