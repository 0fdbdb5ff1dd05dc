"""The properties, checked by cfn-lint's own checker of JSON Schema.

A value that CloudFormation knows only at deployment is accepted. What cfn-lint can resolve is
checked: defaults and allowed values of parameters, mappings, and functions of these.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from cfnlint.conditions import UnknownSatisfisfaction
from cfnlint.context.conditions.exceptions import Unsatisfiable
from cfnlint.helpers import FUNCTIONS, ToPy
from cfnlint.jsonschema import ValidationError, Validator
from cfnlint.jsonschema._keywords_cfn import cfn_type
from cfnlint.rules import CfnLintJsonSchema, CloudFormationLintRule

from instance_bundle.request.formats import FORMATS, is_old_bucket_name
from instance_bundle_lint.schema import TYPE, Schema, for_cfn_lint

Errors = Iterator[ValidationError]

_NO_VALUE = {"Ref": "AWS::NoValue"}
_LONGEST_SHOWN = 80


class Missing(CloudFormationLintRule):
    id = "E9702"
    shortdesc = "A property of Custom::InstanceBundle is missing"
    description = "A property is required, or another property requires it"


class UnknownProperty(CloudFormationLintRule):
    id = "E9703"
    shortdesc = "Custom::InstanceBundle has no such property"
    description = "The function refuses properties that it does not know"


class Forbidden(CloudFormationLintRule):
    id = "E9704"
    shortdesc = "Properties of Custom::InstanceBundle exclude each other"
    description = "A property can't be given with another one, or not with this Method"


class InvalidLocation(CloudFormationLintRule):
    id = "E9705"
    shortdesc = "Bucket or Prefix of Custom::InstanceBundle is invalid"
    description = "Names of buckets and beginnings of keys have the form that Amazon S3 requires"


class InvalidTimeout(CloudFormationLintRule):
    id = "E9706"
    shortdesc = "ServiceTimeout of Custom::InstanceBundle is too short or too long"
    description = "The work needs 10 seconds at least, and CloudFormation waits an hour at most"


class RepeatedTag(CloudFormationLintRule):
    id = "E9707"
    shortdesc = "A tag of Custom::InstanceBundle is given twice"
    description = "Each key of Tags, and of ObjectTags, is given once"


class OldBucketName(CloudFormationLintRule):
    id = "W9711"
    shortdesc = "Only an old bucket can have the name in Custom::InstanceBundle"
    description = "Only buckets of us-east-1 from before March 2018 can have such names"


_RULES = {
    "required": Missing.id,
    "dependencies": Missing.id,
    "additionalProperties": UnknownProperty.id,
    "not": Forbidden.id,
    "uniqueKeys": RepeatedTag.id,
    "oldName": OldBucketName.id,
}
"""The rules, by the keyword that finds a mistake; all other keywords are `InvalidProperty`'s."""


class InvalidProperty(CfnLintJsonSchema):
    """Checks all properties by their schema, and gives each mistake its rule."""

    id = "E9701"
    shortdesc = "A property of Custom::InstanceBundle is invalid"
    description = "The function refuses values that do not match properties.schema.json"

    def __init__(self) -> None:
        super().__init__(keywords=[f"Resources/{TYPE}/Properties"], all_matches=True)
        self._schema = for_cfn_lint()
        self.child_rules = dict.fromkeys([*_RULES.values(), InvalidLocation.id, InvalidTimeout.id])
        self.validators = {
            **{ToPy(name).py: _function for name in FUNCTIONS},
            "fn_if": _either,
            "type": cfn_type,
            "enum": _enum,
            "format": _format,
            "required": _required,
            "dependencies": _dependencies,
            "additionalProperties": _additional,
            "uniqueKeys": _unique_keys,
            "if": _if,
            # Other rules of cfn-lint check these.
            "dynamicReference": _nothing,
            "dynamicReferenceSpaces": _nothing,
            "rawPseudoParameter": _nothing,
        }

    def validate(self, validator: Validator, _: Any, instance: Any, __: Any) -> Errors:
        """The mistakes, each at its own path, as the function words them."""
        functions = validator.function_filter.evolve(add_cfn_lint_keyword=False)
        checker = self.extend_validator(
            validator.evolve(function_filter=functions), self._schema, validator.context
        )
        found = set()
        for error in checker.iter_errors(instance):
            error.rule = self._rule(error)
            error.message = _message(error, self._schema)
            place = (*error.path, *error.path_override, error.message)
            if error.rule and not error.unknown and place not in found:
                found.add(place)
                yield error

    def _rule(self, error: ValidationError) -> CloudFormationLintRule | None:
        """The rule that the mistake breaks; None if it is disabled."""
        rule = _RULES.get(error.validator, self.id)
        if rule == self.id and error.path and error.path[0] == "ServiceTimeout":
            rule = InvalidTimeout.id
        if error.validator == "format" and error.validator_value.startswith("s3-"):
            rule = InvalidLocation.id
        return self if rule == self.id else self.child_rules[rule]


