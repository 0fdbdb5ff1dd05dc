"""Banned words are found in code and prose, and their good uses are not."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tools.words import ALLOWED, NOT_READ, REPOSITORY, WORDS, Finding, check, files, main


def found(text: str) -> list[str]:
    return [finding.word for finding in check(text, "some.py")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("# The bus that hears of it.", "hears of"),
        ("The stack has heard.", "heard"),
        ('"""Seconds, likewise."""', "likewise"),
        ("shown to whoever may see it", "whoever"),
        ('advice = "Mend what the message names."', "Mend"),
        ("an AMI that came to nothing", "came to nothing"),
        ("each process compiles anew", "anew"),
        ("def bury(self) -> None:", "bury"),
        ("def _let_go(self) -> None:", "let_go"),
        ("It stands in the CHANGELOG.", "stands"),
        ("shared by one look", "look"),
        ("asked = looks_at(task)", "looks"),
        ("if record.told:", "told"),
        ("_LOOK = 1.0", "LOOK"),
        ("the words tell", "tell"),
        ("for letter in received:", "letter"),
        ("What crashed goes to the last resort.", "last resort"),
        ("notices = subscribed(topic)", "notices"),
        ("EC2 answers a rehearsal", "rehearsal"),
        ("def amend(self) -> None:", "amend"),
        ("the entity tag of the object", "entity tag"),
        ("fingerprint = found['ETag']", "fingerprint"),
        ("self.naming()", "naming"),
        ("ledger.carry_on(record)", "carry_on"),
        ("raise Unsettled", "Unsettled"),
    ],
)
def test_a_banned_word_is_found(text: str, word: str) -> None:
    assert found(text) == [word]


@pytest.mark.parametrize(
    "text",
    [
        "A dead letter, two dead letters, dead_letters, a dead-letter queue, DeadLetters",
        "letters and digits; a letter or digit; 16 letters, digits and spaces",
        "dead\nletters",
        "look up, lookup, looked up, look ahead, look-ahead, a text that looks like it",
        "it stands for the request; standard; standalone; outstanding; understand",
        "Naming Amazon S3 objects; bucket naming rules; renaming",
        "instance_bundle.last_resort.handler; LastResortFunction",
        "recommend, recommended; noticeable; retelling_of; AmendedX",
        "shear; resettled",
    ],
)
def test_a_good_use_is_not_found(text: str) -> None:
    assert found(text) == []


def test_a_phrase_is_found_across_lines_and_comment_signs() -> None:
    text = "x = 1\n    # Work whose end a queue hears\n    # of at once.\n"

    assert check(text, "a/b.py") == [
        Finding("a/b.py", 2, "hears of", "is notified of, receives"),
    ]


def test_findings_are_in_the_order_of_the_lines_and_a_phrase_counts_once() -> None:
    text = "told\nnothing\nThe bus hears of it, and is told.\n"

    assert [(finding.line, finding.word) for finding in check(text, "a.md")] == [
        (1, "told"),
        (3, "hears of"),
        (3, "told"),
    ]


def test_a_finding_says_where_it_is_and_what_to_write() -> None:
    assert str(Finding("README.md", 3, "anew", "again")) == 'README.md:3: "anew": write "again"'


def test_each_word_has_a_replacement_without_banned_words() -> None:
    assert [word.write for word in WORDS if not word.write or check(word.write, "a")] == []


def test_files_are_read_and_others_are_not(tmp_path: Path) -> None:
    read = [
        *("Makefile", "README.md", "docs/fidelity.md", "examples/pipeline/base.yaml"),
        *("functions/Makefile", "functions/instance_bundle/request/properties.schema.json"),
    ]
    for name in [*read, "LICENSE", "docs/a.png", "build/a.py", "tools/words.py"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("anew")

    assert [str(path.relative_to(tmp_path)) for path in files(tmp_path)] == read


def test_the_exit_code_and_the_lines_of_a_run(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.md", tmp_path / "good.md"
    bad.write_text("It is\nmade anew.\n")
    good.write_text("It is made again.\n")

    run = [sys.executable, "-m", "tools.words"]
    failed = subprocess.run([*run, bad, good], cwd=REPOSITORY, capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, f'{bad}:2: "anew": write "again"\n')
    assert main([str(good)]) == 0


def test_each_exception_is_still_needed() -> None:
    assert {name for name in NOT_READ if not (REPOSITORY / name).exists()} == set()
    for path, word in ALLOWED:
        others = check((REPOSITORY / path).read_text("utf-8"), "without exceptions")
        assert Counter(finding.word.lower() for finding in others)[word], (path, word)
