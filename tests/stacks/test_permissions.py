"""The roles' policies, as they are deployed, against the API calls that are made by them.

The application is deployed twice: with every parameter that allows something, and with as little as
it can do with. What the policies allow is read from the deployed roles, in which parameters and
conditions are resolved; what is called, from the sandbox, which counts it.
"""

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import upload_policy
from instance_bundle.images import REQUEST_TAG
from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, Clients

from .actions import ACTIONS, AT_CREATION, BY_LAMBDA, WITH_KEYS, at_creation, needs, through
from .faults import (
    clear_faults,
    hits,
    hurry,
    set_batch_size,
    set_fault,
    wait_for_empty_queues,
)
from .support import Aws, json_of, locked, shared, signing_secret
from .trials import BUNDLE_AND_REGISTER, BUNDLE_INSTANCE, STORE_IMAGE, Steps, Trial, carry_out

KEY_OF_LEDGER_AND_QUEUES = "arn:aws:kms:us-east-1:123456789012:key/of-ledger-and-queues"
KEY_OF_SECRETS = "arn:aws:kms:us-east-1:123456789012:key/of-secrets"
ENCRYPTING = ("dynamodb", "secretsmanager", "sqs")

FULL = {
    "KmsKeyArn": KEY_OF_LEDGER_AND_QUEUES,
    "UploadSecretsKmsKeyArn": KEY_OF_SECRETS,
    "AllowedInstanceTag": "bundle=yes",
    "AllowedBuckets": "instance-bundles,prod-*",
    "AllowObjectDeletion": "true",
    "AllowImages": "true",
}
LEAST = {
    "AllowObjectDeletion": "false",
    "AllowImages": "false",
    "UploadSecretArns": "",
    "EventBusName": "",
}
A_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-AbCdEf"  # noqa: S105


# Deployments


@pytest.fixture(scope="session")
def full_deployment(of_all_workers: Path) -> Iterator[Aws]:
    with shared(of_all_workers / "full-sandbox", FULL) as ready:
        clients = Clients(ready["endpoint"])
        yield Aws({**ready, "secret": signing_secret(clients)}, clients)


@pytest.fixture
def full(full_deployment: Aws, of_all_workers: Path) -> Iterator[Aws]:
    """The application with all that it can be allowed, and a secret to sign upload policies.

    One test at a time has it, and so knows whose calls are counted; likewise the other.
    """
    with locked(of_all_workers / "full"):
        yield full_deployment


@pytest.fixture(scope="session")
def least_deployment(of_all_workers: Path) -> Iterator[Aws]:
    with shared(of_all_workers / "least-sandbox", LEAST) as ready:
        yield Aws({**ready, "secret": A_SECRET}, Clients(ready["endpoint"]))


@pytest.fixture
def least(least_deployment: Aws, of_all_workers: Path) -> Iterator[Aws]:
    """The application with as little as it can do with."""
    with locked(of_all_workers / "least"):
        yield least_deployment


# What is allowed, and what is called

_MEMBERS = {"Sid", "Effect", "Action", "Resource", "Condition"}
OF_TAG = "aws:ResourceTag/"


