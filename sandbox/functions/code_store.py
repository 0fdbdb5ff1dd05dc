"""The code of functions: packages, unpacked."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path

from moto.awslambda.exceptions import LambdaClientError

PLACE = Path("/var/tmp")  # noqa: S108  the directory below it is only this process's
"""Where functions may not write, other than in /tmp: a task root is read-only."""


class CodeStore:
    """Code packages, unpacked once each into a temporary directory."""

    def __init__(self) -> None:
        self._directory = Path(
            tempfile.mkdtemp(
                prefix="sandbox-lambda-", dir=PLACE if os.access(PLACE, os.W_OK) else None
            )
        )
        self._lock = threading.Lock()

    def unpacked(self, digest: str, package: bytes) -> Path:
        """The directory of a package (a zip file), named by its digest.

        Raises AWS's InvalidParameterValueException if it cannot be unpacked.
        """
        directory = self._directory / digest
        with self._lock:
            if not directory.exists():
                with tempfile.TemporaryDirectory(dir=self._directory) as scratch:
                    code = Path(scratch) / "code"
                    _unzip(package, code)
                    code.rename(directory)
        return directory

    def close(self) -> None:
        """Remove all of them."""
        with self._lock:
            shutil.rmtree(self._directory)


def _unzip(package: bytes, directory: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            archive.extractall(directory)
    except zipfile.BadZipFile as problem:
        raise LambdaClientError(
            "InvalidParameterValueException", f"Could not unzip uploaded file: {problem}"
        ) from problem
