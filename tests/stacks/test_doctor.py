"""`instance-bundle doctor` names what somebody's hand has broken, and its commands correct it."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from cli.main import instance_bundle
from instance_bundle import __version__
from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION
from sandbox.deployment import STACK_NAME

from .installations import change, resources
from .support import Aws, Observers, SandboxProcess, wait_for

BUCKET = "images"
TEXT = (REPOSITORY / "docs" / "command.md").read_text()
ACTIONS = {*re.findall(r"^([a-z0-9]+:[A-Z]\w+)$", TEXT, re.MULTILINE)}
"""The actions that the docs say it needs."""
OTHERS = {action.partition(":")[0] for action in ACTIONS} - {"cloudformation"}
"""The services that are not asked what there should be."""
_ACCOUNT = "123456789012"
_ROOT = {
    "Sid": "Account",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{_ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
_EVENTS = {
    "Sid": "Events",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Resource": "*",
}
_DENIES = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}],
}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class World:
    """An installation with a key, a topic and a permissions boundary of its own.

    Attributes:
        ids: the physical IDs of its resources.
        key: the ARN of its key.
        topic: that of its topic.
        boundary: that of its permissions boundary.
        queue: of the bucket's notifications, which are not EventBridge's.
    """

    aws: Aws
    ids: dict[str, str]
    key: str
    topic: str
    boundary: str
    queue: str

    def client(self, service: str) -> Any:
        return self.aws.clients.client(service)

    def doctor(self, *options: str) -> Result:
        arguments = ["doctor", "--endpoint-url", self.aws.clients.endpoint, *options]
        return CliRunner().invoke(instance_bundle, arguments, catch_exceptions=False)

    def checks(self) -> dict[str, list[dict[str, Any]]]:
        """The findings of each check that has some."""
        result = self.doctor("--bucket", BUCKET, "--output", "json")
        found = {check["check"]: check["findings"] for check in json.loads(result.stdout)["checks"]}
        return {name: findings for name, findings in found.items() if findings}

    def is_healthy(self) -> bool | None:
        return self.checks() == {} or None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox of its own, whose only installation each test breaks, and leaves as it was."""
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("doctor"))
    aws = Aws(sandbox.ready, Observers(sandbox.ready["endpoint"]))
    client = aws.clients.client
    key = client("kms").create_key(Policy=_policy(_ROOT, _EVENTS))["KeyMetadata"]["Arn"]
    topic = client("sns").create_topic(Name="alarms")["TopicArn"]
    allows = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    client("s3").create_bucket(Bucket=BUCKET)
    boundary = client("iam").create_policy(PolicyName="boundary", PolicyDocument=_policy(allows))
    queue = client("sqs").create_queue(QueueName="others")["QueueUrl"]
    arn = boundary["Policy"]["Arn"]
    change(aws, KmsKeyArn=key, AlarmTopicArn=topic, PermissionsBoundary=arn, AllowedBuckets=BUCKET)
    made = World(aws, resources(aws), key, topic, arn, queue)
    _notify(made, "EventBridgeConfiguration")
    yield made
    assert sandbox.end() == 0


def _notify(world: World, *others: str) -> None:
    """Have the bucket notify a queue, and what else is named."""
    queue = {
        "Id": "others",
        "QueueArn": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:others",
        "Events": ["s3:ObjectRemoved:*"],
    }
    world.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={"QueueConfigurations": [queue], **{name: {} for name in others}},
    )


def test_a_healthy_installation_has_no_finding(world: World) -> None:
    result = world.doctor("--bucket", BUCKET)

    assert result.exit_code == 0, result.stdout
    first, heading, *rows = result.stdout.splitlines()
    assert first == f"Stack {STACK_NAME}, version {__version__}"
    assert heading.split() == ["CHECK", "RESULT"]
    assert {row.split()[-1] for row in rows} == {"ok"}


Break = Callable[[World], object]


def _disable_source(world: World) -> None:
    world.client("lambda").update_event_source_mapping(UUID=world.ids["PollSource"], Enabled=False)


