"""What a stack's template says of its resources, its functions resolved as CloudFormation does."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_NO_VALUE = object()

_NAMED_IN_SUB = re.compile(r"\$\{([^!}][^}]*)\}")

_ARNS: Mapping[str, str] = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::IAM::Role": "iam::{account}:role{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}
"""The attribute `Arn`; the name is the last part of what Ref returns (CloudFormation User Guide,
Resource and property types reference)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is."""

    partition: str
    region: str
    account: str

    @property
    def suffix(self) -> str:
        """The pseudo parameter AWS::URLSuffix."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Template:
    """A processed template, with the parameters and the resources of a stack.

    Attributes:
        body: the template, after its transforms.
        stack: the stack's name.
        place: where the stack is.
        parameters: their values.
        ids: the physical IDs of the resources, by their logical IDs.
    """

    body: Mapping[str, Any]
    stack: str
    place: Place
    parameters: Mapping[str, str]
    ids: Mapping[str, str]

    def of_type(self, resource_type: str) -> list[str]:
        """The logical IDs of the resources that the stack should have."""
        return [
            name
            for name, resource in self.body["Resources"].items()
            if resource["Type"] == resource_type and self._holds(resource.get("Condition"))
        ]

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties; also of one whose condition does not hold.

        Raises:
            KeyError: the template has no such resource, or names something that is not known.
        """
        resolved: dict[str, Any] = self.resolved(
            self.body["Resources"][logical_id].get("Properties", {})
        )
        return resolved

    def arn(self, logical_id: str) -> str:
        """A resource's ARN, of the types that are known here."""
        resource = self.body["Resources"][logical_id]
        form = _ARNS[resource["Type"]]
        place = self.place
        name = self.ids[logical_id]
        if form.startswith("sqs"):  # Ref is its URL
            name = name.rpartition("/")[2]
        if form.startswith("iam"):  # Ref has no path
            name = f"{self.resolved(resource.get('Properties', {}).get('Path', '/'))}{name}"
        rest = form.format(region=place.region, account=place.account, name=name)
        return f"arn:{place.partition}:{rest}"

    def resolved(self, value: Any) -> Any:
        """A value with its functions replaced by what they return.

        Raises:
            KeyError: a function, or what it names, is not known here.
        """
        if isinstance(value, list):
            members = [self.resolved(member) for member in value]
            return [member for member in members if member is not _NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name in _FUNCTIONS or name.startswith("Fn::"):
                return _FUNCTIONS[name](self, argument)
        resolved = {name: self.resolved(member) for name, member in value.items()}
        return {name: member for name, member in resolved.items() if member is not _NO_VALUE}

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.resolved(self.body["Conditions"][condition]))

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": self.place.account,
            "AWS::NoValue": _NO_VALUE,
            "AWS::Partition": self.place.partition,
            "AWS::Region": self.place.region,
            "AWS::StackName": self.stack,
            "AWS::URLSuffix": self.place.suffix,
        }
        return {**pseudo, **self.parameters, **self.ids}[name]

    def _get_att(self, argument: Any) -> str:
        logical_id, _, attribute = (
            argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
        )
        if attribute == "Arn":
            return self.arn(logical_id)
        if attribute == "QueueName":
            return self.ids[logical_id].rpartition("/")[2]
        raise KeyError(attribute)

    def _sub(self, argument: Any) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument
        given = self.resolved(values)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in given:
                return str(given[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _NAMED_IN_SUB.sub(value, text).replace("${!", "${")

    def _if(self, argument: list[Any]) -> Any:
        condition, then, otherwise = argument
        return self.resolved(then if self._holds(condition) else otherwise)

    def _join(self, argument: list[Any]) -> str:
        delimiter, parts = argument
        return str(delimiter).join(self.resolved(parts))

    def _split(self, argument: list[Any]) -> list[str]:
        delimiter, text = argument
        return str(self.resolved(text)).split(delimiter)

    def _equals(self, argument: list[Any]) -> bool:
        left, right = self.resolved(argument)
        return bool(left == right)

    def _all(self, argument: list[Any]) -> bool:
        return all(self.resolved(argument))

    def _any(self, argument: list[Any]) -> bool:
        return any(self.resolved(argument))

    def _not(self, argument: list[Any]) -> bool:
        return not self._all(argument)


_FUNCTIONS: Mapping[str, Callable[[Template, Any], Any]] = {
    "Condition": Template._holds,
    "Ref": Template._ref,
    "Fn::And": Template._all,
    "Fn::Equals": Template._equals,
    "Fn::GetAtt": Template._get_att,
    "Fn::If": Template._if,
    "Fn::Join": Template._join,
    "Fn::Not": Template._not,
    "Fn::Or": Template._any,
    "Fn::Split": Template._split,
    "Fn::Sub": Template._sub,
}


def same(one: Any, other: Any) -> bool:
    """Whether two policies, or patterns, say the same: the order of a list does not count, and a
    list of one is its member (IAM User Guide, Grammar of the IAM JSON policy language)."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        members = sorted((_canonical(member) for member in value), key=_text)
        return members[0] if len(members) == 1 else members
    return str(value).lower() if isinstance(value, bool) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
