"""Dynamic references to SSM parameters, in templates of custom resources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import ACCOUNT, REGION, Sandbox

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"
REFERENCE = "{{resolve:ssm:/bundles/ServiceToken}}"


def body(token: Any = REFERENCE, **properties: Any) -> str:
    bundle = {"Type": "Custom::Bundle", "Properties": {"ServiceToken": token, **properties}}
    return json.dumps(
        {
            "Parameters": {"Installation": {"Type": "String", "Default": "bundles"}},
            "Resources": {"Bundle": bundle},
            "Outputs": {"Token": {"Value": REFERENCE}},
        }
    )


@pytest.fixture
def stored(sandbox: Sandbox) -> Sandbox:
    """The sandbox, with the function's ARN in SSM."""
    store(sandbox, TOKEN)
    return sandbox


def store(sandbox: Sandbox, value: str, **more: Any) -> None:
    more = {"Type": "String", **more}
    sandbox.aws("ssm").put_parameter(
        Name="/bundles/ServiceToken", Value=value, Overwrite=True, **more
    )


@pytest.mark.parametrize(
    "token",
    [
        REFERENCE,
        "{{resolve:ssm:/bundles/ServiceToken:1}}",
        {"Fn::Sub": "{{resolve:ssm:/${Installation}/ServiceToken}}"},
        {"Fn::Join": ["/", ["{{resolve:ssm:", {"Ref": "Installation"}, "ServiceToken}}"]]},
    ],
)
def test_a_reference_is_the_parameters_value(stored: Sandbox, token: Any) -> None:
    stored.finish(body(token), "CREATE_COMPLETE")

    event = stored.event("Create")
    assert event["ServiceToken"] == TOKEN
    assert event["ResourceProperties"] == {"ServiceToken": TOKEN}
    assert stored.outputs() == {"Token": TOKEN}


def test_a_reference_with_a_version_is_that_version(stored: Sandbox) -> None:
    store(stored, "second")
    texts = ["{{resolve:ssm:/bundles/ServiceToken:2}}", f"{REFERENCE}, {REFERENCE}"]

    stored.finish(body(TOKEN, Texts=texts), "CREATE_COMPLETE")

    assert stored.event("Create")["ResourceProperties"]["Texts"] == ["second", "second, second"]


def test_a_parameter_that_is_missing_refuses_the_request(sandbox: Sandbox) -> None:
    with pytest.raises(ClientError, match=r"\[ssm:/bundles/ServiceToken\] cannot be found"):
        sandbox.create(body())

    assert sandbox.client.list_stacks()["StackSummaries"] == []


def test_a_secure_string_is_no_plaintext_value(sandbox: Sandbox) -> None:
    store(sandbox, TOKEN, Type="SecureString")

    with pytest.raises(ClientError, match="no plaintext value"):
        sandbox.create(body())


@pytest.mark.parametrize("service", ["ssm-secure", "secretsmanager"])
def test_a_custom_resource_gets_references_to_secrets_as_they_are(
    stored: Sandbox, service: str
) -> None:
    secret = f"{{{{resolve:{service}:/bundles/ServiceToken}}}}"

    stored.finish(body(Secret=secret), "CREATE_COMPLETE")

    assert stored.event("Create")["ResourceProperties"]["Secret"] == secret


def test_a_template_has_sixty_references(stored: Sandbox) -> None:
    with pytest.raises(ClientError, match="60 dynamic references"):
        stored.create(body(Texts=[REFERENCE] * 59))  # with those of ServiceToken and the output

    stored.finish(body(Texts=[REFERENCE] * 58), "CREATE_COMPLETE")


def test_another_value_alone_is_no_update(stored: Sandbox) -> None:
    stored.finish(body(Text="{{resolve:ssm:/bundles/ServiceToken}}"), "CREATE_COMPLETE")
    store(stored, TOKEN + ":2")

    with pytest.raises(ClientError, match="No updates are to be performed"):
        stored.client.update_stack(StackName="shop", TemplateBody=body(Text=REFERENCE))


def test_an_update_reads_the_value_again_and_a_rollback_does_not(stored: Sandbox) -> None:
    stored.finish(body(Text="one"), "CREATE_COMPLETE")
    store(stored, f"{TOKEN}-other")

    stored.client.update_stack(StackName="shop", TemplateBody=body(Text="two"))

    stored.until("UPDATE_ROLLBACK_COMPLETE")
    assert "service token is not allowed" in stored.reason("Bundle", "UPDATE_FAILED")
    assert [event["RequestType"] for event in stored.events] == ["Create"]


def test_a_stack_is_deleted_when_the_parameter_is_gone(stored: Sandbox) -> None:
    stored.finish(body(), "CREATE_COMPLETE")
    stored.aws("ssm").delete_parameter(Name="/bundles/ServiceToken")

    stored.delete()

    assert stored.event("Delete")["ServiceToken"] == TOKEN
