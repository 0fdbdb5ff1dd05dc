"""Upload policies on whole stacks, compared with those that the AWS CLI makes."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from instance_bundle.request import upload_policy
from sandbox.clients import CREDENTIALS, REGION

from .support import Aws, side_by_side

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


def test_upload_policies_are_made_signed_and_sent_as_the_aws_cli_does(
    aws: Aws, template: Template, tmp_path: Path
) -> None:
    theirs = bundle_by_cli(aws, "cli/own")

    side_by_side(
        partial(_signature, theirs),
        partial(_policy_that_is_made, aws, template, tmp_path),
        partial(_policy_of_the_cli, aws, template, theirs, "JSON"),
        partial(_policy_of_the_cli, aws, template, theirs, "base64"),
        partial(_prefix_that_is_made, aws, template),
    )


def test_a_policy_or_secret_that_can_not_serve_fails_the_stack(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_policy_that_can_not_serve, aws, template),
        partial(_signature_of_another_key, aws, template),
        partial(_secret_that_can_not_sign, aws, template, "no JSON", "it is no JSON object"),
        partial(
            _secret_that_can_not_sign,
            *(aws, template, '{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}'),
            "it has no field SecretAccessKey",
        ),
    )


def _signature(theirs: dict[str, str]) -> None:
    """It is that of the AWS CLI for its own policy."""
    signature = upload_policy.sign(theirs["UploadPolicy"].encode(), SECRET_KEY)

    assert theirs["UploadPolicySignature"] == signature


def _policy_that_is_made(aws: Aws, template: Template, tmp_path: Path) -> None:
    """The function makes it, and signs it as the AWS CLI does."""
    instance = aws.instance(**SOON)
    body = template(instance, "credentials/web", UploadCredentials=aws.ready["secret"])
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


def _policy_of_the_cli(aws: Aws, template: Template, theirs: dict[str, str], form: str) -> None:
    """It arrives as the AWS CLI sends it."""
    text, prefix = theirs["UploadPolicy"], f"cli/own/{form}"
    given = text if form == "JSON" else base64.b64encode(text.encode()).decode()
    instance = aws.instance(**SOON)
    body = with_policy(template(instance, prefix), given, theirs["UploadPolicySignature"])

    stack = aws.at_rest(aws.create_stack(body))

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert received(aws, instance) == theirs | {"Prefix": prefix}


def _policy_that_can_not_serve(aws: Aws, template: Template) -> None:
    """It is refused before any call."""
    instance = aws.instance(**SOON)
    text = policy("others", "db/", hours=0.5)
    body = with_policy(template(instance, "refused/web"), text, upload_policy.sign(b"x", "y"))

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert reason.count("Storage.S3.UploadPolicy: ") == 3
    for part in ("expires before", "Storage.S3.Bucket is", "the keys begin with `refused/web`"):
        assert part in reason
    assert aws.bundle_requests(instance) == []


def _signature_of_another_key(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    text = policy(aws.ready["bucket"], "unsigned/")
    signature = upload_policy.sign(text.encode(), "another key")

    stack_id = aws.create_stack(with_policy(template(instance, "unsigned/web"), text, signature))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "failed. Client.S3Error: The request signature we calculated does not match" in reason
    assert signature not in reason
    assert aws.keys("unsigned/") == []


def _secret_that_can_not_sign(aws: Aws, template: Template, content: str, why: str) -> None:
    instance = aws.instance(**SOON)

    stack_id = aws.create_stack(template(instance, UploadCredentials=secret(aws, content)))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert why in aws.failure(stack_id)
    assert aws.bundle_requests(instance) == []


def _prefix_that_is_made(aws: Aws, template: Template) -> None:
    """It is readable, and fits the policy that is made."""
    arn = secret(aws, json.dumps({"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET_KEY}))

    stack_id = aws.create_stack(template(aws.instance(**SOON), UploadCredentials=arn))

    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    made = aws.outputs(stack)["S3Uri"].removeprefix(f"s3://{aws.ready['bucket']}/")
    assert made.startswith(f"{stack['StackName']}/Bundle/")
    assert f"{made}.manifest.xml" in aws.keys(made)
