"""The roles' policies, as they are deployed, against the API calls that are made by them.

The application is deployed twice: with every parameter that allows something, and with as little as
it can do with. What the policies allow is read from the deployed roles, in which parameters and
conditions are resolved; what is asked of IAM for the calls, from the sandbox.
"""

import base64
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.request import upload_policy
from sandbox.authorization.needs import BY_LAMBDA, NEEDS
from sandbox.clients import CREDENTIALS
from sandbox.upstream.policies import Request, permits
from tests import roles
from tests.iam import misfit

from .faults import (
    clear_faults,
    hits,
    hurry,
    queue_urls,
    set_batch_size,
    set_fault,
    texts_of_requests,
    wait_for_empty_queues,
)
from .support import Aws, Observers, json_of, locked, shared, signing_secret, wait_for
from .trials import BUNDLE_AND_REGISTER, BUNDLE_INSTANCE, STORE_IMAGE, Steps, Trial, carry_out

KEY_OF_LEDGER_AND_QUEUES = "arn:aws:kms:us-east-1:123456789012:key/of-ledger-and-queues"
KEY_OF_SECRETS = "arn:aws:kms:us-east-1:123456789012:key/of-secrets"
KEY_OF_VOLUMES = "arn:aws:kms:us-east-1:123456789012:key/of-volumes"

FULL = {
    "KmsKeyArn": KEY_OF_LEDGER_AND_QUEUES,
    "UploadSecretsKmsKeyArn": KEY_OF_SECRETS,
    "ImageKmsKeyArns": KEY_OF_VOLUMES,
    "AllowedInstanceTag": "bundle=yes",
    "AllowedBuckets": "instance-bundles,prod-*",
    "AllowObjectDeletion": "true",
    "AllowVersionDeletion": "true",
    "AllowImages": "true",
    "VerifyRequests": "true",
}
LEAST = {
    "AllowObjectDeletion": "false",
    "AllowImages": "false",
    "UploadSecretArns": "",
    "EventBusName": "",
    "VerifyRequests": "false",
}
A_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-AbCdEf"  # noqa: S105


# Deployments


@pytest.fixture(scope="session")
def full_deployment(of_all_workers: Path) -> Iterator[Aws]:
    with shared(of_all_workers / "full-sandbox", FULL) as ready:
        clients = Observers(ready["endpoint"])
        yield Aws({**ready, "secret": signing_secret(clients, KEY_OF_SECRETS)}, clients)


@pytest.fixture
def full(full_deployment: Aws, of_all_workers: Path) -> Iterator[Aws]:
    """The application with all that it can be allowed, and a secret to sign upload policies.

    One test at a time has it, and so knows whose calls are counted; so does the other.
    """
    with locked(of_all_workers / "full"):
        yield full_deployment


@pytest.fixture(scope="session")
def least_deployment(of_all_workers: Path) -> Iterator[Aws]:
    with shared(of_all_workers / "least-sandbox", LEAST) as ready:
        yield Aws({**ready, "secret": A_SECRET}, Observers(ready["endpoint"]))


@pytest.fixture
def least(least_deployment: Aws, of_all_workers: Path) -> Iterator[Aws]:
    """The application with as little as it can do with."""
    with locked(of_all_workers / "least"):
        yield least_deployment


# What is allowed, and what was asked

OF_TAG = "aws:ResourceTag/"
Statement = dict[str, Any]


def statements(aws: Aws) -> dict[str, list[Statement]]:
    """The statements of each function's role that allow something, as IAM has them, by the
    function's name in the template."""
    functions = aws.clients.functions.list_functions()["Functions"]
    names = names_in_the_template(aws)
    return {
        names[function["FunctionName"]]: [
            each for each in written_for(aws, function["Role"]) if each["Effect"] == "Allow"
        ]
        for function in functions
    }


def written_for(aws: Aws, role_arn: str) -> list[Statement]:
    """The statements of a role's policies, as IAM has them."""
    iam, role = aws.clients.client("iam"), role_arn.rpartition("/")[2]
    inline = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    named = [_default_version(aws, policy["PolicyArn"]) for policy in attached]
    return [each for policy in (*inline, *named) for each in policy["Statement"]]


def _default_version(aws: Aws, arn: str) -> dict[str, Any]:
    iam = aws.clients.client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: dict[str, Any] = iam.get_policy_version(PolicyArn=arn, VersionId=version)[
        "PolicyVersion"
    ]["Document"]
    return document