@dataclass(frozen=True)
class Statement:
    """A statement of a role's policies, with parameters and the template's conditions resolved.

    Attributes:
        sid: its name.
        actions: what it allows.
        resources: what it allows that on.
        services: those that `kms:ViaService` holds it to; empty where nothing does.
        creations: the calls that `ec2:CreateAction` holds it to; likewise.
        tags: the keys of the tags that its resources must have.
        condition_keys: what its conditions are about.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    services: tuple[str, ...]
    creations: tuple[str, ...]
    tags: tuple[str, ...]
    condition_keys: frozenset[str]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Statement":
        assert {"Action", "Resource"} <= {*written} <= _MEMBERS, written
        condition = written.get("Condition", {})
        assert {*condition} <= {"Null", "StringEquals"}, written
        equal, absent = condition.get("StringEquals", {}), condition.get("Null", {})
        assert {*absent.values()} <= {"false"}, written
        return cls(
            sid=written["Sid"],
            actions=_listed(written["Action"]),
            resources=_listed(written["Resource"]),
            services=tuple(
                endpoint.partition(".")[0] for endpoint in _listed(equal.get("kms:ViaService", []))
            ),
            creations=tuple(
                f"ec2:{action}" for action in _listed(equal.get("ec2:CreateAction", []))
            ),
            tags=tuple(key.removeprefix(OF_TAG) for key in absent if key.startswith(OF_TAG)),
            condition_keys=frozenset({*equal, *absent}),
        )

    def allows(self) -> set[str]:
        """Actions, as `needs` has them."""
        if self.services:
            return {through(action, name) for action in self.actions for name in self.services}
        if self.creations:
            return {at_creation(action, call) for action in self.actions for call in self.creations}
        return {*self.actions}


def _listed(one_or_more: str | list[str]) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else tuple(one_or_more)


def statements(aws: Aws) -> dict[str, list[Statement]]:
    """The statements of each function's role, by the function's name in the template."""
    functions = aws.clients.functions.list_functions()["Functions"]
    names = names_in_the_template(aws)
    return {
        names[function["FunctionName"]]: statements_of(aws, function["Role"])
        for function in functions
    }


def statements_of(aws: Aws, role_arn: str) -> list[Statement]:
    written = written_for(aws, role_arn)
    return [Statement.of(each) for each in written if each["Effect"] == "Allow"]


def written_for(aws: Aws, role_arn: str) -> list[dict[str, Any]]:
    """The statements of a role's policies, as IAM has them."""
    iam, role = aws.clients.client("iam"), role_arn.rpartition("/")[2]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    policies = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    return [each for policy in policies for each in policy["Statement"]]


def not_denied(aws: Aws) -> list[str]:
    """The buckets and objects that the function is not denied, whatever it is allowed."""
    [role] = {
        function["Role"]
        for function in aws.clients.functions.list_functions()["Functions"]
        if not function["FunctionName"].endswith("-last-resort")
    }
    found = [each for each in written_for(aws, role) if each["Effect"] == "Deny"]
    assert [(each["Sid"], each["Action"]) for each in found] == [("NoOtherBuckets", "s3:*")]
    return [arn for each in found for arn in each["NotResource"]]


def calls(aws: Aws) -> dict[str, Counter[str]]:
    """How often each function has made each call, by the function's name in the template."""
    names = names_in_the_template(aws)
    found: dict[str, Counter[str]] = {}
    for made in json_of(f"{aws.clients.endpoint}/sandbox/api-calls"):
        counts = found.setdefault(names[made["function"]], Counter())
        counts[made["call"]] += made["count"]
    return found


def missing(
    allowed: Collection[Statement], made: Collection[str], encrypting: Collection[str] = ()
) -> list[str]:
    """What calls need and no statement allows, for a person."""
    all_allowed = {permission for statement in allowed for permission in statement.allows()}
    return [
        f"{call} needs {permission}, and no statement allows it"
        for call in sorted(made)
        for permission in sorted(needs(call, encrypting) - all_allowed)
    ]


def too_much(
    allowed: Collection[Statement], made: Collection[str], encrypting: Collection[str] = ()
) -> list[str]:
    """What statements allow and no call needs, for a person."""
    all_needed = {permission for call in made for permission in needs(call, encrypting)}
    return [
        f"{statement.sid} allows {permission}, and no call needs it"
        for statement in allowed
        for permission in sorted(statement.allows() - all_needed)
    ]


# The map


@cache
def services() -> dict[str, Any]:
    """The Service Authorization Reference, as cfn-lint has it."""
    text = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def is_an_action(name: str) -> bool:
    service, _, action = name.partition(":")
    return action.lower() in services()[service]["Actions"]


def test_each_action_of_the_map_and_of_the_template_is_one_of_iams() -> None:
    of_map = {
        action
        for by_call in (ACTIONS, WITH_KEYS, AT_CREATION)
        for found in by_call.values()
        for action in found
    }
    of_template = {
        action
        for statement in written_statements()
        for action in _listed(statement["Action"])
        if statement["Effect"] == "Allow"
    }

    assert {action for action in of_map | of_template if not is_an_action(action)} == set()


def written_statements() -> Iterator[dict[str, Any]]:
    """The statements about what may be done, of all policies of roles, as they are written."""
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            yield from found_in(resource["Properties"]["Policies"])


def found_in(node: Any) -> Iterator[dict[str, Any]]:
    """The statements in a piece of the template, whatever its conditions are."""
    if isinstance(node, dict) and "Effect" in node:
        actions = node["Action"]
        if isinstance(actions, dict):  # of the longer list; the shorter one is part of it
            actions = actions["Fn::If"][1]
        yield {**node, "Action": actions}
    elif isinstance(node, dict | list):
        for member in node.values() if isinstance(node, dict) else node:
            yield from found_in(member)


