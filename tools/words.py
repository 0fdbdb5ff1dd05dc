"""Lint: archaic, poetic and invented words in code and prose.

A reader searches for "retry", "poll", "event" and "dead letter", so these words are written, and no
other words for the same things. `WORDS` lists what is banned and what to write instead. The whole
text of each file is read: in Python files comments, docstrings, strings and identifiers. A phrase
is also found in an identifier (`carry_on`) and across the end of a line.

A word is banned only if its good uses can be excluded by a pattern: "letters and digits" and "look
up" are not reported. If a text of AWS's has a banned word, quote less of it or cite its page.

Usage: `python -m tools.words`, or with the files to read.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

DIRECTORIES = frozenset(
    {
        *(".github", "benchmarks", "cli", "docs", "events", "examples"),
        *("functions", "lint", "sandbox", "tests", "tools"),
    }
)
TOP_FILES = frozenset(
    {
        *("CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md", "SECURITY.md"),
        *("mkdocs.yml", "pyproject.toml", "samconfig.toml", "template.yaml"),
    }
)
SUFFIXES = frozenset({".json", ".md", ".py", ".toml", ".yaml", ".yml"})

NOT_READ = {
    "tools/words.py": "lists the words",
    "tests/tools/test_words.py": "has examples of the words",
}
"""Files, and directories with all that is in them, that are not read, and why."""

ATTRIBUTE = "an attribute that the first version of the ledger named so"
NOTICE_FILE = "a file that the Apache License names so"
ALLOWED = {
    ("docs/architecture.md", "settled"): ATTRIBUTE,
    ("docs/architecture.md", "told"): ATTRIBUTE,
    ("functions/instance_bundle/state/inspection.py", "settled"): ATTRIBUTE,
    ("functions/instance_bundle/state/inspection.py", "told"): ATTRIBUTE,
    ("functions/instance_bundle/state/items.py", "fingerprint"): ATTRIBUTE,
    ("functions/instance_bundle/state/items.py", "naming"): ATTRIBUTE,
    ("functions/instance_bundle/state/items.py", "settled"): ATTRIBUTE,
    ("functions/instance_bundle/state/items.py", "told"): ATTRIBUTE,
    ("functions/instance_bundle/state/ledger.py", "settled"): ATTRIBUTE,
    ("functions/instance_bundle/state/ledger.py", "told"): ATTRIBUTE,
    ("tests/stacks/trials.py", "told"): ATTRIBUTE,
    ("tests/unit/test_items.py", "fingerprint"): ATTRIBUTE,
    ("tests/unit/test_items.py", "naming"): ATTRIBUTE,
    ("tests/unit/test_items.py", "settled"): ATTRIBUTE,
    ("tests/unit/test_items.py", "told"): ATTRIBUTE,
    ("tests/tools/test_release.py", "notice"): NOTICE_FILE,
    ("tools/release/packages.py", "notice"): NOTICE_FILE,
}
"""Words that a file may have, and why: names that can't be changed."""


@dataclass(frozen=True, slots=True)
class Word:
    """A banned word or phrase.

    Attributes:
        pattern: a regular expression. A space in it is any space, the end of a line, the `#` of the
            next comment line, or the `_` of an identifier.
        write: what to write instead.
        in_names: whether it is banned in identifiers too.
    """

    pattern: str
    write: str
    in_names: bool = True

    def compiled(self) -> re.Pattern[str]:
        """The pattern, matching whole words only; `_` separates words."""
        gap, edge = (r"[\s#_]+", "A-Za-z") if self.in_names else (r"[\s#]+", r"\w")
        pattern = self.pattern.replace(" ", gap)
        return re.compile(rf"(?<![{edge}])(?:{pattern})(?![{edge}])", re.IGNORECASE)


