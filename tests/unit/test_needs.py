"""What calls need of roles: the map is whole, and of actions that there are."""

import re

from instance_bundle.aws.calls import CALLS
from sandbox.artifact import REPOSITORY
from sandbox.authorization.needs import BY_LAMBDA, NEEDS, OTHER_NEEDS
from tests import roles
from tests.iam import is_an_action, misfit

ACTIONS = {need.action for needs in (*NEEDS.values(), *OTHER_NEEDS.values()) for need in needs}
CODE = [path.read_text() for path in (REPOSITORY / "functions/instance_bundle").rglob("*.py")]


def test_each_action_of_the_map_is_one_of_iams() -> None:
    assert {action for action in ACTIONS if not is_an_action(action)} == set()


def test_the_map_has_the_calls_that_the_code_makes_and_those_that_lambda_makes() -> None:
    assert {*NEEDS} == calls_in_the_code() | BY_LAMBDA
    assert {*NEEDS} & {*OTHER_NEEDS} == set()
    assert {*CALLS} == calls_in_the_code() - {"response:Put", "signal:Put"}
    assert named_in_the_code() <= {*CALLS}


def calls_in_the_code() -> set[str]:
    """The calls that are written down in the functions' code, and those that libraries make."""
    written = re.compile(r'\baws\.(\w+)\(\)\s*\.(\w+)\((?:"(\w+)")?')
    found = {
        f"{client.removesuffix('_once')}:{_camel_case(paginated or method)}"
        for text in CODE
        for client, method, paginated in written.findall(text)
    }
    return found | {"secretsmanager:GetSecretValue", "response:Put", "signal:Put"}


def _camel_case(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))


def named_in_the_code() -> set[str]:
    """The calls that the functions name where they may be refused."""
    return {name for text in CODE for name in re.findall(r'\.calling\("([\w:]+)"\)', text)}


def test_an_action_on_a_resource_that_it_does_not_take_is_seen() -> None:
    image = "arn:aws:ec2:us-east-1::image/*"
    tagged = "aws:ResourceTag/made-by"

    assert misfit("ec2:DeregisterImage", image, {tagged}) is None
    assert misfit("ec2:DeregisterImages", image, set())
    assert misfit("ec2:DeleteSnapshot", image, set())
    assert misfit("ec2:DescribeImages", image, set())
    assert misfit("ec2:DescribeImages", "*", {tagged})
    assert (
        misfit("logs:PutLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:a:*", {}) is None
    )
    assert misfit("logs:PutLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:a", {})
    assert misfit("kms:Decrypt", "*", {"kms:ViaService"}) is None


def test_the_roles_of_the_template_are_resolved() -> None:
    found = roles.statements({"AllowImages": "false"})

    assert {*found} == {*roles.ROLES}
    sids = {function: [each["Sid"] for each in of_role] for function, of_role in found.items()}
    assert "CreateImages" not in sids["InstanceBundleFunction"]
    assert "ReadDeadLetters" in sids["LastResortFunction"]
