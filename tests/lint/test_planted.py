"""A mistake that is planted for each keyword of the schema is found, on its line, by its rule."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml

from instance_bundle.request.properties import problems
from tests.lint.linting import Finding, findings, line_of, ours
from tests.lint.planted import BASES, HANDLE, Mistake, keywords, mistakes, template

MISTAKES = mistakes()
URL = "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/stack?Signature=s3cr3t"
TEXTS: dict[str, Callable[[Any], str]] = {
    "yaml": lambda content: yaml.safe_dump(content, sort_keys=False, width=1000),
    "json": lambda content: json.dumps(content, indent=1),
    # YAML has no tabs: cfn-lint's other parser reads these.
    "json with tabs": lambda content: json.dumps(content, indent="\t"),
}


@cache
def _text(form: str) -> str:
    return TEXTS[form](template([mistake.properties for mistake in MISTAKES]))


@cache
def _found(form: str) -> dict[int, list[Finding]]:
    """What is found in a template of all mistakes, by the numbers of the bundles."""
    text = _text(form)
    found: dict[int, list[Finding]] = {}
    starts = [line_of(text, ("Resources", f"Bundle{index}")) for index in range(len(MISTAKES))]
    for finding in findings(text):
        index = max(index for index, start in enumerate(starts) if start <= finding.line)
        found.setdefault(index, []).append(finding)
    return found


def test_there_is_a_mistake_for_each_keyword_at_each_place() -> None:
    assert {mistake.name for mistake in MISTAKES} == keywords()
    assert len(MISTAKES) > 80


def test_without_a_mistake_nothing_is_found() -> None:
    content = template(list(BASES))

    assert [findings(make(content)) for make in TEXTS.values()] == [[], [], []]


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("index", range(len(MISTAKES)), ids=[each.name for each in MISTAKES])
def test_it_is_found_on_its_line_by_its_rule(index: int, form: str) -> None:
    mistake = MISTAKES[index]
    path = ("Resources", f"Bundle{index}", "Properties", *mistake.at)
    line = line_of(_text(form), path)

    found = [each for each in _found(form)[index] if (each.line, each.rule) == (line, mistake.rule)]

    assert [each.message for each in found if mistake.message in each.message] != []


@pytest.mark.parametrize("index", range(len(MISTAKES)), ids=[each.name for each in MISTAKES])
def test_the_function_finds_the_same_problems(index: int) -> None:
    reported = {finding.message.partition(": ")[0] for finding in ours(_found("yaml")[index])}

    found = {problem.path for problem in problems(_sent(MISTAKES[index]))}

    assert reported == found - {"ResourceProperties"}


def _sent(mistake: Mistake) -> Any:
    """The properties as the function receives them."""
    text = json.dumps(mistake.properties)
    return json.loads(text.replace(json.dumps(HANDLE), json.dumps(URL)))


def test_no_message_shows_a_secret() -> None:
    shown = " ".join(each.message for found in _found("yaml").values() for each in found)

    assert re.search("AKIA|ynxyb|2030-01-01|:secret:", shown) is None