def test_the_map_has_the_calls_that_the_code_makes_and_those_that_lambda_makes() -> None:
    assert {*ACTIONS} == calls_in_the_code() | BY_LAMBDA
    assert {*WITH_KEYS, *AT_CREATION} <= {*ACTIONS}
    assert actions_in_the_code() <= {action for found in ACTIONS.values() for action in found}


CODE = [path.read_text() for path in (REPOSITORY / "functions/instance_bundle").glob("*.py")]


def calls_in_the_code() -> set[str]:
    """The calls that are written down in the functions' code, and those that libraries make."""
    written = re.compile(r'\baws\.(\w+)\(\)\s*\.(\w+)\((?:"(\w+)")?')
    found = {
        f"{client.removesuffix('_once')}:{_camel_case(paginated or method)}"
        for text in CODE
        for client, method, paginated in written.findall(text)
    }
    return found | {"secretsmanager:GetSecretValue", "response:Put", "signal:Put"}


def _camel_case(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))


def actions_in_the_code() -> set[str]:
    """The actions that the functions name where they are refused."""
    return {name for text in CODE for name in re.findall(r'\.calling\("([\w:]+)"\)', text)}


# Every feature


def test_each_statement_is_about_what_the_calls_touch(full: Aws) -> None:
    assert touched(full) == {
        "InstanceBundleFunction": {
            "Bundle": {"*"},
            "UseBundles": {"*/*.manifest.xml", "*/*.part.*"},
            "ListBuckets": {"*"},
            "UseLedger": {"table/LedgerTable"},
            "UsePollQueue": {"PollQueue"},
            "InvokeFailureHandler": {"function:LastResortFunction"},
            "Log": {"log-group:InstanceBundleLogGroup"},
            "DescribeImages": {"*"},
            "CreateImages": {"instance/*", "image/*", "snapshot/*"},
            "RegisterBundles": {"image/*"},
            "TagWhatIsMade": {"image/*", "snapshot/*"},
            "UseImages": {"image/*"},
            "UseSnapshots": {"snapshot/*"},
            "StoreObjects": {"*/ami-*.bin"},
            "ReadSecrets": {"secret:*"},
            "DecryptSecrets": {"key/of-secrets"},
            "PutEvents": {"event-bus/default"},
            "Decrypt": {"key/of-ledger-and-queues"},
            "EncryptMessages": {"key/of-ledger-and-queues"},
        },
        "LastResortFunction": {
            "ReadDeadLetters": {"DeadLetterQueue"},
            "UseLedger": {"table/LedgerTable"},
            "SendPolls": {"PollQueue"},
            "InvokeFunction": {"function:InstanceBundleFunction"},
            "Log": {"log-group:LastResortLogGroup"},
            "PutEvents": {"event-bus/default"},
            "Decrypt": {"key/of-ledger-and-queues"},
            "EncryptMessages": {"key/of-ledger-and-queues"},
        },
    }


def touched(aws: Aws) -> dict[str, dict[str, set[str]]]:
    """The resources of each function's statements, by the names that the template has for them."""
    names = names_in_the_template(aws)

    def name(arn: str) -> str:
        """What follows the account, or is all of it."""
        parts = re.split("([:/])", arn.split(":", 5)[-1])
        return "".join(names.get(part, part) for part in parts)

    return {
        function: {found.sid: {*map(name, found.resources)} for found in allowed}
        for function, allowed in statements(aws).items()
    }


def names_in_the_template(aws: Aws) -> dict[str, str]:
    """Names in the template, by the names that CloudFormation has given; of a queue, its URL."""
    resources = aws.clients.cloudformation.describe_stack_resources(
        StackName="cfn-instance-bundle"
    )["StackResources"]
    return {
        found["PhysicalResourceId"].rpartition("/")[2]: found["LogicalResourceId"]
        for found in resources
    }


def test_an_action_is_allowed_on_resources_of_a_kind_that_it_takes(full: Aws) -> None:
    wrong = [
        f"{function}, {statement.sid}: {action} on {arn}"
        for function, allowed in statements(full).items()
        for statement in allowed
        for action in statement.actions
        for arn in statement.resources
        if not takes(action, arn)
    ]

    assert wrong == []


