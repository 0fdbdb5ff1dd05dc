"""The application's deployment package: what `sam build` would make, as one zip file."""

import fcntl
import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sandbox import packages

REPOSITORY = Path(__file__).resolve().parents[1]

_FUNCTIONS = REPOSITORY / "functions"
_BUILD = REPOSITORY / "build"
# All that is shipped is pure Python, so that one package suits every architecture.
_PURE = ("--only-binary", ":all:", "--platform", "any", "--implementation", "py")


def build() -> bytes:
    """The zip of `functions/` with what `functions/requirements.txt` pins.

    The dependencies are installed once for each state of the lock file, and kept under `build/`.

    Raises:
        RuntimeError: pip could not install what is pinned.
    """
    with tempfile.TemporaryFile() as file:
        file.write(_dependencies().read_bytes())
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as package:
            for source in _files(_FUNCTIONS):
                package.write(source, source.relative_to(_FUNCTIONS))
        file.seek(0)
        return file.read()


def _dependencies() -> Path:
    """A zip of the installed dependencies."""
    lock_file = _FUNCTIONS / "requirements.txt"
    digest = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    packed = _BUILD / f"dependencies-{digest[:16]}.zip"
    _BUILD.mkdir(exist_ok=True)
    with (_BUILD / "dependencies.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not packed.exists():
            _pack_dependencies(lock_file, packed)
    return packed


def _pack_dependencies(lock_file: Path, packed: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_BUILD) as directory:
        target = Path(directory) / "dependencies"
        packages.install(
            Path(sys.executable), lock_file, target, "--no-compile", *_PURE, "--python-version=3.13"
        )
        unfinished = Path(directory) / packed.name
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
            for file in _files(target):
                package.write(file, file.relative_to(target))
        unfinished.rename(packed)


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
