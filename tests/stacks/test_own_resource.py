"""sandbox/README.md: somebody else's custom resource, developed with nothing but the page."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from tests.fixtures import PATIENCE
from tests.typed import claimed

from .examples import patch_sleep
from .pages import Block, block, blocks_of_code
from .support import wait_for

PAGE, HEADING = "sandbox/README.md", "Develop a custom resource"
_LINES = 30
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|127\.0\.0\.1:\d+")
_END = "-- end --"


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A directory in which the files of the page are, and what a clone has."""
    code, template = (
        next(each.text for each in blocks_of_code(PAGE) if _is(each, language))
        for language in ("python", "yaml")
    )
    assert len(code.splitlines()) <= _LINES
    (tmp_path / "checksum" / "code").mkdir(parents=True)
    (tmp_path / "checksum" / "code" / "checksum.py").write_text(code)
    (tmp_path / "checksum" / "template.yaml").write_text(template)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    return tmp_path


def _is(found: Block, language: str) -> bool:
    return (found.heading, found.language) == (HEADING, language)


def test_a_custom_resource_is_developed_with_only_the_read_me(reader: Path) -> None:
    patch_sleep(reader / "sleep")  # AWS CLI's waiters are in a hurry
    programs = str(Path(sys.executable).parent)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_PAGER": "",
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{reader / 'sleep'}:{REPOSITORY}",
    }
    serving = block(PAGE, HEADING)
    [command] = serving.commands
    log = reader / "serve.log"
    with log.open("w") as output:
        sandbox = subprocess.Popen(
            [*shlex.split(command), "--port", "0"],
            cwd=reader,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: "Ctrl-C ends" in _alive(sandbox, log) or None, "the sandbox")
        printed = log.read_text()
        assert _same(printed).startswith(_same("\n".join(serving.text.splitlines()[1:])))
        [export] = re.findall(r"^  (export .+)$", printed, re.MULTILINE)
        for number in (1, 2, 3):
            _type(block(PAGE, HEADING, number), export, reader, environment)
    finally:
        sandbox.send_signal(signal.SIGINT)
        status = sandbox.wait(PATIENCE)
    assert status == 0
    test = "test_a_custom_resource_is_developed_with_only_the_read_me"
    assert {(PAGE, HEADING, number) for number in range(4)} == claimed(test)


def _alive(sandbox: subprocess.Popen[bytes], log: Path) -> str:
    assert sandbox.poll() is None, log.read_text()
    return log.read_text()


def _type(typed: Block, export: str, directory: Path, environment: dict[str, str]) -> None:
    """Type the commands of a block, and compare what each prints with the page."""
    script = "\n".join(f"{command}\necho '{_END}'" for command in typed.commands)
    done = subprocess.run(
        ["/bin/bash", "-euc", f"{export}\n{script}"],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    expected = re.split(r"^\$ .*\n", typed.text, flags=re.MULTILINE)[1:]
    printed = done.stdout.split(f"{_END}\n")[:-1]
    assert [*map(_same, printed)] == [*map(_same, expected)]


def _same(text: str) -> str:
    """A text without what is another each time, and without space at the ends of lines."""
    lines = (line.rstrip() for line in text.strip().splitlines())
    return _RANDOM.sub("…", "\n".join(lines))
