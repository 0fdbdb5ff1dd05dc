"""A mistake that is planted for each keyword of the schema is found, on its line, by its rule."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml

from instance_bundle.request.properties import problems
from tests.lint.linting import Finding, few_rules, findings, line_of, ours
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
def found(form: str) -> dict[str, list[Finding]]:
    """What is found of each mistake, in a template of all of them."""
    text = TEXTS[form](template([mistake.properties for mistake in MISTAKES]))
    starts = [line_of(text, ("Resources", f"Bundle{index}")) for index in range(len(MISTAKES))]
    by_name: dict[str, list[Finding]] = {mistake.name: [] for mistake in MISTAKES}
    for finding in findings(text, used=few_rules()):
        index = max(index for index, start in enumerate(starts) if start <= finding.line)
        by_name[MISTAKES[index].name].append(finding)
    return by_name


def lines(form: str) -> dict[str, int]:
    """The line on which each mistake has to be found."""
    text = TEXTS[form](template([mistake.properties for mistake in MISTAKES]))
    return {
        mistake.name: line_of(text, ("Resources", f"Bundle{index}", "Properties", *mistake.at))
        for index, mistake in enumerate(MISTAKES)
    }


def test_there_is_a_mistake_for_each_keyword_at_each_place() -> None:
    assert {mistake.name for mistake in MISTAKES} == keywords()
    assert len(MISTAKES) > 80


def test_without_a_mistake_nothing_is_found() -> None:
    content = template(list(BASES))

    assert [findings(make(content)) for make in TEXTS.values()] == [[], [], []]


@pytest.mark.parametrize("form", TEXTS)
def test_each_is_found_on_its_line_by_its_rule(form: str) -> None:
    expected = lines(form)
    missed = {
        mistake.name: found(form)[mistake.name]
        for mistake in MISTAKES
        if not any(
            (each.line, each.rule) == (expected[mistake.name], mistake.rule)
            and mistake.message in each.message
            for each in found(form)[mistake.name]
        )
    }

    assert missed == {}


def test_the_function_finds_the_same_problems() -> None:
    reported = {
        name: {finding.message.partition(": ")[0] for finding in ours(of_it)}
        for name, of_it in found("yaml").items()
    }

    assert reported == {
        mistake.name: {problem.path for problem in problems(_sent(mistake))}
        - {"ResourceProperties"}
        for mistake in MISTAKES
    }


def _sent(mistake: Mistake) -> Any:
    """The properties as the function receives them."""
    text = json.dumps(mistake.properties)
    return json.loads(text.replace(json.dumps(HANDLE), json.dumps(URL)))


def test_no_message_shows_a_secret() -> None:
    shown = " ".join(each.message for of_it in found("yaml").values() for each in of_it)

    assert re.search("AKIA|ynxyb|2030-01-01|:secret:", shown) is None
