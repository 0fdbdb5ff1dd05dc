"""Upload policies on whole stacks, beside those that the AWS CLI makes."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from instance_bundle import upload_policy
from sandbox.clients import CREDENTIALS, REGION

from .support import Aws, signing_secret

Template = Callable[..., dict[str, Any]]

KEY_ID, SECRET_KEY = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
SOON = {"seconds": "1"}


def run_cli(aws: Aws, *arguments: str) -> Any:
    """What the real AWS CLI answers, as JSON."""
    command = [sys.executable, "-m", "awscli", *arguments, "--output", "json"]
    environment = {
        **os.environ,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws.clients.endpoint,
        "AWS_DEFAULT_REGION": REGION,
    }
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def bundle_by_cli(aws: Aws, prefix: str, *more: str) -> dict[str, str]:
    """The storage of the CLI's BundleInstance, as it came over the wire."""
    instance = aws.instance(**SOON)
    run_cli(
        aws,
        *("ec2", "bundle-instance", "--instance-id", instance, "--bucket", aws.ready["bucket"]),
        *("--prefix", prefix, "--owner-akid", KEY_ID, "--owner-sak", SECRET_KEY, *more),
    )
    return received(aws, instance)


def received(aws: Aws, instance: str) -> dict[str, str]:
    [request] = aws.bundle_requests(instance)
    storage: dict[str, str] = request["Storage"]["S3"]
    return storage


def secret(aws: Aws, content: Any) -> str:
    """The ARN of a new secret."""
    manager = aws.clients.client("secretsmanager")
    made = manager.create_secret(Name=f"bundles/{os.urandom(8).hex()}", SecretString=content)
    arn: str = made["ARN"]
    return arn


def policy(bucket: str, key: str, *, hours: float = 24, acl: str = "ec2-bundle-read") -> str:
    expires = datetime.now(UTC) + timedelta(hours=hours)
    conditions = [{"bucket": bucket}, {"acl": acl}, ["starts-with", "$key", key]]
    return json.dumps({"expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions})


def with_policy(body: dict[str, Any], text: str, signature: str) -> dict[str, Any]:
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"] |= {
        "AWSAccessKeyId": KEY_ID,
        "UploadPolicy": text,
        "UploadPolicySignature": signature,
    }
    return body


def test_the_signature_is_that_of_the_aws_cli_for_its_own_policy(aws: Aws) -> None:
    storage = bundle_by_cli(aws, "cli/own")

    signature = upload_policy.sign(storage["UploadPolicy"].encode(), SECRET_KEY)

    assert storage["UploadPolicySignature"] == signature


def test_a_policy_that_the_function_made_is_signed_as_the_aws_cli_signs_it(
    aws: Aws, template: Template, tmp_path: Path
) -> None:
    instance = aws.instance(**SOON)
    body = template(instance, "credentials/web", UploadCredentials=signing_secret(aws.clients))
    started = datetime.now(UTC)

    stack = aws.at_rest(aws.create_stack(body))

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    ours = received(aws, instance)
    made = json.loads(ours["UploadPolicy"])
    assert made["conditions"] == [
        {"bucket": aws.ready["bucket"]},
        {"acl": "ec2-bundle-read"},
        ["starts-with", "$key", "credentials/web"],
    ]
    outlasts = datetime.fromisoformat(made["expiration"]) - started - timedelta(hours=1)
    assert timedelta(hours=11) < outlasts < timedelta(hours=13)

    (tmp_path / "policy.json").write_text(ours["UploadPolicy"])
    theirs = bundle_by_cli(aws, "credentials/web", "--policy", f"file://{tmp_path / 'policy.json'}")
    assert theirs == ours


@pytest.mark.parametrize("form", ["JSON", "base64"])
def test_a_policy_of_the_aws_clis_arrives_as_the_aws_cli_sends_it(
    aws: Aws, template: Template, form: str
) -> None:
    prefix = f"cli/{form}"
    theirs = bundle_by_cli(aws, prefix)
    text = theirs["UploadPolicy"]
    given = text if form == "JSON" else base64.b64encode(text.encode()).decode()
    instance = aws.instance(**SOON)
    body = with_policy(
        template(instance, f"{prefix}/function"), given, theirs["UploadPolicySignature"]
    )

    stack = aws.at_rest(aws.create_stack(body))

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert received(aws, instance) == theirs | {"Prefix": f"{prefix}/function"}


def test_a_policy_that_can_not_serve_is_refused_before_any_call(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(**SOON)
    text = policy("others", "db/", hours=0.5)
    body = with_policy(template(instance, "refused/web"), text, upload_policy.sign(b"x", "y"))

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert reason.count("Storage.S3.UploadPolicy: ") == 3
    for told in ("expires before", "Storage.S3.Bucket is", "the keys begin with `refused/web`"):
        assert told in reason
    assert aws.bundle_requests(instance) == []


def test_a_signature_of_another_key_ends_the_task_with_s3s_words(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(**SOON)
    text = policy(aws.ready["bucket"], "unsigned/")
    signature = upload_policy.sign(text.encode(), "another key")

    stack_id = aws.create_stack(with_policy(template(instance, "unsigned/web"), text, signature))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "failed. Client.S3Error: The request signature we calculated does not match" in reason
    assert signature not in reason
    assert aws.keys("unsigned/") == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no JSON", "it is no JSON object"),
        ('{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}', "it has no field SecretAccessKey"),
    ],
)
def test_a_secret_that_can_not_sign_is_told(
    aws: Aws, template: Template, content: str, why: str
) -> None:
    instance = aws.instance(**SOON)

    stack_id = aws.create_stack(template(instance, UploadCredentials=secret(aws, content)))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert why in aws.failure(stack_id)
    assert aws.bundle_requests(instance) == []


def test_a_prefix_that_is_made_is_readable_and_fits_the_policy_that_is_made(
    aws: Aws, template: Template
) -> None:
    arn = secret(aws, json.dumps({"access_key": KEY_ID, "secret_key": SECRET_KEY}))

    stack_id = aws.create_stack(template(aws.instance(**SOON), UploadCredentials=arn))

    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    made = aws.outputs(stack)["S3Uri"].removeprefix(f"s3://{aws.ready['bucket']}/")
    assert made.startswith(f"{stack['StackName']}/Bundle/")
    assert f"{made}.manifest.xml" in aws.keys(made)
