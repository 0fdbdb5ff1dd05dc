"""Which mutants are made of a source, which are drawn by a seed, and how commands run on them."""

import shlex
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from textwrap import dedent

import psutil
import pytest
from rich.console import Console

from tools.mutants import (
    CAUGHT,
    MODULES,
    SURVIVED,
    TIMED_OUT,
    Module,
    Mutant,
    Run,
    copy_checkout,
    edits,
    main,
    mutants,
    report,
    run,
    run_in_copy,
    table,
)

SOURCES = {
    "one.py": "def one(x):\n    if x < 1:\n        return x + 2\n    return [x]\n",
    "two.py": "def two(x):\n    work(x, 3)\n    return not x\n",
    "three.py": "LIMIT = 3\n",
    "empty.py": '"""Nothing."""\n',
}


def made(source: str, operator: str) -> list[str]:
    """The texts that an operator makes of a source."""
    module = Module(source)
    return [module.edited(edit) for edit in edits(module) if edit.operator == operator]


def all_of(source: str) -> set[str]:
    module = Module(dedent(source))
    return {edit.operator for edit in edits(module)}


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("comparison", "a < b", ["a <= b"]),
        ("comparison", "a >= b", ["a > b"]),
        ("comparison", "a == b", ["a != b"]),
        ("comparison", "a not  in b", ["a in b"]),
        ("comparison", "a is b", ["a is not b"]),
        ("comparison", "0 < a <= b", ["0 <= a <= b", "0 < a < b"]),
        ("comparison", "('ä') < (b)", ["('ä') <= (b)"]),
        ("boolean", "a and b and c", ["a or b and c", "a and b or c"]),
        ("boolean", "(\n    a\n    or b\n)", ["(\n    a\n    and b\n)"]),
        ("not removed", "x = not a", ["x = a"]),
        ("not removed", "x = not(a or b)", ["x = (a or b)"]),
        ("constant", "x = 3", ["x = 4"]),
        ("constant", "x = True", ["x = False"]),
        ("string", "x = 'a'", ["x = 'aXX'"]),
        ("string", "x = ''", ["x = 'XX'"]),
        ("string", "x = '''a'''", ["x = '''aXX'''"]),
        ("string", "x = ('a'\n    'b')", ["x = ('a'\n    'bXX')"]),
        ("return None", "def f(): return x", ["def f(): return None"]),
        ("return None", "def f(): return", []),
        ("call removed", "if a:\n    f(\n        b\n    )", ["if a:\n    pass"]),
        ("call removed", "x = f(b)", []),
        ("condition", "if a: pass", ["if True: pass", "if False: pass", "if not (a): pass"]),
        ("condition", "x = b if not a else c", ["x = b if True else c", "x = b if False else c"]),
        ("condition", "if a == b: pass", ["if True: pass", "if False: pass"]),
        ("argument dropped", "f(a, b, c=d)", ["f(b, c=d)", "f(a, c=d)", "f(a, b)"]),
        ("argument dropped", "f(a=b)", ["f()"]),
        ("argument dropped", "f(a)", []),
        ("sign", "a + b", ["a - b"]),
        ("sign", "a -= b", ["a += b"]),
        ("sign", "a * b", []),
        ("loop exit", "while a: break", ["while a: continue"]),
        ("loop exit", "while a: continue", ["while a: break"]),
        (
            "except narrowed",
            "try: f()\nexcept (A, b.C) as e: pass",
            ["try: f()\nexcept (b.C,) as e: pass", "try: f()\nexcept (A,) as e: pass"],
        ),
        ("except narrowed", "try: f()\nexcept A: pass", ["try: f()\nexcept (): pass"]),
    ],
)
def test_an_operator_makes(operator: str, source: str, expected: list[str]) -> None:
    assert made(source, operator) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A module."""',
        'class A:\n    """A class."""\n    x: int\n    """An attribute."""',
        'def f():\n    """A function."""',
        "def f(a: Literal['x'], *b: 'int') -> 'str': pass",
        "x: Literal['a']",
        "X = Literal['a', 'b']",
        "X = TypeVar('X', bound=A)",
        "import a.b\nfrom a import b as c",
        "@dataclass(frozen=True)\nclass A: pass",
        "@app.route('x')\ndef f(): pass",
        "if TYPE_CHECKING:\n    x = 1",
        "class A:\n    def __repr__(self):\n        return 'x' + self.y",
        "__all__ = ['a']",
        "logger.info('text', key=1)",
        "self._logger.exception('text')",
        "x = f'{a + 1} text'",
        "x = a",
    ],
)
def test_is_not_mutated(source: str) -> None:
    assert all_of(source) == set()


def test_what_follows_a_docstring_is_mutated() -> None:
    source = 'def f(a=1):\n    """A function."""\n    return logger.child("x")\n'
    assert {*made(source, "constant"), *made(source, "string"), *made(source, "return None")} == {
        source.replace("a=1", "a=2"),
        source.replace('"x"', '"xXX"'),
        source.replace('logger.child("x")', "None"),
    }


def test_an_annotated_value_is_mutated() -> None:
    assert made("x: Literal[1] = 1", "constant") == ["x: Literal[1] = 2"]


def test_the_same_seed_gives_the_same_mutants() -> None:
    drawn = list(islice(mutants(SOURCES, 7), 12))
    assert drawn == list(islice(mutants(dict(reversed(SOURCES.items())), 7), 12))
    assert drawn != list(islice(mutants(SOURCES, 8), 12))


def test_each_module_is_mutated_once_before_any_is_mutated_twice() -> None:
    for seed in range(10):
        names = [mutant.module for mutant in islice(mutants(SOURCES, seed), 5)]
        assert sorted(names[:3]) == ["one.py", "three.py", "two.py"]
        # The only mutant of three.py was the first.
        assert sorted(names[3:]) == ["one.py", "two.py"]


def test_all_mutants_are_drawn_once_each_compiles_and_differs() -> None:
    drawn = list(mutants(SOURCES, 1))
    assert [mutant.number for mutant in drawn] == list(range(1, len(drawn) + 1))
    assert len({mutant.after for mutant in drawn}) == len(drawn)
    assert {mutant.operator for mutant in drawn} == {
        *("argument dropped", "call removed", "comparison", "condition", "constant"),
        *("not removed", "return None", "sign"),
    }
    for mutant in drawn:
        assert mutant.before == SOURCES[mutant.module] != mutant.after
        compile(mutant.after, mutant.module, "exec")


def test_what_changes_nothing_in_the_compiled_code_is_not_drawn() -> None:
    # `while True` as the condition True; `f((a), b)` without `a` has a parenthesis too many.
    source = "while True:\n    f((a), b)\n"
    assert "while True:\n    f((b)\n" in made(source, "argument dropped")
    drawn = [mutant.after for mutant in mutants({"one.py": source}, 1)]
    assert sorted(drawn) == [
        "while False:\n    f((a), b)\n",
        "while False:\n    f((a), b)\n",
        "while True:\n    pass\n",
        "while not (True):\n    f((a), b)\n",
    ]


def mutant(after: str = "LIMIT = 4\n") -> Mutant:
    return Mutant(1, "three.py", 1, "constant", "LIMIT = 3\n", after)


def test_a_mutant_is_shown_as_a_diff() -> None:
    assert mutant().changed_lines() == "- LIMIT = 3\n+ LIMIT = 4"
    path = "functions/instance_bundle/three.py"
    assert mutant().diff() == (f"--- {path}\n+++ {path}\n@@ -1 +1 @@\n-LIMIT = 3\n+LIMIT = 4\n")


PYTHON = f"{shlex.quote(sys.executable)} -c"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a module, an ignored file, and what `make setup` makes."""
    made = tmp_path / "checkout"
    (made / MODULES).mkdir(parents=True)
    (made / MODULES / "three.py").write_text("LIMIT = 3\n")
    (made / ".gitignore").write_text("build/\n.venv/\nignored\n")
    (made / "ignored").touch()
    (made / "deleted").touch()
    (made / ".venv").mkdir()
    (made / "build/runtime-3.13").mkdir(parents=True)
    (made / "build/application.zip").touch()
    subprocess.run(["git", "init", "--quiet"], cwd=made, check=True)  # noqa: S607
    subprocess.run(["git", "add", "deleted"], cwd=made, check=True)  # noqa: S607
    (made / "deleted").unlink()
    return made