WORDS = (
    Word("hears? of|heard of", "is notified of, receives"),
    Word("hears?|(?:un)?heard", "receives"),
    Word("herewith|hereby|thereby|therein|thereof|thereupon|whence|hence", "with this, so"),
    Word("likewise", "also, the same"),
    Word("whoever|whomever|whosoever|whatsoever", "anyone who, everyone who"),
    Word("lest", "so that ... not"),
    Word("mend|mends|mended|mending", "fix"),
    Word("comes? to nothing|came to nothing", "fails, has no effect"),
    Word("in vain", "without effect"),
    Word("anew|afresh", "again"),
    Word("besides?", "next to, in addition to, compared with, apart from"),
    Word("(?:come|comes|came) of (?:it|this|that|each|them)", "results from"),
    Word("doomed", "to delete"),
    Word("reckon(?:s|ed|ing)?", "calculate"),
    Word("time-outs?", "timeout"),
    Word("amid|amidst|amongst|whilst|unto|ere|oft|nigh|aught|naught|yonder", "a modern word"),
    Word("bury|buries|buried|burying", "leave a tombstone"),
    Word("lets? go|letting go", "delete, release"),
    Word("(?:stands?|stood|standing)(?! for| in for)", "is, is in"),
    Word("(?:looks?|looked|looking)(?! (?:up|ahead|like))(?!-(?:up|ahead))", "poll, read"),
    Word("(?:un)?told", "said, was notified, received"),
    Word("tells?|tellings?", "says, reports, shows, distinguishes"),
    Word(
        r"(?<!dead[\s_-])letters?(?!,| digits| (?:and|or) |(?: of (?:all|any) language))",
        "dead letter",
    ),
    Word("last resort", "failure handler", in_names=False),
    Word("notices?", "event, notification"),
    Word("rehears(?:e|es|ed|al|als|ing)", "dry run"),
    Word("amend(?:s|ed|ing)?", "update"),
    Word("fingerprints?|entity tags?", "ETag"),
    Word("naming(?! Amazon| rules)", "identity; names"),
    Word("carry on|carries on|carried on|carrying on", "continue, save progress, poll"),
    Word("(?:un)?settle(?:s|d)?|(?:un)?settling", "end, clean up, still running"),
    Word(
        "dwells?|perish(?:es|ed)?|befalls?|befell|forsaken?|heeds?|behold|tidings", "a modern word"
    ),
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A banned word in a file; `str()` of it is the line that is printed."""

    path: str
    line: int
    word: str
    write: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: "{self.word}": write "{self.write}"'


def check(text: str, path: str) -> list[Finding]:
    """Findings in a text, in the order of its lines; the first of `WORDS` that matches counts.

    Args:
        text: the text of a file.
        path: the file's path, which findings name.
    """
    found: dict[int, Finding] = {}
    for word, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            shown = re.sub(r"[\s#]+", " ", match[0])
            if (path, shown.lower()) not in ALLOWED:
                line = text.count("\n", 0, match.start()) + 1
                found.setdefault(match.start(), Finding(path, line, shown, word.write))
    return [found[start] for start in sorted(found)]


def files(root: Path) -> Iterator[Path]:
    """The files of a repository that are read, sorted."""
    below = (path for top in DIRECTORIES for path in (root / top).rglob("*"))
    paths = {path for path in below if path.suffix in SUFFIXES or path.name == "Makefile"}
    for path in sorted(paths | {root / name for name in TOP_FILES}):
        inside = path.relative_to(root)
        if path.is_file() and not NOT_READ.keys() & {
            str(name) for name in (inside, *inside.parents)
        }:
            yield path


def main(arguments: Iterable[str]) -> int:
    """Print the findings; the exit code."""
    paths = [Path(name).resolve() for name in arguments] or [*files(REPOSITORY)]
    findings = [
        finding for path in paths for finding in check(path.read_text("utf-8"), _shown(path))
    ]
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return 1 if findings else 0


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


_PATTERNS = [(word, word.compiled()) for word in WORDS]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
