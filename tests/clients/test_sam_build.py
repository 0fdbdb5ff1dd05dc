"""SAM CLI checks and builds the application with no AWS account, and what it builds is whole."""

import filecmp
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from sandbox import artifact as release

from .conftest import size_of
from .deployment import FUNCTIONS
from .table import Row
from .tool import Tool, without_account

SIZE_LIMIT = 22
"""MB, unpacked, that the built function may have; CONTRIBUTING.md has it, too. Lambda allows 250 MB
(AWS Lambda Developer Guide, Lambda quotas)."""

_LOADED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import instance_bundle.app, instance_bundle.last_resort, instance_bundle.polling
from instance_bundle import aws
for make in vars(aws).values():
    if hasattr(make, "cache_clear"):
        make()
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps({"files": files, "library": sys.base_prefix}))
"""


def test_the_template_is_valid(sam_without_account: Tool) -> None:
    assert "is a valid SAM Template" in sam_without_account.run("validate", "--lint")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_built_within_the_size_limit(built: Path, function: str) -> None:
    assert 1 < size_of(built / function) <= SIZE_LIMIT


def test_functions_are_built_alike_so_that_they_are_uploaded_once(built: Path) -> None:
    one, other = (_contents(built / function) for function in FUNCTIONS)

    assert one == other


def test_the_release_and_the_sandbox_have_the_files_that_sam_builds(built: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(release.build())) as archive:
        files = {Path(name): archive.read(name) for name in archive.namelist()}

    assert files == _contents(built / "InstanceBundleFunction")


def test_each_module_comes_with_bytecode_that_is_known_by_its_hash(built: Path) -> None:
    artifact = built / "InstanceBundleFunction"
    modules = set(artifact.rglob("*.py"))
    bytecode = {_source(path): path.read_bytes()[4:8] for path in artifact.rglob("*.pyc")}

    # The flags of a file that holds its source's hash, and is to be compared with it (PEP 552).
    assert bytecode == dict.fromkeys(modules, b"\x03\0\0\0")


def test_what_is_built_is_the_package_and_its_dependencies(project: Path, built: Path) -> None:
    package = built / "InstanceBundleFunction" / "instance_bundle"
    source = project / "functions" / "instance_bundle"
    files = [path.name for path in source.iterdir() if path.is_file()]

    _, differing, missing = filecmp.cmpfiles(source, package, files, shallow=False)

    assert (differing, missing) == ([], [])
    assert not {"moto", "sandbox", "tests"} & {path.name for path in package.parent.iterdir()}


def test_the_built_function_loads_from_its_artifact_alone_and_makes_each_client(
    python: Path, built: Path, rows: list[Row], tmp_path: Path
) -> None:
    rows.append(Row("Python", "3.13", "python3.13 -I -c 'import instance_bundle.app' in .aws-sam"))
    artifact = built / "InstanceBundleFunction"

    done = subprocess.run(
        [python, "-I", "-c", _LOADED, artifact],
        cwd=tmp_path,
        env=without_account(AWS_DEFAULT_REGION="us-east-1"),
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


def _contents(artifact: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(artifact): path.read_bytes()
        for path in artifact.rglob("*")
        if path.is_file()
    }


def _source(bytecode: Path) -> Path:
    name, version, _ = bytecode.name.split(".")
    assert version == "cpython-313", bytecode
    return bytecode.parent.with_name(f"{name}.py")
