"""What a test checks of an application that a client has deployed."""

import hashlib
from base64 import b64encode
from urllib.parse import urlsplit

from samtranslator.yaml_helper import yaml_parse

from sandbox.deployment import STACK_NAME
from tests.stacks.support import Aws

FUNCTIONS = ("InstanceBundleFunction", "LastResortFunction")


def check_code(sandbox: Aws) -> str:
    """Check that each function is the object that the deployed template names; describe one."""
    template = yaml_parse(
        sandbox.clients.cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Original")[
            "TemplateBody"
        ]
    )
    shown = ""
    for name in FUNCTIONS:
        uri = template["Resources"][name]["Properties"]["CodeUri"]
        code = stored(sandbox, uri)
        assert deployed_digest(sandbox, name) == digest(code)
        shown = f"zip of {len(code) / 1_000_000:.1f} MB from {uri}"
    return shown


def deployed_digest(sandbox: Aws, logical_id: str) -> str:
    """The CodeSha256 of a function of the application."""
    resource = sandbox.clients.cloudformation.describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId=logical_id
    )["StackResourceDetail"]
    found = sandbox.clients.functions.get_function(FunctionName=resource["PhysicalResourceId"])
    return found["Configuration"]["CodeSha256"]


def stored(sandbox: Aws, uri: str) -> bytes:
    """The object that an `s3://` URL names."""
    place = urlsplit(uri)
    assert place.scheme == "s3"
    found = sandbox.clients.s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
    return found["Body"].read()


def digest(code: bytes) -> str:
    """As Lambda gives it as CodeSha256."""
    return b64encode(hashlib.sha256(code).digest()).decode()
