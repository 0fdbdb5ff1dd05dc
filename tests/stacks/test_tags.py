"""The tags of what is made: those that the stack asks for, and those that show what made it."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from .support import Aws, created, json_of, side_by_side

Template = Callable[..., dict[str, Any]]

OWN = "cfn-instance-bundle:"
WANTED = {
    "Name": "web (prod)",
    "list": "a, b",
    "https://x/?a=1&b=2": "https://x/?a=1&b=2",
    "भाषा": "हिन्दी",
    "🚀": "😀",
    "<key>": "\"value\" & 'more'",
    **{f"tag {number}": str(number) for number in range(6)},
}


def test_all_that_is_made_is_tagged(aws: Aws, template: Template) -> None:
    side_by_side(partial(_stored_image, aws, template), partial(_registered_image, aws, template))


def _stored_image(aws: Aws, template: Template) -> None:
    """Twelve tags in EC2's alphabet are on AMI and snapshots, and others on the object."""
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")
    image = {"Tags": _tags(WANTED), "ObjectTags": _tags({"Stage": "prod/eu"})}
    body = template(instance, Method="StoreImage", Image=image)
    body["Outputs"]["SnapshotIds"] = {"Value": {"Fn::GetAtt": ["Bundle", "SnapshotIds"]}}

    stack_id, outputs = created(aws, body)

    image_id = outputs["BundleId"]
    of_image = _tags_of(aws, image_id)
    request_id = of_image[f"{OWN}request-id"]
    own = _own(aws, stack_id, request_id)
    assert of_image == {**WANTED, **own, f"{OWN}bucket": aws.ready["bucket"]}
    for snapshot in outputs["SnapshotIds"].split(","):
        assert _tags_of(aws, snapshot) == {**WANTED, **own}
    found = aws.clients.s3.get_object_tagging(Bucket=aws.ready["bucket"], Key=f"{image_id}.bin")
    of_object = {tag["Key"]: tag["Value"] for tag in found["TagSet"]}
    assert of_object == {"Stage": "prod/eu", f"{OWN}request-id": request_id}


def _registered_image(aws: Aws, template: Template) -> None:
    """An AMI that an Update registers names the request that made its bundle."""
    prefix = f"tagged/{uuid.uuid4().hex}"
    instance = aws.instance(seconds="1")

    def body(**described: Any) -> dict[str, Any]:
        made = template(instance, prefix, Image={"Tags": _tags(WANTED), **described})
        made["Outputs"]["ImageId"] = {"Value": {"Fn::GetAtt": ["Bundle", "ImageId"]}}
        return made

    stack_id, first = created(aws, body())
    aws.update_stack(stack_id, body(Description="another"))
    second = aws.outputs(aws.at_rest(stack_id))

    assert first["ImageId"] != second["ImageId"]
    of_first, of_second = (_tags_of(aws, each["ImageId"]) for each in (first, second))
    assert of_first == {**WANTED, **_own(aws, stack_id, of_first[f"{OWN}request-id"])}
    assert of_second == of_first


def test_tags_that_are_refused_are_so_before_any_call(alone: Aws) -> None:
    before = _ec2_calls(alone)

    side_by_side(
        *(
            partial(_refused, alone, method, key, why)
            for method in ("StoreImage", "BundleInstance")
            for key, why in (
                ("Team", "is the key of an earlier tag"),
                ("AWS:x", "must be 1 to 127"),
            )
        )
    )

    assert _ec2_calls(alone) == before


def _refused(aws: Aws, method: str, key: str, why: str) -> None:
    tags = [{"Key": "Team", "Value": "a"}, {"Key": key, "Value": "b"}]
    instance = aws.ebs_instance() if method == "StoreImage" else aws.instance()
    properties = {
        "ServiceToken": {"Fn::ImportValue": "cfn-instance-bundle-ServiceToken"},
        "Method": method,
        "InstanceId": instance,
        "Storage": {"S3": {"Bucket": aws.ready["bucket"]}},
        "Image": {"Tags": tags},
    }
    stack_id = aws.create_stack(
        {"Resources": {"Bundle": {"Type": "Custom::InstanceBundle", "Properties": properties}}}
    )
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert f'1 problem in the properties. Image.Tags[1].Key: "{key}" {why}' in aws.failure(stack_id)


def _ec2_calls(aws: Aws) -> int:
    """How many calls of EC2 the function has made."""
    made = json_of(f"{aws.clients.endpoint}/sandbox/api-calls")
    return sum(each["count"] for each in made if each["call"].startswith("ec2:"))


def _own(aws: Aws, stack_id: str, request_id: str) -> dict[str, str]:
    return {
        f"{OWN}request-id": request_id,
        f"{OWN}stack-id": stack_id,
        f"{OWN}stack-name": aws.stack(stack_id)["StackName"],
        f"{OWN}logical-id": "Bundle",
    }


def _tags(plain: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in plain.items()]


def _tags_of(aws: Aws, resource_id: str) -> dict[str, str]:
    found = aws.clients.ec2.describe_tags(
        Filters=[{"Name": "resource-id", "Values": [resource_id]}]
    )["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}
