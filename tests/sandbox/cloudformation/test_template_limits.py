"""How large templates and their parameters may be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import Sandbox

QUEUE = {"Type": "AWS::SQS::Queue"}


def template(**sections: Any) -> dict[str, Any]:
    return {"Resources": {"Queue": QUEUE}, **sections}


def sized(size: int) -> str:
    """A template of so many bytes."""
    short = json.dumps(template(Metadata={"Filler": ""}))
    return json.dumps(template(Metadata={"Filler": "x" * (size - len(short))}))


def many(count: int, member: Any) -> dict[str, Any]:
    return {f"Member{number}": member for number in range(count)}


def refused(words: str) -> Any:
    return pytest.raises(ClientError, match=rf"\(ValidationError\).*{words}")


def test_a_template_in_a_request_has_a_size(sandbox: Sandbox) -> None:
    words = "'templateBody' failed to satisfy constraint: Member must have length less than or "
    with refused(f"{words}equal to 51200"):
        sandbox.create(sized(51_201))
    with refused(words):
        sandbox.client.validate_template(TemplateBody=sized(51_201))
    with refused(words):
        sandbox.client.create_change_set(
            StackName="shop",
            ChangeSetName="c",
            ChangeSetType="CREATE",
            TemplateBody=sized(51_201),
        )

    sandbox.finish(sized(51_200), "CREATE_COMPLETE")


def test_a_template_in_s3_has_a_size(sandbox: Sandbox) -> None:
    s3 = sandbox.aws("s3")
    s3.create_bucket(Bucket="templates")
    for size in (1_000_000, 1_000_001):
        s3.put_object(Bucket="templates", Key=str(size), Body=sized(size).encode())
    url = "https://s3.amazonaws.com/templates/"

    with refused("Template may not exceed 1000000 bytes in size."):
        sandbox.client.create_stack(StackName="shop", TemplateURL=f"{url}1000001")

    sandbox.client.create_stack(StackName="shop", TemplateURL=f"{url}1000000")
    sandbox.until("CREATE_COMPLETE")


SECTIONS = [
    ("Resources", 500, {"Type": "AWS::SNS::Topic"}),
    ("Parameters", 200, {"Type": "String", "Default": ""}),
    ("Outputs", 200, {"Value": "1"}),
    ("Mappings", 200, {"a": {"b": "c"}}),
]


@pytest.mark.parametrize(("section", "most", "member"), SECTIONS)
def test_a_section_has_so_many_members(
    sandbox: Sandbox, section: str, most: int, member: Any
) -> None:
    words = f"Number of {section.lower()}, {most + 1}, is greater than maximum allowed, {most}"
    with refused(words):
        sandbox.client.validate_template(
            TemplateBody=json.dumps(template(**{section: many(most + 1, member)}))
        )

    sandbox.client.validate_template(
        TemplateBody=json.dumps(template(**{section: many(most, member)}))
    )


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"Resources": {"My_Queue": QUEUE}}, "Resource name My_Queue is non alphanumeric"),
        ({"Outputs": {"a-b": {"Value": "1"}}}, "Output name a-b is non alphanumeric"),
        ({"Resources": {"Q" * 256: QUEUE}}, "length is greater than 255"),
        ({"Description": "d" * 1025}, "'Description' length is greater than 1024"),
    ],
)
def test_names_and_descriptions_are_checked(
    sandbox: Sandbox, sections: dict[str, Any], words: str
) -> None:
    with refused(words):
        sandbox.create(json.dumps(template(**sections)))


def test_a_parameters_value_has_a_size(sandbox: Sandbox) -> None:
    body = json.dumps(template(Parameters={"Text": {"Type": "String"}}))

    def given(size: int) -> list[dict[str, str]]:
        return [{"ParameterKey": "Text", "ParameterValue": "ü" * (size // 2)}]

    with refused("Parameter 'Text' value .* length is greater than 4096"):
        sandbox.create(body, Parameters=given(4_098))

    sandbox.finish(body, "CREATE_COMPLETE", Parameters=given(4_096))


def test_a_stack_has_fifty_tags(sandbox: Sandbox) -> None:
    def tags(count: int) -> list[dict[str, str]]:
        return [{"Key": f"key-{number}", "Value": "x"} for number in range(count)]

    with refused("'tags' failed to satisfy constraint: Member must have length less than or .* 50"):
        sandbox.create(json.dumps(template()), Tags=tags(51))

    sandbox.finish(json.dumps(template()), "CREATE_COMPLETE", Tags=tags(50))