def takes(action: str, arn: str) -> bool:
    """Whether an action can be allowed on a resource; one with no kinds of them, on `*` alone."""
    return arn == "*" if not kinds_of(action) else bool(kinds_that_fit(action, arn))


def kinds_of(action: str) -> list[dict[str, Any]]:
    """The kinds of resources that an action takes."""
    service, _, name = action.partition(":")
    of_service = services()[service]
    names = of_service["Actions"][name.lower()].get("Resources", [])
    return [of_service["Resources"][kind.lower()] for kind in names]


def kinds_that_fit(action: str, arn: str) -> list[dict[str, Any]]:
    """Those of them that a resource is of."""
    return [
        kind
        for kind in kinds_of(action)
        if any(re.fullmatch(re.sub(r"\$\{\w+}", "[^:]*", f), arn) for f in kind["ARNFormats"])
    ]


def test_a_tag_is_demanded_of_resources_whose_tags_a_condition_may_be_about(full: Aws) -> None:
    key = f"{OF_TAG}${{TagKey}}"
    wrong = [
        f"{statement.sid}: {action} on {arn}"
        for statement in statements(full)["InstanceBundleFunction"]
        for action in statement.actions
        for arn in statement.resources
        if statement.tags
        and not any(key in kind.get("ConditionKeys", []) for kind in kinds_that_fit(action, arn))
    ]

    assert wrong == []


UNKNOWN_TO_CFN_LINT = {
    # Its data has the keys of resources, and not those of requests and services: Service
    # Authorization Reference, Condition keys for Amazon EC2.
    "ec2:CreateAction",
    # Likewise, Condition keys for Amazon EventBridge.
    *("events:detail-type", "events:source"),
    # AWS KMS Developer Guide, AWS KMS condition keys.
    "kms:ViaService",
    # Amazon S3 User Guide, Amazon S3 condition keys, s3:ResourceAccount.
    "s3:ResourceAccount",
}


def test_each_condition_is_about_a_key_that_there_is(full: Aws) -> None:
    of_policies = {
        key
        for allowed in statements(full).values()
        for statement in allowed
        for key in statement.condition_keys
    }
    known = {
        key.partition("/")[0]
        for service in services().values()
        for kind in service["Resources"].values()
        for key in kind.get("ConditionKeys", [])
    }

    unknown = {key for key in of_policies if key.partition("/")[0] not in known}
    assert unknown == UNKNOWN_TO_CFN_LINT


def test_only_images_and_snapshots_that_were_made_so_are_open_to_the_function(full: Aws) -> None:
    demanded = {
        statement.sid: statement.tags
        for statement in statements(full)["InstanceBundleFunction"]
        if any("image/" in arn or "snapshot/" in arn for arn in statement.resources)
    }

    makes = {"CreateImages": (), "RegisterBundles": (), "TagWhatIsMade": ()}
    others = {"UseImages", "UseSnapshots"}
    assert demanded == makes | dict.fromkeys(others, (REQUEST_TAG,))


OF_BUCKETS = {"s3:ListBucket"}
MANIFEST, PART, OTHER = "web/windows.manifest.xml", "web/windows.part.0", "web/windows"
STORED = "ami-0123456789abcdef0.bin"
KEYS = (MANIFEST, PART, STORED, OTHER)


@pytest.mark.parametrize("bucket", ["instance-bundles", "prod-images"])
def test_only_objects_of_its_own_kinds_in_allowed_buckets_are_open_to_the_function(
    full: Aws, bucket: str
) -> None:
    allowed, open_to_it = statements(full)["InstanceBundleFunction"], not_denied(full)

    removes = {"s3:DeleteObject", "s3:GetObject"}
    stores = {"s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectTagging"}
    assert allowed_on_objects(allowed, open_to_it, bucket) == {
        MANIFEST: removes,
        PART: removes,
        STORED: removes | stores,
        OTHER: set(),
    }
    assert allowed_on_objects(allowed, open_to_it, f"other-{bucket}") == {
        key: set() for key in KEYS
    }
    assert f"arn:aws:s3:::{bucket}" in of_these(open_to_it, f"arn:aws:s3:::{bucket}")
    assert of_these(open_to_it, f"arn:aws:s3:::other-{bucket}") == []


def of_these(patterns: Collection[str], *arns: str) -> list[str]:
    """Those of the ARNs that a pattern fits."""
    return [arn for arn in arns if any(fnmatchcase(arn, pattern) for pattern in patterns)]


