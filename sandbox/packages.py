"""Python packages, installed by pip into a directory."""

import subprocess
from pathlib import Path


def install(python: Path, requirements: Path, target: Path, *options: str) -> None:
    """Install what a requirements file pins, hashes and all, and nothing beside it.

    Args:
        python: the interpreter whose pip does it.
        requirements: the file; every package in it has hashes.
        target: the directory to install into.
        options: further options of `pip install`.

    Raises:
        RuntimeError: pip could not; with pip's own words.
    """
    done = subprocess.run(  # noqa: S603  our own pip with our own list
        [
            *(str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
            *("--require-hashes", "--no-deps", "--target", str(target)),
            *("--requirement", str(requirements), *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"pip could not install {requirements}: {done.stderr.strip()}")
