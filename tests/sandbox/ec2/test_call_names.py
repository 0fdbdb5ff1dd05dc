"""The calls for images have the names by which faults strike them."""

import pytest
from werkzeug.test import EnvironBuilder

from sandbox.calls.api_calls import call_name


@pytest.mark.parametrize(
    "action",
    [
        "CreateImage",
        "CreateRestoreImageTask",
        "CreateStoreImageTask",
        "DeleteSnapshot",
        "DeregisterImage",
        "DescribeImages",
        "DescribeStoreImageTasks",
        "ModifyImageAttribute",
        "RegisterImage",
    ],
)
def test_a_call_is_named_by_its_action(action: str) -> None:
    scope = "Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/ec2/aws4_request"
    request = EnvironBuilder(
        method="POST",
        data={"Action": action, "Version": "2016-11-15", "ImageId": "ami-0123456789abcdef0"},
        headers=[("Authorization", f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0")],
    )

    assert call_name(request.get_environ()) == f"ec2:{action}"
