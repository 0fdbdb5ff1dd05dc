"""Mutation testing: make small changes to the functions, and count what the test commands catch.

    python -m tools.mutants --seed 7 --count 20 --command "make quick" --command "make test"

The modules of `functions/instance_bundle` take turns in a random order: each is mutated once before
any is mutated twice. In a module the kind of change is drawn first, then the place, since most
places are string constants. The same seed and the same source give the same mutants, and
`--count 40` starts with the mutants of `--count 20`.

The checkout is copied once, and each mutant is tested in a new copy of that copy. The commands run
in the given order until one fails: that one catches the mutant. A timeout catches it, too. Before,
the commands run without a mutant, where they must pass.

A surviving mutant shows a missing test, or is equivalent to the source. A person decides which:
`--show 3` prints the third mutant, `--only 3` tests only that one.

Not mutated: docstrings, annotations, imports, decorators, f-strings, `__repr__`, calls that log,
and what changes nothing in the compiled code.
"""

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from types import CodeType

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = Path("functions/instance_bundle")

CAUGHT, TIMED_OUT, SURVIVED = "caught", "timed out", "survived"

_PAIRS = [
    *(("<", "<="), (">", ">="), ("==", "!="), ("+", "-")),
    *(("in", "not in"), ("is", "is not"), ("and", "or")),
]
_SWAPPED = dict(_PAIRS) | {other: one for one, other in _PAIRS}
_SYMBOL = re.compile(r"[<>]=?|[!=]=|[+-]|\b(?:not\s+in|is\s+not|in|is|and|or)\b")
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# What these take is for type checkers, or is a name that nothing reads.
_TYPING = {"Literal", "NamedTuple", "NewType", "TypeVar", "TypedDict", "cast"}

Positioned = ast.expr | ast.stmt | ast.keyword


@dataclass(frozen=True, slots=True)
class Edit:
    """A change at one place of a module: bytes from `start` to `end` are replaced."""

    operator: str
    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change.

    Attributes:
        number: its place among the mutants of the seed, from 1.
        module: the module's file name.
        line: where the change begins.
        operator: the kind of the change; a key of `OPERATORS`.
        before: the module's text.
        after: the text with the change.
    """

    number: int
    module: str
    line: int
    operator: str
    before: str
    after: str

    def diff(self, context: int = 3) -> str:
        """The change as a unified diff."""
        path = str(MODULES / self.module)
        before, after = self.before.splitlines(True), self.after.splitlines(True)
        return "".join(difflib.unified_diff(before, after, path, path, n=context))

    def changed_lines(self) -> str:
        """The diff's changed lines only, without their indentation."""
        lines = self.diff(context=0).splitlines()[3:]
        return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


@dataclass(frozen=True, slots=True)
class Run:
    """How one command ended on a mutant: `CAUGHT`, `TIMED_OUT` or `SURVIVED`."""

    command: str
    outcome: str
    seconds: float


Results = Sequence[tuple[Mutant, Sequence[Run]]]


