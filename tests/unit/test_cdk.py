"""The types of the CDK's construct are those of the schema; the CDK is not needed here."""

import ast
import json
from importlib.resources import files
from typing import Any

from sandbox.artifact import REPOSITORY

SOURCE = ast.parse((REPOSITORY / "examples" / "cdk" / "bundle.py").read_text())
PROPERTIES: dict[str, Any] = json.loads(
    (files("instance_bundle") / "request" / "properties.schema.json").read_text()
)["properties"]
CLASSES = {node.name: node for node in SOURCE.body if isinstance(node, ast.ClassDef)}


def members(name: str) -> dict[str, str]:
    """The annotations in the body of a class."""
    return {
        ast.unparse(node.target): ast.unparse(node.annotation)
        for node in CLASSES[name].body
        if isinstance(node, ast.AnnAssign)
    }


def literals(argument: str) -> set[Any]:
    """The values that an argument of the construct may have."""
    [init] = [
        node
        for node in CLASSES["InstanceBundle"].body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    [annotation] = [each.annotation for each in init.args.kwonlyargs if each.arg == argument]
    assert isinstance(annotation, ast.Subscript)
    return set(ast.literal_eval(annotation.slice))


def test_the_cdks_command_runs_the_app_and_reports_nothing() -> None:
    """AWS CDK Developer Guide, Configure AWS CDK Library usage data reporting."""
    folder = REPOSITORY / "examples" / "cdk"
    settings = json.loads((folder / "cdk.json").read_text())

    assert settings == {"app": "python3 app.py", "versionReporting": False}
    assert (folder / "app.py").exists()


def test_the_constructs_values_are_those_that_the_schema_allows() -> None:
    assert literals("method") == set(PROPERTIES["Method"]["enum"])
    assert literals("on_delete") == set(PROPERTIES["OnDelete"]["enum"])


def test_the_image_has_members_and_types_of_the_schema() -> None:
    schema = PROPERTIES["Image"]["properties"]
    types = {"string": "str", "array": "list[Tag]"}

    image = members("Image")
    assert image.keys() == schema.keys()
    assert image.pop("NoReboot") == "bool"
    architectures = ast.literal_eval(image.pop("Architecture").removeprefix("Literal"))
    assert architectures == schema["Architecture"]["enum"]
    assert {name: types[schema[name]["type"]] for name in image} == image
    assert members("Tag").keys() == schema["Tags"]["items"]["properties"].keys()