def allowed_on_objects(
    allowed: Collection[Statement], open_to_it: Collection[str], bucket: str
) -> dict[str, set[str]]:
    """What of Amazon S3 is allowed on objects, by their keys."""
    return {
        key: {
            action
            for statement in allowed
            for action in statement.actions
            if action.startswith("s3:") and action not in OF_BUCKETS
            if of_these(statement.resources, f"arn:aws:s3:::{bucket}/{key}")
            and of_these(open_to_it, f"arn:aws:s3:::{bucket}/{key}")
        }
        for key in KEYS
    }


def tagged_trial(aws: Aws, **steering: str) -> Trial:
    """A trial on an instance that AllowedInstanceTag lets be bundled."""
    return tagged(Trial(aws, instance=aws.instance(**{"seconds": "1"} | steering)))


def tagged_image_trial(aws: Aws, outcome: str = "complete") -> Trial:
    """Likewise of `Method: StoreImage`."""
    return tagged(Trial(aws, instance=STORE_IMAGE.instance(aws, outcome), method=STORE_IMAGE))


def tagged(trial: Trial) -> Trial:
    trial.aws.clients.ec2.create_tags(
        Resources=[trial.instance], Tags=[{"Key": "bundle", "Value": "yes"}]
    )
    return trial


@pytest.mark.faults
def test_a_full_run_calls_what_the_policies_allow_and_all_of_it(full: Aws) -> None:
    """Everything that the code can call is called, by crashes of all kinds and after them."""
    hurry(full)
    # Whether two polls come in one batch, chance decides.
    deletes_itself = any(_redeliver_a_batch(full) for _ in range(5))
    problems = _go_through_everything(full)
    wait_for_empty_queues(full)
    made = calls(full)

    assert deletes_itself
    assert problems == {}
    assert {call for counts in made.values() for call in counts} == {*ACTIONS}
    allowed = statements(full)
    functions = {"InstanceBundleFunction", "LastResortFunction"}
    assert {*made} == {*allowed} == functions
    gaps = {name: missing(allowed[name], made[name], ENCRYPTING) for name in functions}
    excess = {name: too_much(allowed[name], made[name], ENCRYPTING) for name in functions}
    assert gaps == {name: [] for name in functions}
    assert excess == {name: [] for name in functions}


def _redeliver_a_batch(aws: Aws) -> bool:
    """Kill the function at a batch of two polls; whether it then takes one out of the queue itself.

    What comes again after a kill is taken alone, and what comes with it is put back.
    """
    one, other = (tagged_trial(aws, seconds="12") for _ in range(2))
    deletions: list[str] = []

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield trial.rests()

    def strike() -> Steps:
        yield lambda _: bool(one.bundles() and other.bundles())
        # A batch that is about one of them, and a look at the other's task.
        [task] = other.bundles()
        set_fault(aws, "ec2:DescribeBundleTasks", "kill", one.name, holding=task)
        for name in (one.name, other.name):
            found = set_fault(aws, "sqs:DeleteMessageBatch", "delay", name, seconds=0, times=1000)
            deletions.append(found)

    set_batch_size(aws, 10)
    carry_out(aws, [create(one), create(other), strike()])
    wait_for_empty_queues(aws)
    struck = hits(aws)
    clear_faults(aws)
    set_batch_size(aws, 1)
    assert [trial.problems("CREATE_COMPLETE", 1, ["one"]) for trial in (one, other)] == [[], []]
    return any(struck[fault] for fault in deletions)


Ends = Callable[[], dict[str, list[str]]]
"""What of stacks, by what they have gone through, has not ended as it has to."""


def _go_through_everything(aws: Aws) -> dict[str, list[str]]:
    """What of the stacks, by what they go through, does not end as it has to."""
    bundling, bundled = _bundles(aws)
    storing, stored = _images(aws)
    carry_out(aws, [*bundling, *storing])
    clear_faults(aws)
    return {what: wrong for what, wrong in {**bundled(), **stored()}.items() if wrong}


def _create(trial: Trial, body: dict[str, Any]) -> Steps:
    trial.create(body)
    yield trial.rests()


def _delete_midway(trial: Trial, body: dict[str, Any]) -> Steps:
    trial.create(body)
    yield trial.is_between_polls()
    trial.delete()
    yield trial.rests()


