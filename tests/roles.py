"""The policies of the application's roles, resolved without a deployment."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox import deployment
from sandbox.cloudformation.templates import pseudo_parameters, read

ACCOUNT, REGION = "123456789012", "us-east-1"

ROLES = {"InstanceBundleFunction": "InstanceBundleRole", "LastResortFunction": "LastResortRole"}
"""The roles, by the functions that have them; names of the template."""


class _Names:
    """What the template's names mean."""

    def __init__(self, values: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        self._values, self._attributes = values, attributes

    def ref(self, name: str) -> Any:
        return self._values.get(name, name)

    def attribute(self, logical_id: str, name: str) -> str:
        return self._attributes.get(logical_id, f"arn:of:{logical_id}:{name}")

    def imported(self, name: str) -> str:
        raise AssertionError(f"The application imports {name}")


def statements(
    parameters: Mapping[str, str], arns: Mapping[str, str] = {}
) -> dict[str, list[dict[str, Any]]]:
    """The statements of each role's policies, by the function's name in the template.

    Args:
        parameters: of the template.
        arns: of its resources, by their names in it; made up where there is none.
    """
    template = deployment.template()
    # The roles are the same after the transform, which takes seconds.
    for name in ("Transform", "Globals"):
        del template[name]
    for function in ROLES:
        template["Resources"][function] = {"Type": "AWS::Lambda::Function"}
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{deployment.STACK_NAME}/1"
    pseudo = pseudo_parameters(stack, deployment.STACK_NAME, REGION, ACCOUNT, [])
    given = {**deployment.PARAMETERS, **parameters}
    declared = read(json.dumps(template), given, pseudo, acknowledged=None, expand=False)
    resolver = declared.resolver(_Names(declared.values, arns))
    found: dict[str, list[dict[str, Any]]] = {}
    for function, role in ROLES.items():
        properties = declared.resources[role].properties
        named = resolver.resolve(properties.get("ManagedPolicyArns", []))
        policies = [
            *resolver.resolve(properties["Policies"]),
            *(resolver.resolve(declared.resources[name].properties) for name in named),
        ]
        found[function] = [
            statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]
        ]
    return found