def _nothing(_validator: Validator, _value: Any, _instance: Any, _schema: Schema) -> Errors:
    yield from ()


def _is_function(instance: Any) -> bool:
    """Whether CloudFormation makes the value, or a part of it, at deployment."""
    return isinstance(instance, Mapping) and any(
        key == "Ref" or str(key).startswith("Fn::") for key in instance
    )


def _function(validator: Validator, schema: Schema, instance: Any, _: Schema) -> Errors:
    """Checks each value that cfn-lint finds for a function."""
    if "not" in schema:
        if instance != _NO_VALUE:
            yield ValidationError("", validator="not", schema_path=["not"])
        return
    [name] = instance
    for value, resolved in _values(validator, instance, schema):
        for error in resolved.descend(value, schema, path=name):
            # What is inside of the value has no place of its own in the template.
            error.path = deque()
            error.path_override = _origin(resolved)
            yield error


def _values(validator: Validator, instance: Any, schema: Schema) -> Iterator[tuple[Any, Validator]]:
    """What a function can return, each with what is known where it does."""
    match instance:
        case {"Fn::GetAtt": [_, "Arn"]} if schema.get("format") == "s3-bucket-name":
            yield "arn:aws:s3:::…", validator
        case _:
            for value, resolved, problem in validator.resolve_value(instance):
                if not problem:
                    yield _written(value, resolved), resolved


def _written(value: Any, resolved: Validator) -> Any:
    """A value as the template has it: cfn-lint makes `True` of a parameter's `true`."""
    raw = resolved.cfn.template
    for part in _origin(resolved):
        raw = raw[part]
    return raw if isinstance(raw, bool) and str(raw) == value else value


def _origin(validator: Validator) -> deque[str | int]:
    """Where the value of a parameter or mapping is; empty if it is of neither."""
    path = deque(validator.context.path.value_path)
    return path if path and path[0] in ("Parameters", "Mappings") else deque()


def _either(validator: Validator, schema: Schema, instance: Any, _: Schema) -> Errors:
    """Checks both values of `Fn::If`, unless what is known excludes one."""
    choice = instance["Fn::If"]
    if not isinstance(choice, list) or len(choice) != 3 or not isinstance(choice[0], str):
        return
    context = validator.context
    for index, holds in enumerate((True, False), start=1):
        try:
            conditions = context.conditions.evolve({choice[0]: holds})
        except Unsatisfiable:
            continue
        if not _can_be(validator, conditions.status):
            continue
        inner = context.evolve(conditions=conditions, path=context.path.descend(path="Fn::If"))
        for error in validator.evolve(context=inner).descend(choice[index], schema, path=index):
            error.path.appendleft("Fn::If")
            yield error


def _can_be(validator: Validator, status: Mapping[str, bool]) -> bool:
    """Whether conditions can have this status while parameters have the values in question."""
    try:
        known = validator.context.ref_values
        return bool(validator.cfn.conditions.satisfiable(status, known))
    except UnknownSatisfisfaction:
        return True