def _amend_and_delete(trial: Trial, amended: list[str]) -> Steps:
    """A stack's whole life; `amended` gets what was not right before its end."""
    body = trial.body("one", OnDelete="Delete")
    trial.create(body)
    yield trial.rests()
    bundle = body["Resources"]["Bundle"]
    bundle["Properties"] = trial.method.amended(bundle["Properties"])
    trial.update(body)
    yield trial.rests()
    amended.extend(trial.problems("UPDATE_COMPLETE", 1, ["one"]))
    trial.delete()
    yield trial.rests()


def _images(aws: Aws) -> tuple[list[Steps], Ends]:
    """Steps that go through all that becomes of images, and how they have ended."""
    stored, midway = tagged_image_trial(aws), tagged_image_trial(aws, "hang")
    on_ebs = replace(tagged_image_trial(aws), method=BUNDLE_INSTANCE)
    on_instance_store = replace(tagged_trial(aws), method=STORE_IMAGE)
    amended: list[str] = []

    return [
        _amend_and_delete(stored, amended),
        _delete_midway(midway, midway.body("one")),
        _create(on_ebs, on_ebs.body("one")),
        _create(on_instance_store, on_instance_store.body("one")),
    ], lambda: {
        "image amended": amended,
        "image removed": stored.problems("DELETE_COMPLETE", 1, []),
        "image deleted midway": midway.problems("DELETE_COMPLETE", 1, []),
        "instance with an EBS root": _not_refused(on_ebs, "Use `Method: StoreImage`"),
        "instance with an instance-store root": _not_refused(
            on_instance_store, "Use `Method: BundleInstance`"
        ),
    }


def _not_refused(trial: Trial, advice: str) -> list[str]:
    """What is wrong with a stack that is to be refused with some advice, and to start nothing."""
    told = trial.reasons()
    is_right = [advice in reason for reason in told] == [True]
    return [
        *trial.problems("ROLLBACK_COMPLETE", 0, []),
        *([] if is_right else [f"was told {told}"]),
    ]


def _bundles(aws: Aws) -> tuple[list[Steps], Ends]:
    """Steps that go through all that becomes of bundles, under faults, and how they have ended."""
    removed = replace(tagged_trial(aws), method=BUNDLE_AND_REGISTER)
    midway = tagged_trial(aws, outcome="hang")
    failing = tagged_trial(aws, outcome="failed")
    twice = tagged_trial(aws)
    rehearsed = tagged_trial(aws)
    at_the_polls = tagged_trial(aws)
    in_the_ledger = tagged_trial(aws)
    at_all = tagged_trial(aws)
    amended: list[str] = []

    def create(trial: Trial, **properties: Any) -> Steps:
        return _create(trial, trial.body("one", **properties))

    set_fault(aws, "event:Delivery", "twice", twice.name)
    _let_crash(in_the_ledger, at_all)

    return [
        *(_amend_and_delete(removed, amended), _delete_midway(midway, midway.body("one"))),
        *(_create(failing, failing.waiting_body("one")), create(twice)),
        *(create(rehearsed, DryRun=True), create(in_the_ledger), create(at_all)),
        _create_with_crashing_polls(at_the_polls, at_the_polls.body("one", OnDelete="Delete")),
    ], lambda: {
        "amended": amended,
        "removed": removed.problems("DELETE_COMPLETE", 1, []),
        "deleted midway": midway.problems("DELETE_COMPLETE", 1, []),
        "fails": failing.problems("ROLLBACK_COMPLETE", 1, []),
        "delivered twice": twice.problems("CREATE_COMPLETE", 1, ["one"]),
        "rehearsed": rehearsed.problems("CREATE_COMPLETE", 0, []),
        "crashes at the polls": at_the_polls.problems("ROLLBACK_COMPLETE", 1, []),
        "crashes once received": in_the_ledger.problems("CREATE_COMPLETE", 1, ["one"]),
        "crashes at all": at_all.problems("CREATE_COMPLETE", 1, ["one"]),
    }


def _create_with_crashing_polls(trial: Trial, body: dict[str, Any]) -> Steps:
    """Kill each look at the task, until the last resort has answered."""
    fault = set_fault(trial.aws, "ec2:DescribeBundleTasks", "kill", trial.name, times=1000)
    trial.create(body)
    yield lambda now: any(answer["stackId"] == trial.stack_id for answer in now.responses)
    clear_faults(trial.aws, fault)
    yield trial.rests()


