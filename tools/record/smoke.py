"""The smoke test: deploys the application, stores an image, and deletes everything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sandbox import artifact, deployment
from tools.record import cleaning, costs
from tools.record.running import Pace
from tools.record.site import PREFIX, TAG, Site, tags

IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"
"""The newest minimal Amazon Linux, whose volume has 2 GB
(https://docs.aws.amazon.com/linux/al2023/ug/ec2.html)."""

USUAL_SECONDS, USUAL_GIGABYTES = 3600, 2
"""What the estimate is of, where the image's size is not known."""

_TEMPLATE = Path(__file__).with_name("smoke.yaml")

Say = Callable[[str], None]


class Failed(Exception):
    """The application did not do what it should; the message is for people."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The instance that is made.

    Attributes:
        image_id: of its AMI.
        subnet_id: where it runs.
        gigabytes: of its volumes.
    """

    image_id: str
    subnet_id: str
    gigabytes: float


def machine(site: Site, image_id: str | None, subnet_id: str | None) -> Machine:
    """The instance to be made; nothing is made yet.

    Raises:
        Failed: there is no default subnet.
        botocore.exceptions.ClientError: there is no such image.
    """
    ec2 = site.client("ec2")
    if image_id is None:
        image_id = site.client("ssm").get_parameter(Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    [image] = ec2.describe_images(ImageIds=[image_id])["Images"]
    volumes = [each["Ebs"] for each in image.get("BlockDeviceMappings", []) if "Ebs" in each]
    sizes = sum(volume.get("VolumeSize", 0) for volume in volumes) or USUAL_GIGABYTES
    if subnet_id is None:
        default = [{"Name": "default-for-az", "Values": ["true"]}]
        subnets = ec2.describe_subnets(Filters=default)["Subnets"]
        if not subnets:
            raise Failed("The Region has no default subnet: name one by --subnet-id.")
        subnet_id = subnets[0]["SubnetId"]
    return Machine(image_id, subnet_id, sizes)


def smoke(site: Site, run: str, made_of: Machine, pace: Pace, say: Say) -> list[str]:
    """Make the smoke test, and delete all that it made; what went wrong, if anything."""
    began = time.monotonic()
    steps = _Smoke(site, run, pace, say)
    problems: list[str] = []
    try:
        _tried(steps, made_of)
    except (ClientError, Failed) as problem:
        problems.append(str(problem))
        say(f"Failed: {problem}")
    finally:
        say("Cleaning up")
        remained = cleaning.clean(site, run, say, None, pace.pause, pace.patience)
        for each in remained:
            say(f"It remained: {each}")
        say("It cost, by list prices of us-east-1:")
        seconds = time.monotonic() - began
        for line in costs.table(costs.Used(seconds, made_of.gigabytes, steps.images)):
            say(line)
    return [*problems, *remained]


def _tried(smoke: _Smoke, made_of: Machine) -> None:
    parameters = {
        "ImageId": made_of.image_id,
        "InstanceType": costs.INSTANCE_TYPE,
        "SubnetId": made_of.subnet_id,
        "RunId": smoke.run,
    }
    own = smoke.created("", parameters, TemplateBody=_TEMPLATE.read_text())
    bucket, instance_id = own["Bucket"], own["Instance"]
    smoke.wait_until_running(instance_id)
    token = smoke.deployed_application(bucket)
    smoke.images += 1
    body = _stored_image(token, instance_id, bucket, smoke.run)
    outputs = smoke.created("image", {}, TemplateBody=body)
    key = outputs["S3Uri"].partition(f"s3://{bucket}/")[2]
    smoke.check_stored(bucket, key)
    smoke.deleted("image")
    smoke.check_removed(bucket, key, outputs["ImageId"])


class _Smoke:
    """The calls of one smoke test."""

    def __init__(self, site: Site, run: str, pace: Pace, say: Say) -> None:
        self._site, self.run, self._pace, self._say = site, run, pace, say
        self._client = site.client("cloudformation")
        self.images = 0
        """How many may have been stored."""

    def created(self, name: str, parameters: Mapping[str, str], **template: str) -> dict[str, str]:
        """Create a stack; its outputs."""
        stack = self._name(name)
        self._say(f"Creating stack {stack}")
        self._client.create_stack(
            StackName=stack,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=tags(self.run),
            **template,
        )
        found = self._at_rest(stack)
        if found["StackStatus"] != "CREATE_COMPLETE":
            raise Failed(f"Stack {stack} is {found['StackStatus']}: {self._reason(stack)}")
        return cleaning.outputs_of(found)

    def deployed_application(self, bucket: str) -> str:
        """Deploy the application, its code in the bucket; its ServiceToken."""
        s3 = self._site.client("s3")
        template = deployment.template()
        template["Globals"]["Function"]["CodeUri"] = {"Bucket": bucket, "Key": "application.zip"}
        s3.put_object(Bucket=bucket, Key="application.zip", Body=artifact.build())
        s3.put_object(Bucket=bucket, Key="application.json", Body=json.dumps(template).encode())
        parameters = {
            "FunctionName": f"{PREFIX}-{self.run}",
            "ExportName": "",
            "AllowedBuckets": bucket,
            "LogRetentionInDays": "1",
        }
        url = f"https://{bucket}.s3.{self._site.region}.amazonaws.com/application.json"
        return self.created(cleaning.APPLICATION, parameters, TemplateURL=url)["ServiceToken"]

    def deleted(self, name: str) -> None:
        """Delete a stack."""
        stack = self._name(name)
        [found] = self._client.describe_stacks(StackName=stack)["Stacks"]
        self._say(f"Deleting stack {stack}")
        self._client.delete_stack(StackName=stack)
        status = self._at_rest(found["StackId"])["StackStatus"]
        if status != "DELETE_COMPLETE":
            raise Failed(f"Stack {stack} is {status}: {self._reason(stack)}")

    def wait_until_running(self, instance_id: str) -> None:
        """Wait for the instance."""
        self._site.client("ec2").get_waiter("instance_running").wait(
            InstanceIds=[instance_id], WaiterConfig={"Delay": self._pace.pause, "MaxAttempts": 120}
        )

    def check_stored(self, bucket: str, key: str) -> None:
        """Check that the image is in the bucket."""
        size = self._site.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"]
        self._say(f"The image is stored: {key}, {size / 2**30:.2f} GB")

    def check_removed(self, bucket: str, key: str, image_id: str) -> None:
        """Check that image, snapshots and object were deleted with their stack."""
        s3 = self._site.client("s3")
        left = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        if key in left:
            raise Failed(f"The object {key} was not deleted.")
        deadline = time.monotonic() + self._pace.patience
        while images := cleaning.images(self._site, self.run):
            if time.monotonic() > deadline:
                raise Failed(f"The image {image_id} was not deregistered: {', '.join(images)}")
            time.sleep(self._pace.pause)
        self._say("The image, its snapshots and the object were deleted with their stack.")

    def _at_rest(self, stack: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._pace.patience
        while True:
            found: dict[str, Any]
            [found] = self._client.describe_stacks(StackName=stack)["Stacks"]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return found
            if time.monotonic() > deadline:
                raise Failed(f"Stack {stack} is still {found['StackStatus']}.")
            time.sleep(self._pace.pause)

    def _reason(self, stack: str) -> str:
        """The first reason for which something failed."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack)
        failed = [
            event.get("ResourceStatusReason", "no reason")
            for page in pages
            for event in page["StackEvents"]
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        return failed[-1] if failed else "no reason"

    def _name(self, name: str) -> str:
        return f"{PREFIX}-{self.run}-{name}" if name else f"{PREFIX}-{self.run}"


def _stored_image(token: str, instance_id: str, bucket: str, run: str) -> str:
    """A template of an image that is stored, and deleted with its stack."""
    tag = [{"Key": TAG, "Value": run}]
    bundle = {
        "Type": "Custom::InstanceBundle",
        "Properties": {
            "ServiceToken": token,
            "ServiceTimeout": "3600",
            "Method": "StoreImage",
            "InstanceId": instance_id,
            "Storage": {"S3": {"Bucket": bucket}},
            "Image": {"Tags": tag},
            "OnDelete": "Delete",
        },
    }
    return json.dumps(
        {
            "Resources": {"Bundle": bundle},
            "Outputs": {
                name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in ("ImageId", "S3Uri")
            },
        }
    )
