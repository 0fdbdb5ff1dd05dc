"""Lint: code that runs while an exception unwinds the stack makes no AWS call and sends nothing.

tests/chaos kills the function with an exception that nothing catches. A real process dies by
SIGKILL, and nothing of it runs after that. Both leave the same state only if unwinding has no
effect outside the process. So this is reported:

- `except:`, and `BaseException` or another exception outside `Exception`, which would catch the
  kill. These names are allowed in annotations and in `raise` only.
- In `finally`: all but assignments, `del`, `if`, `pass`, and calls of `ALLOWED_IN_FINALLY`. Also
  `return`, `break`, `continue` and `raise`, which replace the kill. `with`, `for`, `await` and
  comprehensions call methods that the code does not name.
- `__exit__`, `__aexit__` and `__del__`, defined or assigned in a class. A context manager is
  written with `@contextmanager`, whose clean-up is a `finally` that is checked here.
- What registers a call for later, or calls at exit: `BANNED`, and methods named in `METHODS`.

`ALLOWED_IN_FINALLY` holds `os.environ.pop`: it restores the environment, which belongs to the
process and ends with it. A log line is not allowed: it leaves the process.

Only the code of the given directories is read, not the libraries that it calls. A `with` over a
library's context manager is reported only if the library is known to send something at its exit.

Usage: `python -m tools.exits functions`
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ALLOWED_IN_FINALLY = frozenset({"os.environ.pop"})

CATCH_A_KILL = frozenset(
    {
        "BaseException",
        "BaseExceptionGroup",
        "GeneratorExit",
        "KeyboardInterrupt",
        "SystemExit",
        "asyncio.CancelledError",
    }
)

BANNED = {
    "atexit.register": "runs its function when the process ends",
    "concurrent.futures.ProcessPoolExecutor": "waits at its exit until all work is done",
    "concurrent.futures.ThreadPoolExecutor": "waits at its exit until all work is done",
    "contextlib.AsyncExitStack": "runs at its exit what was added to it",
    "contextlib.ExitStack": "runs at its exit what was added to it",
    "contextlib.aclosing": "calls close() at its exit",
    "contextlib.closing": "calls close() at its exit",
    "signal.signal": "runs its function when a signal arrives; SIGKILL runs nothing",
    "weakref.finalize": "runs its function when an object is deleted",
}

METHODS = {"batch_writer": "writes to DynamoDB at its exit"}

EXIT_METHODS = frozenset({"__aexit__", "__del__", "__exit__"})

_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Expr, ast.If, ast.Pass)
_HIDDEN_CALLS = (
    *(ast.Await, ast.Yield, ast.YieldFrom),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One violation; `str()` of it is the line that is printed."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def check(source: str, path: str) -> list[Finding]:
    """Findings in one module, in the order of its lines.

    Args:
        source: the module's text.
        path: what findings name.
    """
    tree = ast.parse(source, path)
    names = _imported(tree)
    harmless = _harmless(tree)
    found = [
        Finding(path, line, message)
        for node in ast.walk(tree)
        for line, message in _of_node(node, names, node not in harmless)
    ]
    # Walking a `finally` inside another one finds the same twice.
    return sorted(set(found))


def main(arguments: list[str]) -> int:
    """Print the findings in directories; the exit code."""
    files = [file for directory in arguments for file in sorted(Path(directory).rglob("*.py"))]
    if not files:
        sys.stderr.write("No Python files. Usage: python -m tools.exits functions\n")
        return 2
    findings = [found for file in files for found in check(file.read_text("utf-8"), str(file))]
    sys.stdout.writelines(f"{found}\n" for found in findings)
    return 1 if findings else 0


def _of_node(node: ast.AST, names: Mapping[str, str], is_used: bool) -> Iterator[tuple[int, str]]:
    match node:
        case ast.ExceptHandler(type=None):
            yield node.lineno, "a bare `except` catches the kill; name the exceptions"
        case ast.Try() | ast.TryStar():
            for statement in node.finalbody:
                yield from _in_finally(statement, names)
        case ast.ClassDef():
            yield from _in_class(node)
        case ast.Name() | ast.Attribute() if is_used:
            name = _dotted(node, names)
            if name.removeprefix("builtins.") in CATCH_A_KILL:
                yield node.lineno, f"`{name}` catches the kill; catch `Exception` or less"
            elif name in BANNED:
                yield node.lineno, f"`{name}` {BANNED[name]}; a killed process does not"
            elif isinstance(node, ast.Attribute) and node.attr in METHODS:
                yield node.lineno, f"`{node.attr}` {METHODS[node.attr]}; a killed process does not"


def _in_finally(statement: ast.stmt, names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(statement):
        if isinstance(node, ast.stmt) and not isinstance(node, _STATEMENTS):
            yield node.lineno, f"`finally` holds {type(node).__name__}, not only assignments"
        elif isinstance(node, _HIDDEN_CALLS):
            yield node.lineno, f"`finally` holds {type(node).__name__}, which makes calls"
        elif isinstance(node, ast.Call):
            name = _dotted(node.func, names)
            if name not in ALLOWED_IN_FINALLY:
                yield node.lineno, f"`finally` calls `{name}`; a killed process does not"


def _in_class(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    for statement in node.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                defined = {name}
            case ast.Assign(targets=targets):
                defined = {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                continue
        for name in sorted(defined & EXIT_METHODS):
            yield statement.lineno, f"`{name}` runs while an exception unwinds; use @contextmanager"


def _imported(tree: ast.Module) -> dict[str, str]:
    """Dotted names by the names that imports, anywhere in a module, give them."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {alias.asname: alias.name for alias in node.names if alias.asname}
            case ast.ImportFrom(module=str(module)):
                names |= {
                    alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names
                }
    return names


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    """A name as it is imported; of what is no name, its source text."""
    match node:
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.Attribute(value=value, attr=attribute):
            return f"{_dotted(value, names)}.{attribute}"
    return ast.unparse(node)


def _harmless(tree: ast.Module) -> set[ast.AST]:
    """The nodes of annotations, and of what is raised: they catch nothing."""
    parts: list[ast.expr | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.arg() | ast.AnnAssign():
                parts.append(node.annotation)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                parts.append(node.returns)
            case ast.Raise(exc=ast.Call(func=raised)) | ast.Raise(exc=raised):
                parts.append(raised)
    return {node for part in parts if part for node in ast.walk(part)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
