"""The command, and the rules for cfn-lint, can be installed from the repository.

docs/command.md and docs/lint.md do so by pipx and pip.
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from instance_bundle import __version__
from sandbox.artifact import REPOSITORY
from tests.stacks.pages import block

_SHIPPED = ("cli", "functions", "lint", "pyproject.toml", "README.md", "LICENSE")
_UV = REPOSITORY / ".venv-uv" / "bin" / "uv"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package as it is installed."""
    directory = tmp_path_factory.mktemp("package")
    # setuptools is installed, so nothing is downloaded.
    build = [*(str(_UV), "build", "--quiet", "--offline"), *("--wheel", "--no-build-isolation")]
    where = ["--python", sys.executable, "--out-dir", str(directory)]
    source = _copy(directory / "source")
    subprocess.run([*build, *where, str(source)], check=True)
    [wheel] = directory.glob("*.whl")
    assert wheel.name == f"cfn_instance_bundle-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(directory / "site")
    return directory / "site"


def test_the_package_has_the_command_and_what_it_imports(site: Path, tmp_path: Path) -> None:
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {
        "cli",
        "instance_bundle",
        "instance_bundle_lint",
    }
    assert (site / "cli" / "prices.json").is_file()
    [metadata] = site.glob("*.dist-info/METADATA")
    extras = re.findall(r"^Provides-Extra: (\S+)$", metadata.read_text(), re.MULTILINE)
    for page, heading in (
        ("docs/command.md", "The operators' command"),
        ("docs/lint.md", "Switch the rules on"),
    ):
        [extra] = re.findall(r"^pipx? install '\.\[(\w+)\]'", block(page, heading).commands[0])
        assert extra in extras
    [scripts] = site.glob("*.dist-info/entry_points.txt")
    assert "instance-bundle = cli.main:main" in scripts.read_text()
    assert _run(site, tmp_path, "-m", "cli", "--help").startswith("Usage: instance-bundle")


def test_the_rules_need_cfn_lint_and_nothing_else(site: Path, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(
        "Resources: {Bundle: {Type: Custom::InstanceBundle, Properties: {ServiceToken: any}}}"
    )
    of_the_function = ["aws_lambda_powertools", "boto3", "botocore", "crhelper", "fastjsonschema"]
    command = f"""
import sys
sys.modules.update(dict.fromkeys({of_the_function}))
from cfnlint.runner import main
sys.argv[1:] = ["--append-rules", "instance_bundle_lint.rules", "--", "template.yaml"]
main()
"""
    assert _run(site, tmp_path, "-c", command, status=2).count("E9702 ") == 2


def _run(site: Path, directory: Path, *command: str, status: int = 0) -> str:
    """What Python prints with the package on its path, and nothing else of the repository."""
    done = subprocess.run(
        [sys.executable, "-P", *command],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def _copy(directory: Path) -> Path:
    """What a clone has, so that the build writes nothing into this one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *_SHIPPED],  # noqa: S607
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
