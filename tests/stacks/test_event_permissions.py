"""What lets events of EC2's and S3's through: the bucket's configuration, and the key's policy."""

import json
import os
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, REGION
from tests.fixtures import PATIENCE

from .events_of_buckets import announcing
from .installations import install, resources
from .support import Aws, json_of, wait_for


def test_events_are_refused_until_the_keys_policy_has_the_statement(aws: Aws) -> None:
    kms = aws.clients.client("kms")
    everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    account = {**everything, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    key = kms.create_key(Policy=json.dumps({"Statement": [account]}))["KeyMetadata"]
    name, bucket = f"keyed-{uuid.uuid4().hex[:8]}", announcing(aws)
    stack_id = install(aws, name, {"FunctionName": name, "ExportName": "", "KmsKeyArn": key["Arn"]})
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    made = resources(aws, name)

    def put() -> None:
        aws.clients.s3.put_object(Bucket=bucket, Key="other.manifest.xml", Body=b"")

    put()
    wait_for(lambda: _refused(aws, made["ObjectEventRule"]) or None, "a refused event")
    assert _received(aws, name, bucket) == 0

    text = (REPOSITORY / "docs/security.md").read_text().partition("## A key of your own")[2]
    statement = json.loads(text.partition("```json")[2].partition("```")[0])
    policy = json.dumps({"Statement": [account, statement]})
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy)
    put()
    wait_for(lambda: _received(aws, name, bucket) or None, "an event to be let through")
    logs = partial(
        aws.clients.client("logs").filter_log_events, logGroupName=made["InstanceBundleLogGroup"]
    )
    wait_for(
        lambda: "EventsReceived" in "".join(each["message"] for each in logs()["events"]) or None,
        "an event to be received",
    )


def _received(aws: Aws, installation: str, bucket: str) -> int:
    """How many of a bucket's events have come into an installation's queue."""
    messages = json_of(f"{aws.clients.endpoint}/sandbox/messages")
    return sum(
        each["queue"].startswith(installation) and bucket in each["body"] for each in messages
    )


def _refused(aws: Aws, rule: str) -> float:
    """How many events a rule could not send, in the last hour."""
    now = datetime.now(UTC)
    found = aws.clients.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Events",
        MetricName="FailedInvocations",
        Dimensions=[{"Name": "RuleName", "Value": rule}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    total: float = sum(point["Sum"] for point in found["Datapoints"])
    return total


@pytest.mark.parametrize("before", [{}, {"EventBridgeConfiguration": {}}, "of others"])
def test_the_pages_commands_add_eventbridge_to_what_the_bucket_has(
    aws: Aws, tmp_path: Path, before: Any
) -> None:
    bucket = f"my-images-{uuid.uuid4().hex[:8]}"
    aws.clients.s3.create_bucket(Bucket=bucket)
    configuration = _of_others(aws, bucket) if before == "of others" else before
    aws.clients.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )

    section = (REPOSITORY / "docs/events.md").read_text().partition("## Events of EC2 and S3")[2]
    commands = section.partition("```console\n")[2].partition("```")[0]
    typed = re.sub(r"^\$ ", "", commands, flags=re.MULTILINE).replace("my-images", bucket)
    environment = {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.clients.endpoint,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    subprocess.run(
        ["/bin/bash", "-euc", typed], cwd=tmp_path, env=environment, timeout=PATIENCE, check=True
    )

    found: Any = aws.clients.s3.get_bucket_notification_configuration(Bucket=bucket)
    del found["ResponseMetadata"]
    assert found == {**configuration, "EventBridgeConfiguration": {}}


def _of_others(aws: Aws, bucket: str) -> Any:
    """The configuration of a bucket that notifies a queue already."""
    sqs = aws.clients.client("sqs")
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    rule = {"Name": "prefix", "Value": "in/"}
    return {
        "QueueConfigurations": [
            {
                "Id": "of-others",
                "QueueArn": found["QueueArn"],
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [rule]}},
            }
        ]
    }
