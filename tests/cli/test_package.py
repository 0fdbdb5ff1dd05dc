"""The command can be installed from the repository, as pipx does it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from sandbox.artifact import REPOSITORY

_UV = REPOSITORY / ".venv-uv" / "bin" / "uv"


def test_the_package_has_the_command_and_what_it_imports(tmp_path: Path) -> None:
    # setuptools is installed, so nothing is downloaded.
    build = [*(str(_UV), "build", "--quiet", "--offline"), *("--wheel", "--no-build-isolation")]
    where = ["--python", sys.executable, "--out-dir", str(tmp_path)]
    source = _copy(tmp_path / "source")
    subprocess.run([*build, *where, str(source)], check=True)
    [wheel] = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)

    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {
        "cli",
        "instance_bundle",
    }
    assert (site / "cli" / "prices.json").is_file()
    [scripts] = site.glob("*.dist-info/entry_points.txt")
    assert "instance-bundle = cli.main:main" in scripts.read_text()
    help_text = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "--help"],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert help_text.startswith("Usage: instance-bundle")


def _copy(directory: Path) -> Path:
    """What a clone has, so that the build writes nothing into this one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "cli", "functions", "pyproject.toml", "README.md", "LICENSE"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / name).read_bytes())
    return directory