def _let_crash(in_the_ledger: Trial, at_all: Trial) -> None:
    aws = at_all.aws
    # As often as an event is delivered, before it goes to the last resort; which hands what was
    # received over to the polls.
    set_fault(aws, "sqs:SendMessage", "kill", in_the_ledger.name, times=3)
    # As often as an event is delivered, and then its record to the last resort: it is handed back.
    set_fault(aws, "dynamodb:PutItem", "kill", at_all.name, times=6)


def test_another_bucket_is_refused_before_anything_is_done(full: Aws) -> None:
    full.clients.s3.create_bucket(Bucket="elsewhere")
    trial = tagged_trial(full)
    body = trial.body("one")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = "elsewhere"

    reason, called = refusal(trial, body)

    assert "Storage.S3.Bucket: " in reason
    assert "AllowedBuckets" in reason
    assert called == AT_A_REFUSAL


AT_A_REFUSAL = {"dynamodb:PutItem", "dynamodb:UpdateItem", "response:Put"}
"""The request and its answer are written down; no more is done."""


def refusal(trial: Trial, body: dict[str, Any]) -> tuple[str, set[str]]:
    """The reason for which a stack is not created, and what the function calls for it."""
    aws = trial.aws
    wait_for_empty_queues(aws)
    before = calls(aws)["InstanceBundleFunction"]
    # With no rollback, and so no Delete, which would be received like any other.
    trial.stack_id = aws.clients.cloudformation.create_stack(
        StackName=trial.name, TemplateBody=json.dumps(body), DisableRollback=True
    )["StackId"]
    assert aws.at_rest(trial.stack_id)["StackStatus"] == "CREATE_FAILED"
    after = calls(aws)["InstanceBundleFunction"]
    # What Lambda does by itself goes on all the time.
    return aws.failure(trial.stack_id), {*(after - before)} - BY_LAMBDA


