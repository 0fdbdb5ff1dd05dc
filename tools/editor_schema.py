"""Makes docs/template.schema.json, by which editors check templates while they are written.

`python -m tools.editor_schema` writes the file. It is made of properties.schema.json, and accepts a
function of CloudFormation's in each place. Editors can't resolve functions, so what depends on the
value of one is left to cfn-lint.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "functions" / "instance_bundle" / "request" / "properties.schema.json"
TARGET = ROOT / "docs" / "template.schema.json"

Schema = dict[str, Any]

_SHORT_FORMS = {
    "scalar": ("Base64", "Condition", "GetAZs", "GetAtt", "ImportValue", "Ref", "RefAll", "Sub"),
    "sequence": (
        *("And", "Cidr", "Contains", "EachMemberEquals", "EachMemberIn", "Equals", "FindInMap"),
        *("GetAtt", "If", "Join", "Length", "Not", "Or", "Select", "Split", "Sub", "ToJsonString"),
        "ValueOf",
    ),
    "mapping": ("Base64", "GetAZs", "ImportValue", "Length", "ToJsonString", "Transform"),
}
"""The functions that have a short form, by what they are written with."""

CUSTOM_TAGS = [f"!{name} {kind}:object" for kind, names in _SHORT_FORMS.items() for name in names]
"""The setting `yaml.customTags`: the short forms count as objects, as their long forms are."""

FORMATS: dict[str, Schema] = {
    # Without the names that S3 reserves, and without IP addresses.
    "s3-bucket-name": {
        "pattern": r"^(?!xn--|sthree-)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)"
        r"(?![0-9]+(\.[0-9]+){3}$)[A-Za-z0-9._-]{3,255}$"
    },
    "s3-key-prefix": {"pattern": r"^(?!(\.\./))[^\u0000-\u001f\u007f]{1,900}$"},
    "upload-policy": {"pattern": r"^\s*\{|^[A-Za-z0-9+/]+={0,2}$"},
}
"""The formats of the schema, as near as a pattern comes."""

_AT_DEPLOYMENT: Schema = {
    "anyOf": [
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "patternProperties": {"^(Ref|Condition|Fn::[A-Za-z0-9:]+)$": {}},
            "additionalProperties": False,
        },
        {"type": "object", "required": ["Fn::Transform"]},
        {"type": "string", "pattern": r"\{\{resolve:"},
    ],
}
_REF = {"$ref": "#/definitions/AtDeployment"}


def made() -> Schema:
    """The schema of a whole template."""
    properties = _accepting(json.loads(SOURCE.read_text(encoding="utf-8")))
    described = properties.pop("description")
    properties["else"]["required"].insert(0, "ServiceToken")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A template of AWS CloudFormation with Custom::InstanceBundle",
        "description": "Made by `python -m tools.editor_schema` of properties.schema.json.",
        "type": "object",
        "properties": {
            "Resources": {
                "type": "object",
                "additionalProperties": {
                    "if": {
                        "type": "object",
                        "required": ["Type"],
                        "properties": {"Type": {"enum": ["Custom::InstanceBundle"]}},
                    },
                    "then": {
                        "description": described,
                        "required": ["Properties"],
                        "properties": {"Properties": properties},
                    },
                },
            }
        },
        "definitions": {"AtDeployment": _AT_DEPLOYMENT},
    }


def _accepting(schema: Schema) -> Schema:
    """A schema that accepts what the given one does, and what is known at deployment only."""
    checked = {name: _part(name, value) for name, value in schema.items()}
    for name in ("$schema", "title", "writeOnly", "updateRequires"):
        checked.pop(name, None)
    checked |= FORMATS.get(checked.pop("format", ""), {})
    if checked.pop("not", None) == {}:
        # Nothing matches either; of this the language server shows the errorMessage.
        checked["type"] = "null"
    if checked.get("type") == "string":
        # CloudFormation sends every scalar as text.
        checked["type"] = ["string", "number", "boolean"]
    if "else" in checked:
        # A Method that is known at deployment only decides nothing here.
        checked["allOf"] = _alternatives(
            checked.pop("if"), checked.pop("then"), checked.pop("else")
        )
    if "additionalProperties" in checked:
        checked["patternProperties"] = {"^Fn::(ForEach::|Transform$)": {}}
    shown = {name: checked.pop(name) for name in ("description",) if name in checked}
    return {**shown, "if": _REF, "else": checked}


def _part(name: str, value: Any) -> Any:
    if name == "properties":
        return {key: _accepting(part) for key, part in value.items()}
    if name == "dependencies":
        return {key: _dependency(key, part) for key, part in value.items()}
    return _accepting(value) if name in ("items", "then", "else") else value


def _dependency(name: str, needed: Schema | list[str]) -> Schema:
    """What a property needs, unless its value is a function, which may be no value."""
    needs = _accepting(needed) if isinstance(needed, dict) else {"required": needed}
    return {"if": {"properties": {name: _REF}}, "else": needs}


def _alternatives(condition: Schema, then: Schema, otherwise: Schema) -> list[Schema]:
    [(name, values)] = condition["properties"].items()
    other = {"properties": {name: {"not": {"anyOf": [_REF, values]}}}}
    return [{"if": condition, "then": then}, {"if": other, "then": otherwise}]


def text() -> str:
    """The file's text."""
    return json.dumps(made(), indent=2, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}\n")