def not_denied(aws: Aws) -> list[str]:
    """The buckets and objects that the function is not denied, whatever it is allowed."""
    [role] = {
        function["Role"]
        for function in aws.clients.functions.list_functions()["Functions"]
        if not function["FunctionName"].endswith("-last-resort")
    }
    denied = [each for each in written_for(aws, role) if each["Effect"] == "Deny"]
    assert {(each["Sid"], each["Action"]) for each in denied} == {
        ("NoOtherAccounts", "s3:*"),
        ("NoOtherBuckets", "s3:*"),
    }
    found = [each for each in denied if each["Sid"] == "NoOtherBuckets"]
    return [arn for each in found for arn in each["NotResource"]]


def calls(aws: Aws) -> dict[str, Counter[str]]:
    """How often each function has made each call, by the function's name in the template."""
    names = names_in_the_template(aws)
    found: dict[str, Counter[str]] = {}
    for made in json_of(f"{aws.clients.endpoint}/sandbox/api-calls"):
        counts = found.setdefault(names[made["function"]], Counter())
        counts[made["call"]] += made["count"]
    return found


@dataclass(frozen=True)
class Asked:
    """What was asked of IAM for calls, by the function's name in the template."""

    requests: dict[str, list[Request]]
    refused: list[str]

    @classmethod
    def of(cls, aws: Aws) -> "Asked":
        names, requests = names_in_the_template(aws), defaultdict[str, list[Request]](list)
        refused: list[str] = []
        for each in json_of(f"{aws.clients.endpoint}/sandbox/authorizations"):
            asked = f"{each['call']} needs {each['action']} on {each['resource']}"
            requests[names[each["function"]]].append(
                Request(each["action"], each["resource"], each["context"])
            )
            if not each["allowed"]:
                refused.append(f"{asked}, and {each['function']} may not do that")
        return cls(dict(requests), refused)


def lacks(allowed: Sequence[Statement], requests: Collection[Request]) -> list[Request]:
    """The requests that no statement allows."""
    policy = json.dumps({"Statement": allowed})
    return [request for request in requests if not permits([policy], request)]


def too_much(allowed: Sequence[Statement], requests: Collection[Request]) -> list[str]:
    """What statements allow and no request needs, for a person: by action and resource, and by
    action and a value that a condition names."""
    return [
        f"{statement['Sid']} allows {what}, and nothing needs it"
        for statement in allowed
        for what, part in parts(statement)
        if len(lacks([part], requests)) == len(requests)
    ]


