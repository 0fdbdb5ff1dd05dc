"""CONTRIBUTING.md names modules, tests, targets and code that exist, and every module."""

import importlib
import re
from operator import attrgetter

import pytest

from sandbox.artifact import REPOSITORY

TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text()
PACKAGE = REPOSITORY / "functions" / "instance_bundle"
MODULES = {
    str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.stem != "__init__"
}
BY_STEM = {
    module.rpartition("/")[2].removesuffix(".py"): module.removesuffix(".py").replace("/", ".")
    for module in MODULES
}
"""The modules by their last names."""
QUOTED = set(re.findall(r"`([^`\n]+)`", TEXT))
"""All that is in backticks."""


def paths(*tops: str) -> set[str]:
    """The files and directories below these top directories."""
    return {text for text in QUOTED if re.fullmatch(rf"({'|'.join(tops)})/[\w./-]*", text)}


def test_each_module_is_on_the_map_with_its_tests() -> None:
    rows = re.findall(r"^\| `([\w/]+\.py)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)

    others = ("cli/", "lint/", "sandbox/", "tools/")
    ours = [(module, tests) for module, tests in rows if not module.startswith(others)]

    assert [module for module, _ in ours] == sorted(MODULES)
    assert [module for module, tests in ours if "`tests/" not in tests] == []


def test_each_part_of_the_sandbox_is_on_the_map_with_its_tests() -> None:
    rows = re.findall(r"^\| (`sandbox/[^|]+) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    named = {name for parts, _ in rows for name in re.findall(r"`([^`]+)`", parts)}
    top = REPOSITORY / "sandbox"

    assert named == {
        *(f"sandbox/{path.name}" for path in top.glob("*.py") if not path.stem.startswith("__")),
        *(f"sandbox/{path.parent.name}/" for path in top.glob("*/__init__.py")),
    }
    assert [parts for parts, tests in rows if "`tests/" not in tests] == []


def test_each_module_of_the_command_is_on_the_map_with_its_tests() -> None:
    rows = re.findall(r"^\| `(cli/[\w/]+\.py)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    modules = {path for path in (REPOSITORY / "cli").rglob("*.py") if not path.stem.startswith("_")}

    assert {module for module, _ in rows} == {str(path.relative_to(REPOSITORY)) for path in modules}
    assert [module for module, tests in rows if "`tests/" not in tests] == []


def test_each_module_of_the_rules_is_on_the_map_with_its_tests() -> None:
    rows = re.findall(r"^\| `(lint/[\w/]+\.py)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    top = REPOSITORY / "lint" / "instance_bundle_lint"
    modules = {path for path in top.rglob("*.py") if not path.stem.startswith("_")}

    assert {module for module, _ in rows} == {str(path.relative_to(REPOSITORY)) for path in modules}
    assert [module for module, tests in rows if "`tests/" not in tests] == []


def test_each_file_exists() -> None:
    named = paths(
        *("benchmarks", "cli", "events", "functions", "lint", "sandbox", "tests", "tools"),
    )

    assert "tests/unit/test_ledger.py" in named
    assert {path for path in named if not (REPOSITORY / path).exists()} == set()
    bare = {text for text in QUOTED if re.fullmatch(r"\w+\.py", text)}
    assert {name.removesuffix(".py") for name in bare - {"__init__.py"}} <= {*BY_STEM}


def test_each_target_of_make_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    named = {text.split()[1] for text in QUOTED if text.startswith("make ")}

    assert "check" in named
    assert named - {*targets} == set()


def test_each_tool_exists() -> None:
    named = re.findall(r"python -m tools\.(\w+)", TEXT)

    assert named
    tools = REPOSITORY / "tools"
    there = {path.stem for path in tools.glob("*.py")}
    there |= {path.parent.name for path in tools.glob("*/__main__.py")}
    assert [tool for tool in named if tool not in there] == []


@pytest.mark.parametrize(
    "name",
    sorted(
        text
        for text in QUOTED
        if text.partition(".")[0] in BY_STEM
        and re.fullmatch(r"\w+(\.\w+)+", text)
        and not text.endswith((".py", ".json"))
    ),
)
def test_each_part_of_a_module_exists(name: str) -> None:
    module, _, part = name.partition(".")

    assert attrgetter(part)(importlib.import_module(f"instance_bundle.{BY_STEM[module]}"))


@pytest.mark.parametrize(
    ("name", "file"),
    re.findall(r"`(\w+)` in\s+`(tests/[\w/]+\.py)`", TEXT),
)
def test_each_name_in_a_test_file_exists(name: str, file: str) -> None:
    text = (REPOSITORY / file).read_text()

    assert re.search(rf"^ *(def )?{name}\b", text, re.MULTILINE)
