"""The schema of the properties, in the form that cfn-lint checks templates by.

It is made of `properties.schema.json` when it is loaded, so both say the same.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

TYPE = "Custom::InstanceBundle"

Schema = dict[str, Any]


@cache
def of_properties() -> Schema:
    """`properties.schema.json`, which the function checks requests by."""
    file = files("instance_bundle").joinpath("request/properties.schema.json")
    schema: Schema = json.loads(file.read_text(encoding="utf-8"))
    return schema


def for_cfn_lint() -> Schema:
    """The same, with what the schema can't say: each key of tags is given once."""
    made: Schema = _converted(of_properties())
    return made


def _converted(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_converted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _converted(value) for name, value in schema.items()}
    pattern = made.get("pattern")
    if isinstance(pattern, str) and pattern.endswith("$"):
        # In a request `$` is the end; in Python it may also be before a line's end.
        made["pattern"] = pattern.removesuffix("$") + r"\Z"
    if "format" in made:
        # The format has the lengths, too: one mistake is found once.
        made.pop("minLength", None)
        made.pop("maxLength", None)
    if made.get("type") == "array":
        made["uniqueKeys"] = made["items"]["required"][:1]
    return made
