"""What the lint of clean-up code reports, and on which line."""

from pathlib import Path
from textwrap import dedent

import pytest

from tools.exits import check, main

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


def lines(source: str) -> list[int]:
    return [found.line for found in check(dedent(source), "example.py")]


def in_finally(statement: str) -> str:
    return f"try:\n    work()\nfinally:\n    {statement}\n"


def test_reports_a_bare_except() -> None:
    assert lines("try:\n    work()\nexcept:\n    send()\n") == [3]


@pytest.mark.parametrize(
    "caught",
    [
        "BaseException",
        "builtins.BaseException",
        "KeyboardInterrupt",
        "SystemExit",
        "GeneratorExit",
        "asyncio.CancelledError",
        "(ValueError, BaseException)",
        "(ValueError, (KeyError, SystemExit))",
    ],
)
def test_reports_an_except_that_catches_the_kill(caught: str) -> None:
    assert lines(f"try:\n    work()\nexcept {caught}:\n    send()\n") == [3]


def test_reports_an_except_star_that_catches_the_kill() -> None:
    assert lines("try:\n    work()\nexcept* BaseException:\n    send()\n") == [3]


def test_reports_exceptions_that_are_caught_by_another_name() -> None:
    assert lines("from builtins import BaseException as All\nFAULTS = (KeyError, All)\n") == [2]


def test_reports_a_suppressed_kill() -> None:
    assert lines("with suppress(BaseException):\n    work()\n") == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "client.delete_object(Bucket='b', Key='k')",
        "logger.info('Done')",
        "done = send()",
        "del items[position()]",
        "items.pop(0)",
        "return",
        "raise ValueError",
        "with lock: pass",
        "for page in pages: pass",
        "import instance_bundle.app",
        "keys = [page for page in pages]",
    ],
)
def test_reports_what_may_call_in_finally(statement: str) -> None:
    assert lines(f"def function():\n    {indented(in_finally(statement))}") == [5]


def indented(source: str) -> str:
    return source.replace("\n", "\n    ")


def test_reports_await_in_finally() -> None:
    source = f"async def function():\n    {indented(in_finally('await sending'))}"
    assert lines(source) == [5]


def test_reports_a_call_in_finally_under_if_and_in_a_nested_try() -> None:
    source = """\
    try:
        work()
    finally:
        if changed:
            send()
        try:
            x = 1
        finally:
            send()
    """
    assert lines(source) == [5, 6, 9]


def test_reports_break_and_continue_in_finally() -> None:
    for statement in ("break", "continue"):
        assert lines(f"while True:\n    {indented(in_finally(statement))}") == [5]


@pytest.mark.parametrize("method", ["__exit__", "__aexit__", "__del__"])
def test_reports_a_class_with_a_method_that_runs_at_exit(method: str) -> None:
    assert lines(f"class Sender:\n    x = 1\n    def {method}(self, *_):\n        pass\n") == [3]
    assert lines(f"class Sender:\n    {method} = send\n") == [2]


def test_reports_an_asynchronous_exit() -> None:
    assert lines("class Sender:\n    async def __aexit__(self, *_):\n        pass\n") == [2]


@pytest.mark.parametrize(
    "source",
    [
        "import atexit\natexit.register(send)\n",
        "from atexit import register\nregister(send)\n",
        "import atexit as at\n@at.register\ndef send(): pass\n",
        "import weakref\nweakref.finalize(thing, send)\n",
        "import signal\nsignal.signal(signal.SIGTERM, send)\n",
        "from contextlib import closing\nwith closing(thing): pass\n",
        "import contextlib\nwith contextlib.ExitStack() as stack: stack.callback(send)\n",
        "from contextlib import AsyncExitStack as Stack\nstack = Stack()\n",
        "from concurrent import futures\nwith futures.ThreadPoolExecutor() as pool: pass\n",
        "table = dynamodb.Table('t')\nwith table.batch_writer() as batch: pass\n",
    ],
)
def test_reports_what_registers_a_call_or_calls_at_exit(source: str) -> None:
    assert lines(source) == [2]


def test_reports_an_import_that_is_made_in_a_function() -> None:
    assert lines("def function():\n    from atexit import register\n    register(send)\n") == [3]


def test_says_where_and_what() -> None:
    [found] = check(in_finally("client.put_item()"), "functions/ledger.py")
    assert str(found) == (
        "functions/ledger.py:4: `finally` calls `client.put_item`; a killed process does not"
    )


def test_reports_no_harmless_code() -> None:
    source = """\
    import os
    from contextlib import contextmanager, suppress
    from threading import register

    @contextmanager
    def restored():
        before = os.environ.get("A")
        try:
            yield
        except (KeyError, ValueError) as error:
            raise Denied from error
        except Exception:
            send()
            raise
        else:
            send()
        finally:
            if before is None:
                os.environ.pop("A")
            else:
                os.environ["A"] = before

    def why(error: BaseException, signal: int) -> BaseException | None:
        cause: BaseException | None = error.__cause__
        if signal:
            raise SystemExit(1)
        raise SystemExit

    class Sender:
        def __enter__(self): return register(self)

    with suppress(KeyError), open(path) as file:
        file.read()
    """
    assert lines(source) == []


def test_reports_an_argument_of_what_is_raised() -> None:
    assert lines("import atexit\nraise SystemExit(atexit.register(send))\n") == [2]


def test_the_functions_of_this_repository_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FUNCTIONS)]) == 0
    assert capsys.readouterr() == ("", "")


def test_prints_the_findings_of_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "package").mkdir()
    one, two = tmp_path / "one.py", tmp_path / "package/two.py"
    one.write_text("x = 1\n" + in_finally("send()"))
    two.write_text(in_finally("send()"))
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        f"{one}:5: `finally` calls `send`; a killed process does not\n"
        f"{two}:4: `finally` calls `send`; a killed process does not\n"
    )


def test_fails_where_there_is_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing")]) == 2
    assert "No Python files" in capsys.readouterr().err