def _delete_source(world: World) -> None:
    functions = world.client("lambda")
    mappings = functions.list_event_source_mappings(
        FunctionName=world.ids["InstanceBundleFunction"]
    )["EventSourceMappings"]
    [mapping] = [each for each in mappings if "-EventQueue-" in each["EventSourceArn"]]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def _stop_loops(world: World) -> None:
    world.client("lambda").put_function_recursion_config(
        FunctionName=world.ids["InstanceBundleFunction"], RecursiveLoop="Terminate"
    )


def _throttle(world: World, executions: int) -> None:
    world.client("lambda").put_function_concurrency(
        FunctionName=world.ids["LastResortFunction"], ReservedConcurrentExecutions=executions
    )


def _delete_destination(world: World) -> None:
    world.client("lambda").delete_function_event_invoke_config(
        FunctionName=world.ids["InstanceBundleFunction"]
    )


def _change_variables(world: World) -> None:
    world.client("lambda").update_function_configuration(
        FunctionName=world.ids["LastResortFunction"], Environment={"Variables": {"PAUSED": "true"}}
    )


def _change_role(world: World) -> None:
    role = f"arn:aws:iam::{_ACCOUNT}:role/{world.ids['InstanceBundleRole']}"
    world.client("lambda").update_function_configuration(
        FunctionName=world.ids["LastResortFunction"], Role=role
    )


def _strip_role(world: World) -> None:
    world.client("iam").delete_role_policy(
        RoleName=world.ids["InstanceBundleRole"], PolicyName="InstanceBundle"
    )


def _detach_policy(world: World) -> None:
    world.client("iam").detach_role_policy(
        RoleName=world.ids["InstanceBundleRole"], PolicyArn=world.ids["ImagesPolicy"]
    )


def _empty_policy(world: World) -> None:
    nothing = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    world.client("iam").create_policy_version(
        PolicyArn=world.ids["ImagesPolicy"], PolicyDocument=_policy(nothing), SetAsDefault=True
    )


def _deny_and_bound(world: World) -> None:
    iam = world.client("iam")
    iam.put_role_policy(
        RoleName=world.ids["LastResortRole"],
        PolicyName="guardrail",
        PolicyDocument=json.dumps(_DENIES),
    )
    allows = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    arn = iam.create_policy(PolicyName="narrow", PolicyDocument=_policy(allows))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(
        RoleName=world.ids["InstanceBundleRole"], PermissionsBoundary=arn
    )


def _change_queue_policy(world: World) -> None:
    others = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sqs:ReceiveMessage",
        "Resource": "*",
    }
    world.client("sqs").set_queue_attributes(
        QueueUrl=world.ids["EventQueue"], Attributes={"Policy": _policy(others)}
    )


def _decrypt_queue(world: World) -> None:
    world.client("sqs").set_queue_attributes(
        QueueUrl=world.ids["PollQueue"], Attributes={"KmsMasterKeyId": "alias/aws/sqs"}
    )


def _change_rule(world: World) -> None:
    world.client("events").put_rule(
        Name=world.ids["ObjectEventRule"], EventPattern=json.dumps({"source": ["aws.s3"]})
    )


def _remove_target(world: World) -> None:
    world.client("events").remove_targets(Rule=world.ids["ImageEventRule"], Ids=["EventQueue"])


def _stop_expiry(world: World) -> None:
    world.client("dynamodb").update_time_to_live(
        TableName=world.ids["LedgerTable"],
        TimeToLiveSpecification={"AttributeName": "expires", "Enabled": False},
    )


def _stop_recovery(world: World) -> None:
    world.client("dynamodb").update_continuous_backups(
        TableName=world.ids["LedgerTable"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


def _use_awss_key(world: World) -> None:
    world.client("dynamodb").update_table(
        TableName=world.ids["LedgerTable"], SSESpecification={"Enabled": True, "SSEType": "KMS"}
    )


def _own(world: World, ownership: str) -> None:
    world.client("s3").put_bucket_ownership_controls(
        Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]}
    )


