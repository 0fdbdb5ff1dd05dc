"""What the functions' roles may do, by IAM's own simulation."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cli.doctor.findings import Command, Finding, aws, problem
from cli.doctor.site import Site

_ROLE = "AWS::IAM::Role"
_MANAGED = "AWS::IAM::ManagedPolicy"
_EXAMPLE = "example"

Cause = Literal["no policy", "a policy", "the boundary", "the organization"]
"""What refuses an action: that no policy allows it, or what denies it."""


@dataclass(frozen=True, slots=True)
class _Policy:
    """A policy that a role should have.

    Attributes:
        role: logical ID of the role.
        name: of an inline policy, its name; of a managed one, its ARN.
        document: what it should say.
    """

    role: str
    name: str
    document: Mapping[str, Any]

    @property
    def is_managed(self) -> bool:
        """Whether it is a policy of its own."""
        return self.name.startswith("arn:")


def permissions(site: Site) -> Iterator[Finding]:
    """Whether each role may do what the template gives it.

    Resources' policies, and resource control policies of the organization, are no part of the
    simulation (IAM API Reference, SimulatePrincipalPolicy).
    """
    for role in site.template.of_type(_ROLE):
        refused: defaultdict[Cause, set[str]] = defaultdict(set)
        for policy in _policies(site, role):
            missing: set[str] = set()
            for cause, action in _refusals(site, policy):
                (missing if cause == "no policy" else refused[cause]).add(action)
            if missing:
                why = "None of its policies allows it. The command restores the template's policy."
                yield problem(_what(site, role, missing), why, _restored(site, policy))
        for cause, actions in refused.items():
            yield problem(_what(site, role, actions), *_reason(site, role, cause))


def _policies(site: Site, role: str) -> Iterator[_Policy]:
    wanted = site.template.properties(role)
    for inline in wanted.get("Policies", []):
        yield _Policy(role, inline["PolicyName"], inline["PolicyDocument"])
    managed = {site.template.ids[name]: name for name in site.template.of_type(_MANAGED)}
    for arn in wanted.get("ManagedPolicyArns", []):
        if arn in managed:
            document = site.template.properties(managed[arn])["PolicyDocument"]
            yield _Policy(role, arn, document)


def _refusals(site: Site, policy: _Policy) -> Iterator[tuple[Cause, str]]:
    """The actions of a policy that are refused, and by what.

    One resource in each call: the simulator's answer about several is the worst of them (IAM API
    Reference, EvaluationResult).
    """
    allowing = [each for each in policy.document["Statement"] if each["Effect"] == "Allow"]
    for statement, resource in (
        (each, resource) for each in allowing for resource in _listed(each["Resource"])
    ):
        answer = site.reader.read(
            "iam:SimulatePrincipalPolicy",
            PolicySourceArn=site.template.arn(policy.role),
            ActionNames=_listed(statement["Action"]),
            ResourceArns=[_concrete(site, resource)],
            ContextEntries=_context(site, statement.get("Condition", {})),
        )
        for result in answer["EvaluationResults"]:
            cause = _cause(result)
            if cause is not None:
                yield cause, result["EvalActionName"]


def _cause(result: Mapping[str, Any]) -> Cause | None:
    if result["EvalDecision"] == "allowed":
        return None
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        return "the organization"
    bounds = result.get("PermissionsBoundaryDecisionDetail", {})
    if not bounds.get("AllowedByPermissionsBoundary", True):
        return "the boundary"
    return "a policy" if result["EvalDecision"] == "explicitDeny" else "no policy"


def _concrete(site: Site, pattern: str) -> str:
    """A resource that a pattern names; of Amazon S3's, one that AllowedBuckets has."""
    if pattern == "*":
        return pattern
    if ":s3:::" in pattern:
        bucket = site.template.parameters.get("AllowedBuckets", "").partition(",")[0]
        pattern = pattern.replace("arn:*:", f"arn:{site.template.place.partition}:")
        pattern = pattern.replace(":s3:::*", f":s3:::{bucket or _EXAMPLE}", 1)
    return pattern.replace("*", _EXAMPLE).replace("?", "x")


def _context(site: Site, conditions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Condition keys by which the conditions of a statement hold, and those of each request."""
    place = site.template.place
    keys = {
        "aws:PrincipalAccount": place.account,
        "aws:RequestedRegion": place.region,
        "aws:ResourceAccount": place.account,
        "s3:ResourceAccount": place.account,
    }
    for operator, wanted in conditions.items():
        if "Not" in operator:  # it holds for a key that is not there
            continue
        for key, values in wanted.items():
            keys[key] = _EXAMPLE if operator == "Null" else _listed(values)[0]
    return [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in keys.items()
    ]


def _what(site: Site, role: str, actions: set[str]) -> str:
    return f"{role} ({site.template.ids[role]}) may not: {', '.join(sorted(actions))}."


def _reason(site: Site, role: str, cause: Cause) -> tuple[str, *tuple[Command, ...]]:
    """Why a role may not do something that its policies allow, and the commands that correct it."""
    if cause == "the boundary":
        return _bounded(site, role)
    if cause == "the organization":
        return ("A service control policy denies it. Ask those who administer the organization.",)
    why = "A policy denies it. The commands remove the policies that the template lacks."
    return (why, *_removals(site, role))


def _restored(site: Site, policy: _Policy) -> Command:
    name, document = site.template.ids[policy.role], json.dumps(policy.document)
    if not policy.is_managed:
        return aws(
            *("iam", "put-role-policy", "--role-name", name, "--policy-name", policy.name),
            *("--policy-document", document),
        )
    if policy.name not in _attached(site, name):
        return aws(*("iam", "attach-role-policy", "--role-name", name, "--policy-arn", policy.name))
    return aws(
        *("iam", "create-policy-version", "--policy-arn", policy.name),
        *("--policy-document", document, "--set-as-default"),
    )


def _bounded(site: Site, role: str) -> tuple[str, *tuple[Command, ...]]:
    """Why the boundary refuses, and the command that puts the stack's in its place."""
    name = site.template.ids[role]
    wanted = site.template.properties(role).get("PermissionsBoundary")
    boundary = site.reader.read("iam:GetRole", RoleName=name)["Role"].get("PermissionsBoundary", {})
    arn = boundary.get("PermissionsBoundaryArn")
    if arn == wanted:
        return (f"The permissions boundary {arn} does not allow it. Add it to the boundary.",)
    why = f"The permissions boundary {arn}, which is not the stack's, does not allow it."
    if wanted:
        bound = ("iam", "put-role-permissions-boundary", "--role-name", name)
        return why, aws(*bound, "--permissions-boundary", wanted)
    return why, aws("iam", "delete-role-permissions-boundary", "--role-name", name)


def _removals(site: Site, role: str) -> Iterator[Command]:
    name = site.template.ids[role]
    wanted = site.template.properties(role)
    inline = {policy["PolicyName"] for policy in wanted.get("Policies", [])}
    for found in site.reader.read("iam:ListRolePolicies", RoleName=name)["PolicyNames"]:
        if found not in inline:
            yield aws(*("iam", "delete-role-policy", "--role-name", name, "--policy-name", found))
    for arn in sorted(_attached(site, name) - set(wanted.get("ManagedPolicyArns", []))):
        yield aws("iam", "detach-role-policy", "--role-name", name, "--policy-arn", arn)


def _attached(site: Site, role_name: str) -> set[str]:
    found = site.reader.read("iam:ListAttachedRolePolicies", RoleName=role_name)
    return {policy["PolicyArn"] for policy in found["AttachedPolicies"]}


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