class Module:
    """A module's text, and where its nodes are in it, in bytes as `ast` counts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._bytes = text.encode()
        self._lines = [0, *(match.end() for match in re.finditer(rb"\n", self._bytes))]

    def span(self, node: Positioned) -> tuple[int, int]:
        """Where a node begins and ends."""
        last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._lines[node.lineno - 1] + node.col_offset, self._lines[last - 1] + column

    def cut(self, start: int, end: int) -> str:
        """A part of the text."""
        return self._bytes[start:end].decode()

    def line(self, edit: Edit) -> int:
        """The line in which an edit begins."""
        return self._bytes.count(b"\n", 0, edit.start) + 1

    def edited(self, edit: Edit) -> str:
        """The text with an edit made."""
        return self.cut(0, edit.start) + edit.replacement + self._bytes[edit.end :].decode()


# An operator yields (start, end, replacement) for each change that it can make to a node.
Changes = Iterator[tuple[int, int, str]]


def _swapped(module: Module, operands: Sequence[Positioned]) -> Changes:
    """Swap what is between two operands, each in turn."""
    for left, right in pairwise(operands):
        start = module.span(left)[1]
        if found := _SYMBOL.search(module.cut(start, module.span(right)[0])):
            start += len(found.string[: found.start()].encode())
            yield start, start + len(found[0]), _SWAPPED[" ".join(found[0].split())]


def _comparison(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.Compare):
        yield from _swapped(module, [node.left, *node.comparators])


def _boolean(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.BoolOp):
        yield from _swapped(module, node.values)


def _sign(module: Module, node: ast.AST) -> Changes:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            yield from _swapped(module, [left, right])
        case ast.AugAssign(target=left, op=ast.Add() | ast.Sub(), value=right):
            yield from _swapped(module, [left, right])


def _not(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start, end = module.span(node)
        word = "not " if module.cut(start, end).startswith("not ") else "not"
        yield start, start + len(word), ""


def _condition(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        start, end = module.span(node.test)
        yield start, end, "True"
        yield start, end, "False"
        match node.test:
            case ast.UnaryOp(op=ast.Not()):
                pass  # as "not removed"
            case ast.Compare(ops=[op]) if not isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                pass  # as "comparison"
            case _:
                yield start, end, f"not ({module.cut(start, end)})"


def _constant(module: Module, node: ast.AST) -> Changes:
    match node:
        case ast.Constant(value=bool(value)):
            yield *module.span(node), str(not value)
        case ast.Constant(value=int(number) | float(number)):
            yield *module.span(node), repr(number + 1)


def _string(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        start, end = module.span(node)
        text = module.cut(start, end)
        # At its end: a literal that goes over several lines stays in them, and the diff is short.
        end -= 3 if text.endswith(text[-1] * 3) else 1
        yield end, end, "XX"


def _returned(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.Return) and node.value:
        yield *module.span(node.value), "None"


def _removed_call(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield *module.span(node), "pass"


def _dropped_argument(module: Module, node: ast.AST) -> Changes:
    if not isinstance(node, ast.Call):
        return
    arguments: list[Positioned] = [*node.args, *node.keywords]
    spans = sorted(map(module.span, arguments))
    named = {module.span(keyword) for keyword in node.keywords}
    for position, (start, end) in enumerate(spans):
        if len(spans) == 1 and (start, end) not in named:
            return  # mostly a TypeError
        if position + 1 < len(spans):
            yield start, spans[position + 1][0], ""
        else:
            yield (spans[position - 1][1] if position else start), end, ""


def _loop_exit(module: Module, node: ast.AST) -> Changes:
    if isinstance(node, ast.Break | ast.Continue):
        yield *module.span(node), "continue" if isinstance(node, ast.Break) else "break"


def _narrowed(module: Module, node: ast.AST) -> Changes:
    match node:
        case ast.ExceptHandler(type=ast.Tuple(elts=types) as caught):
            for dropped in types:
                kept = [module.cut(*module.span(other)) for other in types if other is not dropped]
                yield *module.span(caught), f"({', '.join(kept)},)"
        case ast.ExceptHandler(type=ast.expr() as caught):
            yield *module.span(caught), "()"


OPERATORS: Mapping[str, Callable[[Module, ast.AST], Changes]] = {
    "argument dropped": _dropped_argument,
    "boolean": _boolean,
    "call removed": _removed_call,
    "comparison": _comparison,
    "condition": _condition,
    "constant": _constant,
    "except narrowed": _narrowed,
    "loop exit": _loop_exit,
    "not removed": _not,
    "return None": _returned,
    "sign": _sign,
    "string": _string,
}


def edits(module: Module) -> list[Edit]:
    """All edits of a module, in a fixed order; a few do not compile, or change nothing."""
    return [
        Edit(operator, *change)
        for node in _mutable(ast.parse(module.text))
        for operator, changes in OPERATORS.items()
        for change in changes(module, node)
    ]


def mutants(sources: Mapping[str, str], seed: int) -> Iterator[Mutant]:
    """The mutants of a seed, until there are no more.

    Args:
        sources: the modules' texts by their file names.
        seed: the same seed gives the same mutants of the same sources.
    """
    randomly = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    modules = {name: Module(sources[name]) for name in sorted(sources)}
    left = {name: edits(module) for name, module in modules.items()}
    turns = list(modules)
    randomly.shuffle(turns)
    number = 0
    while turns:
        for name in list(turns):
            module = modules[name]
            edit = _draw(module, left[name], randomly)
            if edit is None:
                turns.remove(name)
                continue
            number += 1
            after = module.edited(edit)
            yield Mutant(number, name, module.line(edit), edit.operator, module.text, after)


def _draw(module: Module, left: list[Edit], randomly: random.Random) -> Edit | None:
    """Take an edit that changes what a module does; None where none is left."""
    while left:
        operator = randomly.choice(sorted({edit.operator for edit in left}))
        edit = randomly.choice([edit for edit in left if edit.operator == operator])
        left.remove(edit)
        if _is_changed(module.text, module.edited(edit)):
            return edit
    return None


def _is_changed(before: str, after: str) -> bool:
    """Whether a mutant compiles, to other code."""
    try:
        mutated = compile(after, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return _behaviour(mutated) != _behaviour(compile(before, "mutant", "exec", dont_inherit=True))


def _behaviour(code: CodeType) -> tuple[object, ...]:
    """Code without what only says where in the text it is."""
    constants = [
        _behaviour(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return code.co_code, code.co_exceptiontable, code.co_flags, names, constants


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    """A node, and what is in it, without what is not mutated."""
    if not _is_left_alone(node):
        yield node
        for part in _parts(node):
            yield from _mutable(part)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.arg() | ast.JoinedStr() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=logger, attr=level))):
            return level in _LEVELS and ast.unparse(logger).endswith("logger")
        case ast.Call(func=name) | ast.Subscript(value=name):
            return ast.unparse(name) in _TYPING
        case ast.Assign(targets=[ast.Name(id=variable)]):
            return variable.startswith("__")
        case ast.FunctionDef(name="__repr__"):
            return True
        case ast.If(test=test):
            # What only type checkers import has no `else` here.
            return ast.unparse(test).endswith("TYPE_CHECKING")
    return False


def _parts(node: ast.AST) -> Sequence[ast.AST]:
    """What is in a node, without annotations and decorators."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.args, *node.body]
        case ast.ClassDef():
            return node.body
        case ast.AnnAssign():
            return [node.value] if node.value else []
    return list(ast.iter_child_nodes(node))