def _put_key_policy(world: World, *statements: dict[str, Any]) -> None:
    world.client("kms").put_key_policy(
        KeyId=world.key, PolicyName="default", Policy=_policy(*statements)
    )


BREAKAGES: dict[str, dict[str, Break]] = {
    "of functions and rules": {
        "functions": _change_variables,
        "reserved concurrency": lambda world: _throttle(world, 0),
        "recursive loops": _stop_loops,
        "failure destinations": _delete_destination,
        "event sources": _disable_source,
        "event rules": lambda world: world.client("events").disable_rule(
            Name=world.ids["ImageEventRule"]
        ),
        "rule targets": _remove_target,
        "alarms": lambda world: world.client("cloudwatch").disable_alarm_actions(
            AlarmNames=[world.ids["LoopStoppedAlarm"]]
        ),
        "log groups": lambda world: world.client("logs").delete_log_group(
            logGroupName=world.ids["LastResortLogGroup"]
        ),
    },
    "of permissions": {
        "permissions": _strip_role,
        "queues": _decrypt_queue,
        "queue policies": _change_queue_policy,
        "expiry": _stop_expiry,
        "recovery": _stop_recovery,
        "tables": _use_awss_key,
        "key policy": lambda world: _put_key_policy(world, _ROOT),
        f"events of bucket {BUCKET}": _notify,
        "event rules": _change_rule,
        "alarms": lambda world: world.client("cloudwatch").delete_alarms(
            AlarmNames=[world.ids["LoopStoppedAlarm"]]
        ),
        "functions": _change_role,
    },
    "of a policy that is detached": {
        "permissions": _detach_policy,
        "key policy": lambda world: _put_key_policy(world, _EVENTS),
        "KMS keys": lambda world: world.client("kms").disable_key(KeyId=world.key),
    },
    "of a policy that is changed": {
        "permissions": _empty_policy,
        "KMS keys": lambda world: world.client("kms").schedule_key_deletion(KeyId=world.key),
    },
    "of a policy that denies, and a boundary": {
        "permissions": _deny_and_bound,
        "event sources": _delete_source,
        f"ownership of bucket {BUCKET}": lambda world: _own(world, "BucketOwnerEnforced"),
    },
}
"""What is broken at the same time, by the check that finds it."""


@pytest.mark.parametrize("broken", BREAKAGES.values(), ids=BREAKAGES)
def test_what_is_broken_is_named_and_the_commands_correct_it(
    world: World, broken: dict[str, Break]
) -> None:
    for damage in broken.values():
        damage(world)

    found = world.checks()

    assert found.keys() == broken.keys()
    for findings in found.values():
        assert [finding["what"] for finding in findings if not finding["commands"]] == []
        for finding in findings:
            for command in finding["commands"]:
                run(command)
    wait_for(world.is_healthy, f"the commands to correct {found}")


def run(command: str) -> None:
    """A command, as it is printed, by the AWS CLI of the environment."""
    program, *arguments = shlex.split(command)
    assert program == "aws"
    cli = Path(sys.executable).with_name("aws")
    subprocess.run([str(cli), *arguments], check=True, capture_output=True, text=True)


def _set_alarm(world: World, state: str) -> None:
    world.client("cloudwatch").set_alarm_state(
        AlarmName=world.ids["DeadLetterWaitsAlarm"], StateValue=state, StateReason="By hand"
    )


def test_what_only_a_person_can_correct_is_named(world: World) -> None:
    functions, sqs = world.client("lambda"), world.client("sqs")
    queue = world.ids["DeadLetterQueue"]
    functions.update_event_source_mapping(UUID=world.ids["DeadLetterSource"], Enabled=False)
    _throttle(world, 1)

    def is_found() -> dict[str, list[dict[str, Any]]] | None:
        # What Lambda has asked for before may still be received, and CloudWatch sets the alarm
        # back at the end of each minute.
        sqs.send_message(QueueUrl=queue, MessageBody="{}")
        _set_alarm(world, "ALARM")
        found = world.checks()
        return found if found.keys() >= {"alarms", "dead letters"} else None

    found = wait_for(is_found, "the dead letter")

    assert {name: [each["verdict"] for each in found[name]] for name in found} == {
        "reserved concurrency": ["warning"],
        "event sources": ["problem"],
        "dead letters": ["problem"],
        "alarms": ["problem"],
    }
    assert found["dead letters"][0]["what"].startswith("Dead letters that wait")
    sqs.purge_queue(QueueUrl=queue)
    for name in ("reserved concurrency", "event sources"):
        run(found[name][0]["commands"][0])
    for name in ("dead letters", "alarms"):  # they show more, and correct nothing
        run(found[name][0]["commands"][0])
    _set_alarm(world, "OK")
    wait_for(world.is_healthy, "the installation")


