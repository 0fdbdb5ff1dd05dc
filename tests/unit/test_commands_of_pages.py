"""Each command of the pages is typed by a test; what they name in passing exists."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from tests.stacks.pages import INDENTED, PAGES, blocks_of_code
from tests.typed import claims

CLAIMS = list(claims())
COMMANDS = {each.place: each for page in PAGES for each in blocks_of_code(page) if each.number >= 0}

_IN_PASSING = re.compile(r"`((?:make|python -m|\.venv/bin/python -m) [^`\n]+)`")
READ = (*PAGES, "CONTRIBUTING.md")
IN_PASSING = {
    command for page in READ for command in _IN_PASSING.findall((REPOSITORY / page).read_text())
}
"""Commands of the project's that the text of a page names."""


def test_each_block_of_commands_is_typed_by_one_test() -> None:
    assert sorted(place for place, _ in CLAIMS) == sorted(COMMANDS)


@pytest.mark.parametrize("test", sorted({test for _, test in CLAIMS}))
def test_each_test_that_types_commands_exists_and_names_the_page(test: str) -> None:
    file, _, name = test.partition("::")
    text = (REPOSITORY / file).read_text()

    assert name in {each.name for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)}
    pages = {place[0] for place, typing in CLAIMS if typing == test}
    assert [page for page in pages if not re.search(rf"\b{page.rpartition('/')[2]}", text)] == []


def test_a_block_in_another_form_is_found_too(tmp_path: Path) -> None:
    text = (
        "# One\n\n- In a list:\n\n  ```console\n  $ aws one \\\n      --two\n  printed\n  ```\n\n"
        "## Two\n\n    $ make three\n\n~~~\n$ four  # a comment\n~~~\n\n```sh\n# five\nsix\n```\n"
    )
    page = tmp_path / "page.md"
    page.write_text(text)

    one, *others = blocks_of_code(str(page))

    assert (one.heading, one.number, one.commands) == ("One", 0, ["aws one --two"])
    assert [(each.heading, each.number, each.language) for each in others] == [
        ("Two", 0, INDENTED),
        ("Two", 1, ""),
        ("Two", 2, "sh"),
    ]
    assert [each.commands for each in others] == [["make three"], ["four"], []]
    assert others[2].typed == "# five\nsix\n"


@pytest.mark.parametrize(
    "command", sorted(each for each in IN_PASSING if not each.startswith("make "))
)
def test_each_module_that_the_text_names_exists_and_has_the_options(command: str) -> None:
    module, *rest = command.partition(" -m ")[2].split()
    assert importlib.util.find_spec(module) is not None

    options = [each.partition("=")[0] for each in rest if each.startswith("--")]
    if options:
        subcommand = [rest[0]] if not rest[0].startswith("-") else []
        help_text = subprocess.run(
            [sys.executable, "-m", module, *subcommand, "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert [option for option in options if option not in help_text] == []


def test_each_target_that_the_text_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = {command.split()[1] for command in IN_PASSING if command.startswith("make ")}

    assert named - targets == set()