def test_only_an_instance_that_carries_the_tag_is_bundled(full: Aws) -> None:
    untagged, tagged = Trial(full, instance=full.instance(seconds="1")), tagged_trial(full)

    for trial in (untagged, tagged):
        trial.create(trial.body("one"))

    assert full.at_rest(untagged.stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = untagged.reasons()
    assert "InstanceId: " in reason
    assert "bundle=yes" in reason
    assert full.bundle_requests(untagged.instance) == []
    assert full.at_rest(tagged.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    assert tagged.problems("CREATE_COMPLETE", 1, ["one"]) == []


# As little as can be


def test_the_least_deployment_may_write_nothing_to_s3_and_make_no_images(least: Aws) -> None:
    allowed = {
        permission
        for of_role in statements(least).values()
        for statement in of_role
        for permission in statement.allows()
    }

    assert {name for name in allowed if name.startswith("s3:")} == {"s3:GetObject", "s3:ListBucket"}
    assert {name for name in allowed if name.startswith("ec2:")} == {
        *("ec2:BundleInstance", "ec2:CancelBundleTask"),
        *("ec2:DescribeBundleTasks", "ec2:DescribeImages", "ec2:DescribeInstances"),
    }
    assert {name.partition(":")[0] for name in allowed} == {
        *("dynamodb", "ec2", "lambda", "logs", "s3", "sqs")
    }
    assert allowed_on_objects(statements(least)["InstanceBundleFunction"], ["*"], "any") == {
        **{key: set() for key in KEYS},
        MANIFEST: {"s3:GetObject"},
    }


def test_the_least_deployment_bundles_by_upload_policies_and_calls_no_more_than_it_may(
    least: Aws,
) -> None:
    replaced = least_trial(least, seconds="1")
    failing = least_trial(least, seconds="1", outcome="failed")

    def replace_and_delete() -> Steps:
        replaced.create(with_an_upload_policy(replaced, "one"))
        yield replaced.rests()
        replaced.update(with_an_upload_policy(replaced, "two"))
        yield replaced.rests()
        assert replaced.problems("UPDATE_COMPLETE", 2, ["one", "two"]) == []
        replaced.delete()
        yield replaced.rests()

    def fail() -> Steps:
        failing.create(with_an_upload_policy(failing, "one"))
        yield failing.rests()

    carry_out(least, [replace_and_delete(), fail()])

    assert replaced.problems("DELETE_COMPLETE", 2, ["one", "two"]) == []
    assert least.stack(failing.stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert failing.manifests() == set()
    allowed = statements(least)
    assert {
        function: missing(allowed[function], made) for function, made in calls(least).items()
    } == {function: [] for function in allowed}


@pytest.mark.faults
def test_a_least_run_calls_what_the_policies_allow_and_all_of_it(least: Aws) -> None:
    hurry(least)
    midway, too_late = least_trial(least, outcome="hang"), least_trial(least, seconds="8")
    at_the_polls, *crashing = (least_trial(least, seconds="1") for _ in range(3))

    def create(trial: Trial) -> Steps:
        return _create(trial, with_an_upload_policy(trial, "one"))

    def end_too_late() -> Steps:
        too_late.create(with_an_upload_policy(too_late, "one"))
        yield too_late.is_between_polls()
        set_fault(least, "ec2:CancelBundleTask", "throttle", too_late.name, times=1000)
        too_late.delete()
        yield too_late.rests()

    _let_crash(*crashing)
    steps = [
        *map(create, crashing),
        _create_with_crashing_polls(at_the_polls, with_an_upload_policy(at_the_polls, "one")),
        _delete_midway(midway, with_an_upload_policy(midway, "one")),
        end_too_late(),
    ]
    carry_out(least, steps)
    clear_faults(least)
    wait_for_empty_queues(least)

    assert [trial.problems("CREATE_COMPLETE", 1, ["one"]) for trial in crashing] == [[], []]
    assert at_the_polls.problems("ROLLBACK_COMPLETE", 1, ["one"]) == []
    assert too_late.problems("DELETE_COMPLETE", 1, ["one"]) == []
    assert midway.problems("DELETE_COMPLETE", 1, []) == []
    allowed, made = statements(least), calls(least)
    gaps = {name: missing(allowed[name], made[name]) for name in allowed}
    excess = {name: too_much(allowed[name], made[name]) for name in allowed}
    assert gaps == excess == {name: [] for name in allowed}


def least_trial(aws: Aws, **steering: str) -> Trial:
    return Trial(aws, instance=aws.instance(**steering))


def with_an_upload_policy(trial: Trial, bundle: str) -> dict[str, Any]:
    """A template whose upload policy the bucket's owner has signed."""
    body = trial.body(bundle)
    properties = body["Resources"]["Bundle"]["Properties"]
    s3 = properties["Storage"]["S3"]
    document = upload_policy.make(s3["Bucket"], s3["Prefix"], time.time() + 12 * 3600)
    s3["AWSAccessKeyId"] = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    s3["UploadPolicy"] = base64.b64encode(document).decode()
    s3["UploadPolicySignature"] = upload_policy.sign(document, CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    del properties["UploadCredentials"]
    return body


def test_the_least_deployment_lets_no_update_ask_for_a_deletion(least: Aws) -> None:
    trial = least_trial(least, seconds="1")

    def ask_later() -> Steps:
        trial.create(with_an_upload_policy(trial, "one"))
        yield trial.rests()
        body = with_an_upload_policy(trial, "one")
        body["Resources"]["Bundle"]["Properties"]["OnDelete"] = "Delete"
        trial.update(body)
        yield trial.rests()
        assert trial.problems("UPDATE_ROLLBACK_COMPLETE", 1, ["one"]) == []
        trial.delete()
        yield trial.rests()

    carry_out(least, [ask_later()])

    assert trial.problems("DELETE_COMPLETE", 1, ["one"]) == []
    assert "OnDelete: can't be Delete" in trial.reasons()[0]
    assert "s3:DeleteObjects" not in calls(least)["InstanceBundleFunction"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("OnDelete", "AllowObjectDeletion"),
        ("UploadCredentials", "UploadSecretArns"),
        ("Method", "AllowImages"),
        ("Image", "AllowImages"),
    ],
)
def test_the_least_deployment_refuses_what_it_has_no_permission_for_before_anything_is_done(
    least: Aws, path: str, parameter: str
) -> None:
    trial = least_trial(least, seconds="1")
    body = with_an_upload_policy(trial, "one")
    match path:
        case "OnDelete":
            body["Resources"]["Bundle"]["Properties"]["OnDelete"] = "Delete"
        case "UploadCredentials":
            body = trial.body("one")
        case "Method":
            body = replace(trial, method=STORE_IMAGE).body("one")
            del body["Resources"]["Bundle"]["Properties"]["Image"]
        case "Image":
            body["Resources"]["Bundle"]["Properties"]["Image"] = {}

    reason, called = refusal(trial, body)

    assert f"1 problem in the properties. {path}: " in reason
    assert parameter in reason
    assert called == AT_A_REFUSAL