def _if(validator: Validator, condition: Schema, instance: Any, schema: Schema) -> Errors:
    """Checks what depends on a property, for each value that the property may have."""
    if not isinstance(instance, Mapping) or _is_function(instance):
        return
    [(name, values)] = condition["properties"].items()
    if name not in instance:
        yield from validator.descend(instance, schema["else"], schema_path="else")
    for value, resolved in _values(validator, instance.get(name, _NO_VALUE), {}):
        branch = "then" if value in values["enum"] else "else"
        yield from resolved.descend(instance, schema[branch], schema_path=branch)


def _enum(_validator: Validator, values: list[Any], instance: Any, _: Schema) -> Errors:
    # cfn-lint takes any text for `false` where booleans are allowed.
    text = _as_sent(instance)
    if text is not None and text not in map(_as_sent, values):
        yield ValidationError("")


def _format(_validator: Validator, name: str, instance: Any, _: Schema) -> Errors:
    text = _as_sent(instance)
    if text is None:
        return
    if not FORMATS[name](text):
        yield ValidationError("")
    elif name == "s3-bucket-name" and is_old_bucket_name(text):
        yield ValidationError("", validator="oldName")


def _as_sent(value: Any) -> str | None:
    """A scalar as the function receives it: CloudFormation sends text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _required(_validator: Validator, names: list[str], instance: Any, _: Schema) -> Errors:
    if isinstance(instance, Mapping) and not _is_function(instance):
        for name in names:
            if name not in instance:
                yield ValidationError(name)


def _dependencies(validator: Validator, needs: Schema, instance: Any, _: Schema) -> Errors:
    if not isinstance(instance, Mapping) or _is_function(instance):
        return
    missing: dict[str, Any] = {}
    for name in instance:
        needed = needs.get(name, [])
        if isinstance(needed, dict):
            yield from validator.descend(instance, needed, schema_path=name)
        else:
            missing = {other: name for other in needed if other not in instance} | missing
    for other, name in missing.items():
        yield ValidationError(other, path=[name])


def _additional(_validator: Validator, _value: bool, instance: Any, schema: Schema) -> Errors:
    if isinstance(instance, Mapping):
        known = sorted(schema["properties"])
        for name in instance:
            if name not in known and not str(name).startswith("Fn::"):
                yield ValidationError(", ".join(known), path=[name])


def _unique_keys(_validator: Validator, keys: list[str], instance: Any, _: Schema) -> Errors:
    [key] = keys
    given: set[str] = set()
    for index, item in enumerate(instance if isinstance(instance, list) else []):
        value = item.get(key) if isinstance(item, Mapping) else None
        if isinstance(value, str):
            if value in given:
                yield ValidationError("", path=[index, key], instance=value)
            given.add(value)


def _message(error: ValidationError, schema: Schema) -> str:
    path, text = _property_path(error.path), error.message
    match error.validator:
        case "required":
            return f"{_join(path, text)}: is required"
        case "dependencies":
            return f"{_join(path.rpartition('.')[0], text)}: is required with {error.path[-1]}"
        case "additionalProperties":
            close = get_close_matches(str(error.path[-1]), text.split(", "), n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {text}"
            return f"{path}: is not a property here; {hint}"
        case "uniqueKeys":
            return (
                f"{path}: {_shown(error.instance)} is the key of an earlier tag; give each key once"
            )
        case "oldName":
            return (
                f"{path}: {_shown(error.instance)} does not follow S3's bucket naming rules; only "
                "a bucket of us-east-1 from before March 2018 can have such a name"
            )
    definition = _definition(schema, error.schema_path)
    secret = definition.get("writeOnly") or error.validator == "not"
    shown = "" if secret else f"{_shown(error.instance)} "
    return f"{path or 'Properties'}: {shown}{definition.get('errorMessage', 'must be an object')}"


def _definition(schema: Schema, path: deque[Any]) -> Schema:
    """What the schema says about the value that breaks one of its keywords."""
    *names, _ = (name for name in path if not re.match("fn_|ref$", str(name)))
    for name in names:
        schema = schema[name]
    return schema


def _property_path(path: deque[Any]) -> str:
    shown, after_if = "", False
    for part in path:
        if isinstance(part, int):
            shown += "" if after_if else f"[{part}]"
        elif part != "Fn::If":
            shown = _join(shown, str(part))
        after_if = part == "Fn::If"
    return shown


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:60]}… ({len(text)} characters)"