def test_a_copy_has_the_files_of_git_and_links_to_the_environment(
    checkout: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy_checkout(checkout, copy)
    assert {str(path.relative_to(copy)) for path in copy.rglob("*")} == {
        *(".gitignore", ".venv", "build", "build/runtime-3.13"),
        *("functions", "functions/instance_bundle", "functions/instance_bundle/three.py"),
    }
    assert (copy / ".venv").resolve() == checkout / ".venv"
    assert (copy / ".gitignore").stat().st_mtime == (checkout / ".gitignore").stat().st_mtime


def test_a_mutant_is_caught_by_the_first_command_that_fails(checkout: Path) -> None:
    passes = f"{PYTHON} 'pass'"
    finds = f"""{PYTHON} 'assert open("{MODULES}/three.py").read() == "LIMIT = 3\\n"'"""
    timeouts = dict.fromkeys([passes, finds, f"{passes} "], 60.0)
    runs, last = run_in_copy(checkout, mutant(), timeouts, run_all=False)
    assert [(run.command, run.outcome) for run in runs] == [(passes, SURVIVED), (finds, CAUGHT)]
    assert "AssertionError" in last
    runs, _ = run_in_copy(checkout, mutant(), timeouts, run_all=True)
    assert [run.outcome for run in runs] == [SURVIVED, CAUGHT, SURVIVED]
    runs, _ = run_in_copy(checkout, None, timeouts, run_all=False)
    assert [run.outcome for run in runs] == [SURVIVED, SURVIVED, SURVIVED]
    assert (checkout / MODULES / "three.py").read_text() == "LIMIT = 3\n"


def test_a_command_that_takes_too_long_ends_with_all_its_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    done, _ = run(shlex.join([sys.executable, str(script)]), tmp_path, 1.5)
    assert done.outcome == TIMED_OUT
    assert done.seconds < 30
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_does_not_see_the_variables_of_a_make_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")
    done, _ = run(f"""{PYTHON} 'import os; assert "MAKEFLAGS" not in os.environ'""", tmp_path, 60)
    assert done.outcome == SURVIVED


RESULTS = [
    (mutant(), [Run("quick", CAUGHT, 1.0)]),
    (mutant("LIMIT = 5\n"), [Run("quick", SURVIVED, 1.0), Run("all", TIMED_OUT, 9.0)]),
    (mutant("LIMIT = 6\n"), [Run("quick", SURVIVED, 1.0), Run("all", SURVIVED, 2.0)]),
]


def test_the_table_counts_what_each_command_caught() -> None:
    console = Console(width=120)
    with console.capture() as printed:
        console.print(table(["quick", "all"], RESULTS))
    words = " ".join(printed.get().split())
    for expected in ("three.py:1", "+ LIMIT = 6", "timed out", "of 3, 1 survived"):
        assert expected in words
    assert "caught 1 of 3 │ caught 1 of 2" in words


def test_the_report_has_all_runs() -> None:
    text = report(7, "abc", RESULTS)
    assert text.count('"survived": true') == 1
    assert text.count('"outcome": "timed out"') == 1
    assert '"seed": 7' in text


@pytest.fixture
def repository(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tools.mutants.REPOSITORY", checkout)
    return checkout


def test_searches(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results.json"
    command = f"{PYTHON} 'pass'"
    assert main(["--seed", "7", "--command", command, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Seed 7, source ")
    assert "Without a mutant: " in printed
    assert "of 1, 1 survived" in printed
    assert '"survived": true' in output.read_text()


def test_fails_where_a_command_fails_without_a_mutant(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--command", f"{PYTHON} 'raise SystemExit(3)'"]) == 2
    assert "fails without a mutant" in capsys.readouterr().out


def test_shows_a_mutant(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7", "--show", "1", "--command", "no-such-command"]) == 0
    assert capsys.readouterr().out.endswith("-LIMIT = 3\n+LIMIT = 4\n\n")


@pytest.mark.parametrize("option", ["--show", "--only", "--count", "--timeout"])
def test_refuses_what_is_not_positive(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([option, "0"])
    assert option in capsys.readouterr().err