def test_a_bucket_that_stacks_can_not_use_is_named(world: World) -> None:
    result = world.doctor("--bucket", "missing", "--output", "json")

    checks = {check["check"]: check["findings"] for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    missing, not_allowed = (finding["what"] for finding in checks["bucket missing"])
    assert "does not exist" in missing
    assert "AllowedBuckets" in not_allowed
    assert checks["events of bucket missing"] == []


def test_a_bucket_of_another_region_is_named(world: World) -> None:
    world.client("s3").create_bucket(
        Bucket="images-of-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    result = world.doctor("--bucket", "images-of-europe")

    assert "The bucket images-of-europe is in eu-west-1, the application in us-east-1." in (
        result.stdout
    )


def test_a_pause_is_shown_and_its_command_ends_it(world: World) -> None:
    change(world.aws, Paused="true")
    result = world.doctor("--output", "json")
    [finding] = [
        each for check in json.loads(result.stdout)["checks"] for each in check["findings"]
    ]

    assert (finding["verdict"], finding["what"]) == ("warning", "The parameter Paused is true.")
    assert result.exit_code == 0
    run(finding["commands"][0])
    assert world.aws.at_rest(STACK_NAME)["StackStatus"] == "UPDATE_COMPLETE"
    assert world.is_healthy()


def test_a_call_that_is_refused_makes_its_check_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Response:
        status_code = 403

    def refuse(**_: Any) -> tuple[Response, dict[str, Any]]:
        return Response(), {"Error": {"Code": "AccessDenied", "Message": "No."}}

    class Session(boto3.Session):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            answer: Callable[..., Any] = refuse
            for service in OTHERS:
                self.events.register(f"before-call.{service}", answer)

    monkeypatch.setattr(boto3, "Session", Session)

    result = world.doctor("--bucket", BUCKET, "--output", "json")

    checks = json.loads(result.stdout)["checks"]
    assert result.exit_code == 1
    read_nothing = {"stack", "version", "pause", "alarm topic"}
    assert {each["check"] for each in checks if each["verdict"] == "ok"} == read_nothing
    refused = [finding for check in checks for finding in check["findings"]]
    assert {finding["verdict"] for finding in refused} == {"unknown"}
    assert {finding["what"].partition(": ")[2] for finding in refused} == {"AccessDenied: No."}
    assert {finding["what"].partition(": ")[0] for finding in refused} <= ACTIONS


def test_the_transcript_in_the_docs_is_what_the_command_writes(world: World) -> None:
    [(command, shown)] = re.findall(
        r"```console\n\$ instance-bundle (doctor .+)\n((?:[^`\n].*\n)+)```", TEXT
    )
    _stop_loops(world)
    _notify(world)

    result = world.doctor(*command.split()[1:])

    assert result.exit_code == 1
    options = f" --endpoint-url {world.aws.clients.endpoint}"
    written = result.stdout.replace(options, "").replace(f"version {__version__}", "version 0.1.0")
    assert written == shown
    for line in result.stdout.splitlines():
        if line.startswith("    "):
            run(line.strip())
    assert world.is_healthy()


def test_each_field_is_documented(world: World) -> None:
    [check, *_] = json.loads(world.doctor("--output", "json").stdout)["checks"]
    _, _, table = TEXT.partition("| Field of `checks` in JSON |")
    rows = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)

    assert [*check] == rows
