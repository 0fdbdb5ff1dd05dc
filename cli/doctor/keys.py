"""The KMS keys: whether they are enabled, and whom their policies let use them."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cli.doctor.findings import Finding, aws, problem
from cli.doctor.site import Site

_MISSING = ("NotFoundException",)
_OWN = "KmsKeyArn"
_EVENTS = "events.amazonaws.com"
_USES = ("kms:Decrypt", "kms:GenerateDataKey")


def keys(site: Site) -> Iterator[Finding]:
    """Whether each key that a parameter names is enabled."""
    for parameter, value in site.template.parameters.items():
        if not parameter.endswith(("KmsKeyArn", "KmsKeyArns")):
            continue
        for arn in filter(None, value.split(",")):
            found = site.reader.read("kms:DescribeKey", absent=_MISSING, KeyId=arn)
            state = found["KeyMetadata"]["KeyState"] if found else "missing"
            if state != "Enabled":
                yield _key(parameter, arn, state)


def _key(parameter: str, arn: str, state: str) -> Finding:
    cancel = [aws("kms", "cancel-key-deletion", "--key-id", arn)]
    enable = [aws("kms", "enable-key", "--key-id", arn)]
    corrections = {"PendingDeletion": [*cancel, *enable], "Disabled": enable}
    return problem(
        f"The key {arn} of {parameter} is {state}.",
        "What it encrypts can't be read, and calls that need it are refused.",
        *corrections.get(state, []),
    )


def policies(site: Site) -> Iterator[Finding]:
    """Whether the policy of KmsKeyArn lets EventBridge and the functions' roles use the key.

    EventBridge needs a statement of its own, with no condition (Amazon SQS Developer Guide,
    Configure KMS permissions for AWS services). Statements that deny are not read.
    """
    arn = site.template.parameters.get(_OWN)
    if not arn:
        return
    found = site.reader.read("kms:GetKeyPolicy", absent=_MISSING, KeyId=arn, PolicyName="default")
    if found is None:
        return
    policy = json.loads(found["Policy"])
    statements = policy.get("Statement", [])
    added = []
    if not _allows(statements, "Service", {_EVENTS}, _USES):
        added.append(_statement("EventsOfEc2AndS3", {"Service": _EVENTS}))
        yield problem(
            f"The policy of the key {arn} does not let {_EVENTS} use it.",
            "EventBridge can't send events to the event queue, and work is only polled. The command"
            " adds a statement to the policy.",
            _put(arn, policy, *added),
        )
    roles = {site.template.arn(role) for role in site.template.of_type("AWS::IAM::Role")}
    account = site.template.place.account
    root = f"arn:{site.template.place.partition}:iam::{account}:root"
    outside = sorted(
        role
        for role in roles
        if not _allows(statements, "AWS", {"*", account, root, role}, _USES[:1])
    )
    if outside:
        added.append(_statement("FunctionsOfInstanceBundle", {"AWS": outside}))
        yield problem(
            f"The policy of the key {arn} lets neither IAM nor the functions' roles use it:"
            f" {', '.join(outside)}.",
            "The functions can't read the ledger and the queues. The command adds a statement to"
            " the policy.",
            _put(arn, policy, *added),
        )


def _allows(
    statements: list[dict[str, Any]], kind: str, principals: set[str], actions: tuple[str, ...]
) -> bool:
    """Whether statements without a condition allow each action to one of the principals."""
    patterns = [
        pattern.lower()
        for statement in statements
        if statement["Effect"] == "Allow" and "Condition" not in statement
        for pattern in _listed(statement.get("Action", []))
        if principals & _named(statement.get("Principal", {}), kind)
    ]
    return all(
        any(fnmatchcase(action.lower(), pattern) for pattern in patterns) for action in actions
    )


def _named(principal: Any, kind: str) -> set[str]:
    if isinstance(principal, str):
        return {principal}
    return {*_listed(principal.get(kind, []))}


def _statement(sid: str, principal: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": list(_USES),
        "Resource": "*",
    }


def _put(arn: str, policy: Mapping[str, Any], *added: Mapping[str, Any]) -> tuple[str, ...]:
    merged = {**policy, "Statement": [*policy.get("Statement", []), *added]}
    return aws(
        *("kms", "put-key-policy", "--key-id", arn, "--policy-name", "default"),
        *("--policy", json.dumps(merged)),
    )


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