def parts(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """Statements that each allow a part of what one does, and what that is."""
    for action in _listed(statement["Action"]):
        for arn in _listed(statement["Resource"]):
            yield f"{action} on {arn}", {**statement, "Action": action, "Resource": arn}
        equal = statement.get("Condition", {}).get("StringEquals", {})
        for key, values in equal.items():
            for value in _listed(values):
                condition = {**statement["Condition"], "StringEquals": {**equal, key: value}}
                part = {**statement, "Action": action, "Condition": condition}
                yield f"{action} where {key} is {value}", part


def _listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


# Every feature


def test_each_statement_is_about_what_the_calls_touch(full: Aws) -> None:
    assert touched(full) == {
        "InstanceBundleFunction": {
            "Bundle": {"*"},
            "UseBundles": {"*/*.manifest.xml", "*/*.part.*"},
            "ListBuckets": {"*"},
            "UseLedger": {"table/LedgerTable"},
            "UseRequests": {"table/RequestTable"},
            "UsePollQueue": {"PollQueue"},
            "ReceiveEvents": {"EventQueue"},
            "InvokeFailureHandler": {"function:LastResortFunction"},
            "Log": {"log-group:InstanceBundleLogGroup:*"},
            "CreateImages": {"instance/*", "image/*", "snapshot/*"},
            "RegisterBundles": {"image/*"},
            "TagWhatIsMade": {"image/*", "snapshot/*"},
            "UseImages": {"image/*"},
            "UseSnapshots": {"snapshot/*"},
            "StoreObjects": {"*/ami-*.bin"},
            "DecryptSnapshots": {"key/of-volumes"},
            "ReadSecrets": {"secret:*"},
            "DecryptSecrets": {"key/of-secrets"},
            "DescribeStacks": {"stack/*"},
            "PutEvents": {"event-bus/default"},
            "Decrypt": {"key/of-ledger-and-queues"},
            "EncryptMessages": {"key/of-ledger-and-queues"},
        },
        "LastResortFunction": {
            "ReadDeadLetters": {"DeadLetterQueue"},
            "UseLedger": {"table/LedgerTable"},
            "UseRequests": {"table/RequestTable"},
            "SendPolls": {"PollQueue"},
            "InvokeFunction": {"function:InstanceBundleFunction"},
            "Log": {"log-group:LastResortLogGroup:*"},
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
        function: {found["Sid"]: {*map(name, _listed(found["Resource"]))} for found in allowed}
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


def test_each_statement_is_of_actions_resources_and_conditions_that_there_are(full: Aws) -> None:
    wrong = {
        misfit(action, arn, keys_of(statement))
        for allowed in statements(full).values()
        for statement in allowed
        for action in _listed(statement["Action"])
        for arn in _listed(statement["Resource"])
    }

    assert wrong == {None}


def keys_of(statement: Statement) -> set[str]:
    """The condition keys of a statement."""
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


def test_only_images_and_snapshots_that_were_made_so_are_open_to_the_function(full: Aws) -> None:
    demanded = {
        statement["Sid"]: statement.get("Condition", {}).get("Null")
        for statement in statements(full)["InstanceBundleFunction"]
        if any("image/" in arn or "snapshot/" in arn for arn in _listed(statement["Resource"]))
    }

    makes = {"CreateImages", "RegisterBundles", "TagWhatIsMade"}
    others = {"UseImages", "UseSnapshots"}
    tagged = {f"{OF_TAG}{REQUEST_TAG}": "false"}
    assert demanded == dict.fromkeys(makes) | dict.fromkeys(others, tagged)


OF_BUCKETS = {"s3:ListBucket", "s3:ListBucketVersions"}
MANIFEST, PART, OTHER = "web/windows.manifest.xml", "web/windows.part.0", "web/windows"
STORED = "ami-0123456789abcdef0.bin"
KEYS = (MANIFEST, PART, STORED, OTHER)


@pytest.mark.parametrize("bucket", ["instance-bundles", "prod-images"])
def test_only_objects_of_its_own_kinds_in_allowed_buckets_are_open_to_the_function(
    full: Aws, bucket: str
) -> None:
    allowed, open_to_it = statements(full)["InstanceBundleFunction"], not_denied(full)

    removes = {
        *("s3:DeleteObject", "s3:GetObject", "s3:DeleteObjectVersion", "s3:GetObjectVersion"),
        *("s3:GetObjectLegalHold", "s3:GetObjectRetention"),
    }
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
            for action in _listed(statement["Action"])
            if action.startswith("s3:") and action not in OF_BUCKETS
            if of_these(_listed(statement["Resource"]), f"arn:aws:s3:::{bucket}/{key}")
            and of_these(open_to_it, f"arn:aws:s3:::{bucket}/{key}")
        }
        for key in KEYS
    }


def tagged_trial(aws: Aws, **steering: str) -> Trial:
    """A trial on an instance that AllowedInstanceTag lets be bundled."""
    return tagged(Trial(aws, instance=aws.instance(**{"seconds": "1"} | steering)))


def tagged_image_trial(aws: Aws, outcome: str = "complete") -> Trial:
    """The same with `Method: StoreImage`."""
    return tagged(Trial(aws, instance=STORE_IMAGE.instance(aws, outcome), method=STORE_IMAGE))


def encrypt(trial: Trial) -> Trial:
    """Attach a volume of the customer's key."""
    ec2, instance = trial.aws.clients.ec2, trial.instance
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    zone = found["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(
        AvailabilityZone=zone, Size=1, Encrypted=True, KmsKeyId=KEY_OF_VOLUMES
    )["VolumeId"]
    ec2.attach_volume(InstanceId=instance, VolumeId=volume, Device="/dev/sdf")
    return trial


def tagged(trial: Trial) -> Trial:
    trial.aws.clients.ec2.create_tags(
        Resources=[trial.instance], Tags=[{"Key": "bundle", "Value": "yes"}]
    )
    others = trial.aws.clients.client("ec2")

    def is_seen() -> bool | None:
        filters = [{"Name": "tag:bundle", "Values": ["yes"]}]
        found = others.describe_instances(InstanceIds=[trial.instance], Filters=filters)
        return True if found["Reservations"] else None

    wait_for(is_seen, "others to see the tag")
    return trial


@dataclass(frozen=True)
class FullRun:
    """The results of all calls that the code can make, by crashes of all kinds and after
    them.

    Attributes:
        problems: what has not ended as it has to.
        deletes_itself: whether the function took a message out of the queue itself.
        made: the calls.
        asked: what was asked of IAM for them.
        allowed: the statements of each function's role.
    """

    problems: dict[str, list[str]]
    deletes_itself: bool
    made: set[str]
    asked: Asked
    allowed: dict[str, list[Statement]]


@pytest.fixture(scope="session")
def full_run(full_deployment: Aws, of_all_workers: Path) -> FullRun:
    with locked(of_all_workers / "full"):
        hurry(full_deployment)
        # Whether two polls come in one batch, chance decides.
        deletes_itself = any(_redeliver_a_batch(full_deployment) for _ in range(5))
        problems = _go_through_everything(full_deployment)
        _receive_an_event(full_deployment)
        wait_for_empty_queues(full_deployment)
        return FullRun(
            problems,
            deletes_itself,
            {call for counts in calls(full_deployment).values() for call in counts},
            Asked.of(full_deployment),
            statements(full_deployment),
        )


@pytest.mark.faults
def test_a_full_run_calls_what_the_policies_allow_and_all_of_it(full_run: FullRun) -> None:
    assert full_run.deletes_itself
    assert full_run.problems == {}
    # The log groups are there already.
    assert full_run.made == {*NEEDS} - {"logs:CreateLogGroup"}
    allowed, requests = full_run.allowed, full_run.asked.requests
    assert {*requests} == {*allowed} == {"InstanceBundleFunction", "LastResortFunction"}
    assert full_run.asked.refused == []
    excess = {name: too_much(allowed[name], requests[name]) for name in allowed}
    assert excess == {name: [] for name in allowed}


@pytest.mark.faults
def test_what_a_full_run_needs_is_of_actions_resources_and_keys_that_there_are(
    full_run: FullRun,
) -> None:
    requests = [request for each in full_run.asked.requests.values() for request in each]

    assert {misfit(each.action, each.resource, each.context) for each in requests} == {None}


def each_action(parameters: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Each action that a statement allows: function, Sid, action; by names of the template."""
    return [
        (function, statement["Sid"], action)
        for function, of_role in roles.statements(parameters).items()
        for statement in of_role
        for action in _listed(statement["Action"])
        if statement["Effect"] == "Allow"
    ]


def without(statement: Statement, sid: str, action: str) -> Statement:
    """A statement with one action less, if it is the one of the Sid."""
    if statement["Sid"] != sid:
        return statement
    left = [each for each in _listed(statement["Action"]) if each != action]
    assert left != statement["Action"]
    return {**statement, "Action": left}


@pytest.mark.faults
@pytest.mark.parametrize(("function", "sid", "action"), each_action(FULL))
def test_a_full_run_misses_each_action_that_is_taken_away(
    full_run: FullRun, function: str, sid: str, action: str
) -> None:
    left = [without(each, sid, action) for each in full_run.allowed[function]]

    missed = lacks(left, full_run.asked.requests[function])

    assert {request.action for request in missed} == {action}


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
        # A batch that is about one of them, and a poll of the other's task.
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


def _receive_an_event(aws: Aws) -> None:
    """What it is about does not matter; EventBridge needs nothing of the function's role."""
    [queue] = [url for url in queue_urls(aws) if "-EventQueue-" in url]
    aws.clients.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")


def _create(trial: Trial, body: dict[str, Any]) -> Steps:
    trial.create(body)
    yield trial.rests()


def _keep(trial: Trial, body: dict[str, Any]) -> Steps:
    """CloudFormation is asked about a Delete that it did not send."""
    yield from _create(trial, body)
    yield trial.delete_by_hand()


def _delete_midway(trial: Trial, body: dict[str, Any]) -> Steps:
    trial.create(body)
    yield trial.is_between_polls()
    trial.delete()
    yield trial.rests()


def _update_and_delete(trial: Trial, updated: list[str]) -> Steps:
    """A stack's whole life; `updated` gets what was not right before its end."""
    body = trial.body("one", OnDelete="Delete")
    trial.create(body)
    yield trial.rests()
    bundle = body["Resources"]["Bundle"]
    bundle["Properties"] = trial.method.changed_in_place(bundle["Properties"])
    trial.update(body)
    yield trial.rests()
    updated.extend(trial.problems("UPDATE_COMPLETE", 1, ["one"]))
    trial.delete()
    yield trial.rests()


def _images(aws: Aws) -> tuple[list[Steps], Ends]:
    """Steps that go through all outcomes of images, and how they have ended."""
    stored, midway = encrypt(tagged_image_trial(aws)), tagged_image_trial(aws, "hang")
    kept, locked_image = tagged_image_trial(aws), tagged_image_trial(aws)
    on_ebs = replace(tagged_image_trial(aws), method=BUNDLE_INSTANCE)
    on_instance_store = replace(tagged_trial(aws), method=STORE_IMAGE)
    updated: list[str] = []

    return [
        _update_and_delete(stored, updated),
        _delete_midway(midway, midway.body("one")),
        _keep(kept, kept.body("one")),
        _lock_and_delete(locked_image),
        _create(on_ebs, on_ebs.body("one")),
        _create(on_instance_store, on_instance_store.body("one")),
    ], lambda: {
        "image updated": updated,
        "image removed": stored.problems("DELETE_COMPLETE", 1, []),
        "image kept": kept.problems("CREATE_COMPLETE", 1, ["one"]),
        "image locked": locked_image.problems("DELETE_COMPLETE", 1, []),
        "image deleted midway": midway.problems("DELETE_COMPLETE", 1, []),
        "instance with an EBS root": _not_refused(on_ebs, "Use `Method: StoreImage`"),
        "instance with an instance-store root": _not_refused(
            on_instance_store, "Use `Method: BundleInstance`"
        ),
    }


def _lock_and_delete(trial: Trial) -> Steps:
    """The stack is deleted while Object Lock protects its objects, and again once it does not."""
    bucket, body = f"prod-{trial.name}", trial.body("one", OnDelete="Delete")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = bucket
    trial.aws.clients.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    yield from _create(trial, body)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    _set_locks(trial.aws, bucket, {"Mode": "GOVERNANCE", "RetainUntilDate": tomorrow}, "ON")
    trial.delete()
    yield trial.rests()
    assert trial.aws.stack(trial.stack_id)["StackStatus"] == "DELETE_FAILED"
    _set_locks(trial.aws, bucket, {}, "OFF")
    trial.delete()
    yield trial.rests()


def _set_locks(aws: Aws, bucket: str, retention: Any, hold: Any) -> None:
    s3 = aws.clients.s3
    for each in s3.list_object_versions(Bucket=bucket)["Versions"]:
        place: Any = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        s3.put_object_retention(**place, Retention=retention, BypassGovernanceRetention=True)
        s3.put_object_legal_hold(**place, LegalHold={"Status": hold})


def _not_refused(trial: Trial, advice: str) -> list[str]:
    """What is wrong with a stack that is to be refused with some advice, and to start nothing."""
    reasons = trial.reasons()
    is_right = [advice in reason for reason in reasons] == [True]
    return [
        *trial.problems("ROLLBACK_COMPLETE", 0, []),
        *([] if is_right else [f"the Reasons were {reasons}"]),
    ]


def _bundles(aws: Aws) -> tuple[list[Steps], Ends]:
    """Steps that go through all outcomes of bundles, under faults, and how they have ended."""
    removed = replace(tagged_trial(aws), method=BUNDLE_AND_REGISTER)
    midway = tagged_trial(aws, outcome="hang")
    failing = tagged_trial(aws, outcome="failed")
    twice = tagged_trial(aws)
    dry_run = tagged_trial(aws)
    at_the_polls = tagged_trial(aws)
    in_the_ledger = tagged_trial(aws)
    at_all = tagged_trial(aws)
    locked_bundle = tagged_trial(aws)
    updated: list[str] = []

    def create(trial: Trial, **properties: Any) -> Steps:
        return _create(trial, trial.body("one", **properties))

    set_fault(aws, "event:Delivery", "twice", twice.name)
    _let_crash(in_the_ledger, at_all)

    return [
        *(_update_and_delete(removed, updated), _delete_midway(midway, midway.body("one"))),
        *(_create(failing, failing.waiting_body("one")), create(twice)),
        _lock_and_delete(locked_bundle),
        *(create(dry_run, DryRun=True), create(in_the_ledger), create(at_all)),
        _create_with_crashing_polls(at_the_polls, at_the_polls.body("one", OnDelete="Delete")),
    ], lambda: {
        "updated": updated,
        "removed": removed.problems("DELETE_COMPLETE", 1, []),
        "locked": locked_bundle.problems("DELETE_COMPLETE", 1, []),
        "deleted midway": midway.problems("DELETE_COMPLETE", 1, []),
        "fails": failing.problems("ROLLBACK_COMPLETE", 1, []),
        "delivered twice": twice.problems("CREATE_COMPLETE", 1, ["one"]),
        "dry run": dry_run.problems("CREATE_COMPLETE", 0, []),
        "crashes at the polls": at_the_polls.problems("ROLLBACK_COMPLETE", 1, []),
        "crashes once received": in_the_ledger.problems("CREATE_COMPLETE", 1, ["one"]),
        "crashes at all": at_all.problems("CREATE_COMPLETE", 1, ["one"]),
    }


def _create_with_crashing_polls(trial: Trial, body: dict[str, Any]) -> Steps:
    """Kill each poll of the task, until the failure handler has answered."""
    fault = set_fault(trial.aws, "ec2:DescribeBundleTasks", "kill", trial.name, times=1000)
    trial.create(body)
    yield lambda now: any(answer["stackId"] == trial.stack_id for answer in now.responses)
    clear_faults(trial.aws, fault)
    yield trial.rests()


def _let_crash(in_the_ledger: Trial, at_all: Trial) -> None:
    aws = at_all.aws
    # As often as an event is delivered, before it goes to the failure handler, which hands what was
    # received over to the polls.
    set_fault(aws, "sqs:SendMessage", "kill", in_the_ledger.name, times=3)
    # As often as an event is delivered, and then its record to the failure handler: it goes back.
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


AT_A_REFUSAL = {
    *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
    "response:Put",
}
"""The request and its answer are written down, and its text is removed; no more is done."""


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
    wait_for(lambda: not texts_of_requests(aws) or None, "the request's text to be removed")
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
        action
        for of_role in statements(least).values()
        for statement in of_role
        for action in _listed(statement["Action"])
    }

    assert {name for name in allowed if name.startswith("s3:")} == {"s3:GetObject", "s3:ListBucket"}
    assert {name for name in allowed if name.startswith("ec2:")} == {
        *("ec2:BundleInstance", "ec2:CancelBundleTask"),
        *("ec2:DescribeBundleTasks", "ec2:DescribeInstances"),
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
    assert Asked.of(least).refused == []


@dataclass(frozen=True)
class LeastRun:
    """The results of all calls that the least deployment can make; as `FullRun`."""

    problems: list[list[str]]
    asked: Asked
    allowed: dict[str, list[Statement]]


@pytest.fixture(scope="session")
def least_run(least_deployment: Aws, of_all_workers: Path) -> LeastRun:
    with locked(of_all_workers / "least"):
        problems = _go_through_the_least(least_deployment)
        return LeastRun(problems, Asked.of(least_deployment), statements(least_deployment))


def _go_through_the_least(least: Aws) -> list[list[str]]:
    """What of the stacks does not end as it has to."""
    hurry(least)
    midway, too_late = least_trial(least, outcome="hang"), least_trial(least, seconds="8")
    at_the_polls, kept, *crashing = (least_trial(least, seconds="1") for _ in range(4))

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
        _keep(kept, with_an_upload_policy(kept, "one")),
    ]
    carry_out(least, steps)
    clear_faults(least)
    _receive_an_event(least)
    wait_for_empty_queues(least)
    return [
        *(trial.problems("CREATE_COMPLETE", 1, ["one"]) for trial in crashing),
        at_the_polls.problems("ROLLBACK_COMPLETE", 1, ["one"]),
        too_late.problems("DELETE_COMPLETE", 1, ["one"]),
        midway.problems("DELETE_COMPLETE", 1, []),
        kept.problems("CREATE_COMPLETE", 1, ["one"]),
    ]


@pytest.mark.faults
def test_a_least_run_calls_what_the_policies_allow_and_all_of_it(least_run: LeastRun) -> None:
    assert least_run.problems == [[], [], [], [], [], []]
    allowed, requests = least_run.allowed, least_run.asked.requests
    assert least_run.asked.refused == []
    excess = {name: too_much(allowed[name], requests[name]) for name in allowed}
    assert excess == {name: [] for name in allowed}


@pytest.mark.faults
@pytest.mark.parametrize(("function", "sid", "action"), each_action(LEAST))
def test_a_least_run_misses_each_action_that_is_taken_away(
    least_run: LeastRun, function: str, sid: str, action: str
) -> None:
    left = [without(each, sid, action) for each in least_run.allowed[function]]

    missed = lacks(left, least_run.asked.requests[function])

    assert {request.action for request in missed} == {action}


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
