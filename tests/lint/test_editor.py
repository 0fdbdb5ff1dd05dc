"""The schema for editors: as made, without false alarms, and with all planted mistakes found."""

import json
from typing import Any

import jsonschema
import pytest

from instance_bundle.request.formats import FORMATS
from tests.lint.linting import EXAMPLES, VALID, loaded
from tests.lint.planted import mistakes, template
from tools import editor_schema

SCHEMA = json.loads(editor_schema.TARGET.read_text(encoding="utf-8"))
TEMPLATES = {**VALID, **EXAMPLES}


VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def problems(content: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(content)]


def test_the_file_is_as_made() -> None:
    assert editor_schema.TARGET.read_text(encoding="utf-8") == editor_schema.text()
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_accepts_valid_templates_with_functions_in_each_place(name: str) -> None:
    assert problems(loaded(TEMPLATES[name].read_text())) == []


def test_it_finds_each_planted_mistake() -> None:
    assert [
        mistake.name for mistake in mistakes() if not problems(template([mistake.properties]))
    ] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("s3-bucket-name", ["images", "a.b-c", "Old_Name", "1.2.3.4", "xn--a", "a-s3alias", "ab"]),
        ("s3-key-prefix", ["web/windows", "a/../b", "../a", "", "a" * 901, "a\x1fb", "ä ö"]),
        ("upload-policy", ['{"conditions": []}', "eyJhIjogMX0=", "[]", "text with spaces"]),
    ],
)
def test_its_patterns_are_like_the_formats(name: str, values: list[str]) -> None:
    validator = jsonschema.Draft7Validator(editor_schema.FORMATS[name])

    assert [validator.is_valid(value) for value in values] == [
        FORMATS[name](value) for value in values
    ]


def test_it_needs_the_service_token() -> None:
    content = {"Resources": {"Bundle": {"Type": "Custom::InstanceBundle", "Properties": {}}}}

    assert "'ServiceToken' is a required property" in problems(content)
