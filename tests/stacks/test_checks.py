"""What is checked before EC2 is asked to do anything."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS

from .support import Aws, created, json_of, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

KEYS: dict[str, Any] = {name.lower(): value for name, value in CREDENTIALS.items()}


def test_nothing_is_asked_of_ec2_before_all_checks_have_passed(
    aws: Aws, template: Template
) -> None:
    linux = _instance_that_suits_no_method(aws, template)

    side_by_side(
        partial(_missing_bucket, aws, template, aws.ebs_instance(), Method="StoreImage"),
        partial(
            _missing_bucket, aws, template, aws.ebs_instance(), Method="StoreImage", DryRun=True
        ),
        partial(_missing_bucket, aws, template, aws.instance()),
        partial(_bucket_elsewhere, aws, template),
        partial(_terminated, aws, template),
        partial(_name_taken, aws, template),
        partial(_others_part, aws, template, {}),
        partial(_others_part, aws, template, {"DryRun": True}),
        partial(_suits_no_method, aws, template, linux, "BundleInstance"),
        partial(_suits_no_method, aws, template, linux, "StoreImage"),
    )


def _refusal(aws: Aws, body: dict[str, Any]) -> str:
    """The Reason of a Create that is refused; nothing was asked of EC2 about the instance."""
    instance = body["Resources"]["Bundle"]["Properties"]["InstanceId"]
    stack_id = aws.create_stack(body)
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    asked = json_of(f"{aws.clients.endpoint}/sandbox/authorizations")
    assert [each for each in asked if each["resource"].endswith(instance)] == []
    assert aws.bundle_requests(instance) == []
    return aws.failure(stack_id)


def _in_bucket(body: dict[str, Any], bucket: str) -> dict[str, Any]:
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = bucket
    return body


def _missing_bucket(aws: Aws, template: Template, instance: str, **properties: Any) -> None:
    body = _in_bucket(template(instance, **properties), "no-such-bucket")

    assert "Storage.S3.Bucket: there is no bucket no-such-bucket." in _refusal(aws, body)


def _bucket_elsewhere(aws: Aws, template: Template) -> None:
    bucket = f"elsewhere-{uuid.uuid4().hex}"
    boto3.client(
        "s3", endpoint_url=aws.clients.endpoint, region_name="eu-west-1", **KEYS
    ).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    body = _in_bucket(template(aws.ebs_instance(), Method="StoreImage"), bucket)

    assert f"{bucket} is in eu-west-1" in _refusal(aws, body)


def _terminated(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance()
    aws.clients.ec2.terminate_instances(InstanceIds=[instance])

    reason = _refusal(aws, template(instance, Method="StoreImage"))

    assert f"{instance} is terminated, and StoreImage accepts running or stopped" in reason


def _name_taken(aws: Aws, template: Template) -> None:
    name = f"taken-{uuid.uuid4().hex}"
    taken = aws.clients.ec2.create_image(InstanceId=aws.ebs_instance(), Name=name)["ImageId"]
    body = template(aws.ebs_instance(), Method="StoreImage", Image={"Name": name})
    of_name = [{"Name": "name", "Values": [name]}]
    shown = aws.clients.client("ec2").describe_images  # as the function sees it
    wait_for(lambda: shown(Filters=of_name)["Images"] or None, f"{taken} to be visible")

    assert f"the AMI {taken} has the name {name} already" in _refusal(aws, body)


def _others_part(aws: Aws, template: Template, properties: dict[str, Any]) -> None:
    prefix = f"backups/{uuid.uuid4().hex}.tar"
    s3, bucket, key = aws.clients.s3, aws.ready["bucket"], f"{prefix}.part.0"
    s3.put_object(Bucket=bucket, Key=key, Body=b"another tool's")

    reason = _refusal(aws, template(aws.instance(), prefix, **properties))

    assert "it is not overwritten. Change Prefix" in reason
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"another tool's"


def _instance_that_suits_no_method(aws: Aws, template: Template) -> str:
    """A Linux instance with an instance-store root volume: its AMI is registered from a bundle."""
    prefix = f"linux/{uuid.uuid4().hex}"
    created(aws, template(aws.instance(seconds="1"), prefix))
    image = aws.clients.ec2.register_image(
        Name=prefix, ImageLocation=f"{aws.ready['bucket']}/{prefix}.manifest.xml"
    )["ImageId"]

    def launched() -> str | None:
        try:
            run = aws.clients.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
        except ClientError:
            return None
        return run["Instances"][0]["InstanceId"]

    return wait_for(launched, f"{image} to be visible")


def _suits_no_method(aws: Aws, template: Template, instance: str, method: str) -> None:
    reason = _refusal(aws, template(instance, Method=method))

    assert f"{method} does not support {instance}" in reason
    assert "No method supports it" in reason
