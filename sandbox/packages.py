"""Python packages, installed by uv into a directory."""

import subprocess
from pathlib import Path

UV = Path(__file__).resolve().parents[1] / ".venv-uv" / "bin" / "uv"
"""`make setup` creates it."""


def install(python: Path, requirements: Path, target: Path, *options: str) -> None:
    """Install exactly what a requirements file pins, with hashes.

    Args:
        python: the interpreter to install for.
        requirements: the file; every package in it has hashes.
        target: the directory to install into.
        options: further options of `uv pip install`.

    Raises:
        RuntimeError: uv failed, or is missing; with uv's own message.
    """
    require_uv()
    done = subprocess.run(  # noqa: S603  our own uv with our own list
        [
            *(str(UV), "pip", "install", "--quiet", "--python", str(python)),
            *("--require-hashes", "--no-deps", "--target", str(target)),
            *("--requirements", str(requirements), *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"uv could not install {requirements}: {done.stderr.strip()}")


def require_uv() -> None:
    """Raise RuntimeError where uv is missing."""
    if not UV.exists():
        raise RuntimeError(f"{UV} is missing. Run `make setup`.")
