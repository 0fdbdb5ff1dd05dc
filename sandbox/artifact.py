"""The application's deployment package: what `sam build` makes of `functions/`, as one zip file."""

import fcntl
import hashlib
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sandbox import packages
from sandbox.functions.interpreter import prepare_runtime

REPOSITORY = Path(__file__).resolve().parents[1]

_FUNCTIONS = REPOSITORY / "functions"
_BUILD = REPOSITORY / "build"
_TARGET = "build-InstanceBundleFunction"
_UNIX = 3
"""The system whose permissions an entry has (PKWARE's APPNOTE.TXT, 4.4.2)."""


def build() -> bytes:
    """The zip of what `functions/Makefile` builds, for the runtime that the sandbox has.

    Builds of the same files by the same Python give the same bytes. It is built once for each state
    of `functions/`, and the last one is kept under `build/`.

    Raises:
        RuntimeError: make failed; with its own message.
    """
    python = prepare_runtime().python
    package, stamp = _BUILD / "application.zip", _BUILD / "application.sha256"
    state = _state(python)
    _BUILD.mkdir(exist_ok=True)
    with (_BUILD / "application.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != state:
            stamp.unlink(missing_ok=True)
            _pack(python, package)
            stamp.write_text(state)
        return package.read_bytes()


def _state(python: Path) -> str:
    digest = hashlib.sha256(str(python).encode())
    digest.update(Path(__file__).read_bytes())
    for file in _files(_FUNCTIONS):
        if "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(_FUNCTIONS)} {file.stat().st_size} ".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _pack(python: Path, package: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_BUILD) as directory:
        artifact = Path(directory)
        _make(python, artifact)
        with zipfile.ZipFile(package, "w") as zip_file:
            for file in _files(artifact):
                zip_file.writestr(_entry(file.relative_to(artifact)), file.read_bytes())


def _entry(name: Path) -> zipfile.ZipInfo:
    """A file with the earliest date that a zip can have, and the permissions that Lambda needs.

    They are 644 (https://repost.aws/knowledge-center/lambda-deployment-package-errors).
    """
    entry = zipfile.ZipInfo(name.as_posix())
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _make(python: Path, artifact: Path) -> None:
    packages.require_uv()
    # pip does it for `sam build`. uv has in its cache what it installed for development.
    install = f'"{packages.UV}" pip install --quiet --python "{python}"'
    done = subprocess.run(  # noqa: S603  our own Makefile
        ["make", _TARGET, f"PYTHON={python}", f"INSTALL={install}", f"ARTIFACTS_DIR={artifact}"],  # noqa: S607
        cwd=_FUNCTIONS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"make {_TARGET} failed: {done.stderr.strip()}")
    (artifact / ".lock").unlink(missing_ok=True)  # uv's own


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())
