"""cfn-lint with the rules, in this process."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cfnlint.config import _DEFAULT_RULESDIR, ConfigMixIn
from cfnlint.decode import decode_str
from cfnlint.rules import Rules
from cfnlint.runner import run_template_by_data

ROOT = Path(__file__).resolve().parents[2]
OURS = "instance_bundle_lint.rules"
VALID = {path.stem: path for path in sorted((ROOT / "tests/lint/valid").glob("*.yaml"))}
"""Valid templates, each with other functions, by their names."""
EXAMPLES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "template.yaml", *sorted((ROOT / "examples").rglob("*.yaml")))
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What cfn-lint reports: the line counts from 1."""

    line: int
    rule: str
    message: str


@cache
def rules(*packs: str) -> Rules:
    """cfn-lint's own rules, and those of packs."""
    made = Rules.create_from_directory(_DEFAULT_RULESDIR)
    for pack in packs:
        made.update(Rules.create_from_module(pack))
    return made


@cache
def few_rules() -> Rules:
    """Our rules, and those of cfn-lint's that lead to them: for large templates."""
    lead = ("E1001", "E1101", "E3001", "E3002", "E3012")
    return Rules(
        {name: rule for name, rule in rules(OURS).items() if name in lead or _is_ours(name)}
    )


def findings(text: str, *packs: str, used: Rules | None = None) -> list[Finding]:
    """What is found in a template's text, by our rules or by other packs, next to cfn-lint's."""
    template, found = decode_str(text)
    if not found:
        config = ConfigMixIn(regions=["us-east-1"])
        found = run_template_by_data(template, config, used or rules(*(packs or (OURS,))))
    return sorted({Finding(match.linenumber, match.rule.id, match.message) for match in found})


def _is_ours(rule: str) -> bool:
    return rule[1:3] == "97"


def ours(found: Iterable[Finding]) -> list[Finding]:
    """Those of the rules of this repository, and of rules that fail."""
    return [finding for finding in found if _is_ours(finding.rule) or finding.rule[1:3] == "00"]


@cache
def _composed(text: str) -> yaml.Node:
    # The loader in C does not know tabs between tokens of JSON.
    node = yaml.compose(text.replace("\t", " "))
    assert node
    return node


def line_of(text: str, path: Iterable[Any]) -> int:
    """The line of a key, or of a list's item, by another parser than cfn-lint's."""
    node, line = _composed(text), 0
    for part in path:
        if isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        else:
            key, node = next((key, value) for key, value in node.value if key.value == part)
            line = key.start_mark.line
    return line + 1


def loaded(text: str) -> Any:
    """A template with short forms as long ones."""
    template, problems = decode_str(text)
    assert not problems
    return template


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """The YAML blocks of a page, each with its line, without the indentation of the block."""
    start, indent = 0, 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not start and line.strip() == "```yaml":
            start, indent, lines = number, len(line) - len(line.lstrip()), []
        elif start and line.strip() == "```":
            yield start, "\n".join(lines) + "\n"
            start = 0
        elif start:
            lines.append(line[indent:])
