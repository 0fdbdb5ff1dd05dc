"""The interpreter that runs functions, and the packages that Lambda's runtime has."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import packages

logger = logging.getLogger("sandbox")

_RUNTIME_PACKAGES = ("awslambdaric", "simplejson", "snapshot-restore-py")
_SDK_PACKAGES = ["boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"]
"""The AWS SDK for Python "and its dependencies"
(https://docs.aws.amazon.com/lambda/latest/dg/python-package.html)."""
_PREFERRED_VERSION = "3.13"
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the code of functions.

    python: the interpreter.
    version: its version, such as `3.13`.
    library: directory that holds awslambdaric, and what it needs, for this interpreter.
    sdk: directory that holds boto3, and what it needs, for this interpreter.
    """

    python: Path
    version: str
    library: Path
    sdk: Path


def prepare_runtime() -> Runtime:
    """Find the interpreter for functions, and install for it what Lambda has, if it is missing.

    The interpreter is the one named by the variable SANDBOX_PYTHON, else a Python 3.13 of this
    machine, else the one that runs now (without its virtual environment). awslambdaric and boto3,
    each with what it needs, go into directories under `build/`, in the versions and with the hashes
    of requirements/dev.txt and functions/requirements.txt; after a change of a pin they are
    installed again.

    Raises RuntimeError if SANDBOX_PYTHON does not run, or uv fails.
    """
    return _prepare_runtime(os.environ.get("SANDBOX_PYTHON"))


@functools.cache
def _prepare_runtime(chosen: str | None) -> Runtime:
    interpreter = _interpreter(chosen)
    library = _installed(
        interpreter, "runtime", _REPOSITORY / "requirements" / "dev.txt", _RUNTIME_PACKAGES
    )
    sdk = _installed(
        interpreter, "sdk", _REPOSITORY / "functions" / "requirements.txt", _SDK_PACKAGES
    )
    return Runtime(interpreter.python, interpreter.version, library, sdk)


def _installed(
    interpreter: _Interpreter, name: str, lock_file: Path, wanted: Sequence[str]
) -> Path:
    """The directory with these packages, in the versions of a lock file."""
    library = _REPOSITORY / "build" / f"{name}-{interpreter.version}"
    requirements = _pinned_requirements(lock_file, wanted)
    stamp = hashlib.sha256(requirements.encode()).hexdigest()
    if not _is_stamped(library, stamp):
        library.parent.mkdir(exist_ok=True)
        with library.with_name(f"{library.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_stamped(library, stamp):
                _install(interpreter.python, requirements, library, stamp)
    return library


@dataclass(frozen=True, slots=True)
class _Interpreter:
    python: Path
    version: str


def _interpreter(chosen: str | None) -> _Interpreter:
    if chosen:
        if found := _probe(Path(chosen)):
            return found
        raise RuntimeError(f"SANDBOX_PYTHON={chosen} does not run")
    for candidate in _candidates():
        found = _probe(candidate)
        if found and found.version == _PREFERRED_VERSION:
            return found
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.base_prefix) / "bin" / f"python{running}"
    return _Interpreter(python, running)


def _candidates() -> Iterator[Path]:
    name = f"python{_PREFERRED_VERSION}"
    for directory in os.get_exec_path():
        if (python := Path(directory) / name).is_file():
            yield python
    versions = Path("~/.pyenv/versions").expanduser()
    yield from sorted(versions.glob(f"{_PREFERRED_VERSION}.*/bin/{name}"))


def _probe(python: Path) -> _Interpreter | None:
    """The interpreter behind a path, or None: shims of pyenv may be there and yet not run."""
    code = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(  # noqa: S603  the path of an interpreter on this machine
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as problem:
        logger.debug("%s is passed over: %s", python, problem)
        return None
    executable, version = answer.stdout.splitlines()
    return _Interpreter(Path(executable), version)


def _pinned_requirements(lock_file: Path, wanted: Sequence[str]) -> str:
    locked = lock_file.read_text()
    pins = []
    for package in wanted:
        pin = re.search(rf"^{re.escape(package)}==.*(?:\n[ \t].*)*", locked, re.MULTILINE)
        if pin is None:
            raise RuntimeError(f"{lock_file.relative_to(_REPOSITORY)} does not pin {package}")
        pins.append(pin[0])
    return "\n".join([*pins, ""])


def _is_stamped(library: Path, stamp: str) -> bool:
    file = library / ".stamp"
    return file.is_file() and file.read_text() == stamp


def _install(python: Path, requirements: str, library: Path, stamp: str) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as directory:
        listing = Path(directory) / "requirements.txt"
        listing.write_text(requirements)
        target = Path(directory) / "library"
        packages.install(python, listing, target)
        (target / ".stamp").write_text(stamp)
        if library.exists():
            shutil.rmtree(library)
        target.rename(library)
