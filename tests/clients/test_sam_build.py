"""SAM CLI checks and builds the application with no AWS account, and what it builds is whole."""

import filecmp
import json
import subprocess
from pathlib import Path

import pytest

from .conftest import size_of
from .deployment import FUNCTIONS
from .table import Row
from .tool import Tool, without_account

SIZE_LIMIT = 32
"""MB, unpacked, that the built function may have; README.md states it. Lambda's limit is 250 MB
(AWS Lambda Developer Guide, Lambda quotas)."""

_LOADED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import instance_bundle.app, instance_bundle.last_resort
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps({"files": files, "library": sys.base_prefix}))
"""


def test_the_template_is_valid(sam_without_account: Tool) -> None:
    assert "is a valid SAM Template" in sam_without_account.run("validate", "--lint")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_built_within_the_size_limit(built: Path, function: str) -> None:
    assert 1 < size_of(built / function) <= SIZE_LIMIT


def test_what_is_built_is_the_package_and_its_dependencies(project: Path, built: Path) -> None:
    package = built / "InstanceBundleFunction" / "instance_bundle"
    sources = sorted(path.name for path in (project / "functions/instance_bundle").iterdir())

    _, differing, missing = filecmp.cmpfiles(
        project / "functions/instance_bundle", package, sources, shallow=False
    )

    assert (differing, missing) == ([], [])
    assert not {"moto", "sandbox", "tests"} & {path.name for path in package.parent.iterdir()}


def test_the_built_function_loads_from_its_artifact_alone(
    python: Path, built: Path, rows: list[Row], tmp_path: Path
) -> None:
    rows.append(Row("Python", "3.13", "python3.13 -I -c 'import instance_bundle.app' in .aws-sam"))
    artifact = built / "InstanceBundleFunction"

    done = subprocess.run(
        [python, "-I", "-c", _LOADED, artifact],
        cwd=tmp_path,
        env=without_account(AWS_REGION="us-east-1"),
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = json.loads(done.stdout)
    files = {Path(file) for file in loaded["files"].values() if file is not None}
    library = Path(loaded["library"])
    elsewhere = {
        file
        for file in files
        if artifact not in file.parents
        and (library not in file.parents or "site-packages" in file.parts)
    }
    assert artifact / "instance_bundle" / "app.py" in files
    assert any("boto3" in file.parts for file in files)
    assert elsewhere == set()
