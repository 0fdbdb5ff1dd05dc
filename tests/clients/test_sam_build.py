"""SAM CLI checks and builds the application with no AWS account, and what it builds is whole."""

import filecmp
import json
import subprocess
from pathlib import Path

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


def test_each_function_is_built_within_the_size_limit(
    sam_without_account: Tool, built: Path
) -> None:
    megabytes = {
        function: _size(built / function) / 1_000_000
        for function in ("InstanceBundleFunction", "LastResortFunction")
    }

    largest = max(megabytes.values())
    sam_without_account.see(f"{largest:.1f} MB unpacked, limit {SIZE_LIMIT} MB")
    assert min(megabytes.values()) > 1
    assert largest <= SIZE_LIMIT


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


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