def copy_checkout(checkout: Path, copy: Path) -> None:
    """Copy what git tracks or would track, and link to what `make setup` made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        # A file that was deleted, but not yet from the index, is listed too.
        if name and (checkout / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            # With its time of change: make compares it with that of .venv/.set-up.
            shutil.copy2(checkout / name, copy / name)
    (copy / "build").mkdir(exist_ok=True)
    for made in [*checkout.glob(".venv*"), *checkout.glob("build/runtime-*")]:
        (copy / made.relative_to(checkout)).symlink_to(made)


def run(command: str, directory: Path, timeout: float | None) -> tuple[Run, str]:
    """Run a command, and end all its processes after `timeout` seconds; also its last output."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = psutil.Popen(
            shlex.split(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            outcome = CAUGHT if process.wait(timeout) else SURVIVED
        except psutil.TimeoutExpired:
            outcome = TIMED_OUT
            # The sandbox's functions run in sessions of their own: killing a group misses them.
            for started in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    started.kill()
            process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
        last = output.read().decode(errors="replace")
    return Run(command, outcome, round(time.monotonic() - begin, 1)), last


def run_in_copy(
    source: Path, mutant: Mutant | None, timeouts: Mapping[str, float | None], run_all: bool
) -> tuple[list[Run], str]:
    """Run commands in a new copy until one fails.

    Args:
        source: what is copied.
        mutant: what is changed in the copy; None for nothing.
        timeouts: of the commands, in seconds.
        run_all: run the other commands too after one has failed.

    Returns:
        The runs, and the last output of the last one.
    """
    runs: list[Run] = []
    last = ""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as directory:
        copy = shutil.copytree(source, Path(directory) / "copy", symlinks=True)
        if mutant is not None:
            (copy / MODULES / mutant.module).write_text(mutant.after, "utf-8")
        for command, timeout in timeouts.items():
            done, last = run(command, copy, timeout)
            runs.append(done)
            if done.outcome != SURVIVED and not run_all:
                break
    return runs, last


def survived(runs: Sequence[Run]) -> bool:
    """Whether no command caught a mutant."""
    return all(run.outcome == SURVIVED for run in runs)


def table(commands: Sequence[str], results: Results) -> Table:
    """The mutants, and how many each command caught of those that it ran on."""
    shown = Table("#", "Where", "Mutation", show_lines=True, show_footer=True)
    survivors = sum(survived(runs) for _, runs in results)
    shown.columns[2].footer = f"of {len(results)}, {survivors} survived"
    for command in commands:
        ran = [run for _, runs in results for run in runs if run.command == command]
        caught = sum(not survived([run]) for run in ran)
        shown.add_column(Text(command), footer=f"caught {caught} of {len(ran)}")
    for mutant, runs in results:
        outcomes = {run.command: run.outcome for run in runs}
        shown.add_row(
            str(mutant.number),
            Text(f"{mutant.module}:{mutant.line}\n{mutant.operator}"),
            Text(mutant.changed_lines()),
            *(outcomes.get(command, "") for command in commands),
        )
    return shown


def report(seed: int, source: str, results: Results) -> str:
    """The results as JSON."""
    found = [
        {
            "number": mutant.number,
            "module": mutant.module,
            "line": mutant.line,
            "operator": mutant.operator,
            "diff": mutant.diff(),
            "survived": survived(runs),
            "runs": [asdict(run) for run in runs],
        }
        for mutant, runs in results
    ]
    return json.dumps({"seed": seed, "source": source, "mutants": found}, indent=2) + "\n"


def run_on_each(
    source: Path, drawn: Sequence[Mutant], options: argparse.Namespace, console: Console
) -> Iterator[tuple[Mutant, Sequence[Run]]]:
    """Run the commands on each mutant; print how each ended.

    Raises:
        RuntimeError: a command fails without a mutant; with its last output.
    """
    timeouts: dict[str, float | None] = dict.fromkeys(options.command, options.timeout)
    if options.timeout is None:
        runs, output = run_in_copy(source, None, timeouts, run_all=False)
        if not survived(runs):
            raise RuntimeError(f"{output}\n{runs[-1].command} fails without a mutant")
        for done in runs:
            console.print(
                Text(f"Without a mutant: {done.command} passes in {done.seconds} s"), soft_wrap=True
            )
        timeouts = {done.command: 3 * done.seconds + 60 for done in runs}
    for mutant in drawn:
        runs, _ = run_in_copy(source, mutant, timeouts, options.run_all)
        where = f"{mutant.number}. {mutant.module}:{mutant.line} {mutant.operator}"
        outcomes = ", ".join(f"{run.command}: {run.outcome}, {run.seconds} s" for run in runs)
        console.print(Text(f"{where}: {outcomes}"), soft_wrap=True)
        yield mutant, runs


def search(source: Path, options: argparse.Namespace, console: Console) -> int:
    """Draw the mutants of a copied checkout, and show or test them; the exit code."""
    top = source / MODULES
    files = sorted(top.rglob("*.py"))
    sources = {str(file.relative_to(top)): file.read_text("utf-8") for file in files}
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:12]
    console.print(f"Seed {options.seed}, source {digest}")
    one = options.show or options.only
    first, last = (one - 1, one) if one else (0, options.count)
    drawn = list(islice(mutants(sources, options.seed), first, last))
    if options.show:
        console.print(*(Text(mutant.diff()) for mutant in drawn), soft_wrap=True)
        return 0
    results: list[tuple[Mutant, Sequence[Run]]] = []
    try:
        for result in run_on_each(source, drawn, options, console):
            results.append(result)
            if options.output:
                # After each one: an interrupted search leaves what it found.
                options.output.write_text(report(options.seed, digest, results), "utf-8")
    except RuntimeError as error:
        console.print(Text(str(error)), soft_wrap=True)
        return 2
    console.print(table(options.command, results))
    return 0


def main(arguments: list[str]) -> int:
    """Copy the checkout and search the copy; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    add = parser.add_argument
    add("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="default: drawn")
    add("--count", type=_positive, default=20, help="how many mutants")
    add("--command", action="append", help="a test command; default: make quick, then make test")
    add("--run-all", action="store_true", help="run later commands on a caught mutant, too")
    add(
        "--timeout",
        type=_positive,
        help="seconds for each command, which then isn't run without a mutant; "
        "default: 3 times the seconds of that run, and 60 more",
    )
    add("--show", type=_positive, metavar="K", help="print mutant K of the seed, and test nothing")
    add("--only", type=_positive, metavar="K", help="test only mutant K of the seed")
    add("--output", type=Path, help="a file for the results, as JSON")
    options = parser.parse_args(arguments)
    options.command = options.command or ["make quick", "make test"]
    # Into a file or a pipe, rich would print a table of 80 columns.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory(prefix="mutants-") as copy:
        copy_checkout(REPOSITORY, Path(copy))
        return search(Path(copy), options, console)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
