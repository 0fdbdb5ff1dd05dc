"""What `make release` writes: whole, checked, and the same wherever and whenever it is written."""

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import __version__
from sandbox.artifact import REPOSITORY
from sandbox.functions.interpreter import prepare_runtime
from tests.stacks.pages import block
from tools.release import contents, licenses, notes, packages, template
from tools.release.contents import NAME

CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.10.0] - 2026-12-24

### Added

- Snow.

## [1.1.0] - 2026-11-30

- [A link](README.md).

[1.1.0]: https://example.com/1.1.0
"""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return contents.files()


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    """The versions that the functions' lock file pins, by the packages' names."""
    text = (REPOSITORY / "functions" / "requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.fixture(scope="module")
def sbom(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files[f"{NAME}.cdx.json"])
    return found


def copy_of_the_repository(directory: Path) -> Path:
    """The repository's files, with other dates, and the tools that `make setup` has made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = REPOSITORY / name, directory / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            os.utime(target, (1_000_000_000, 1_000_000_000))
    for name in (".venv", ".venv-uv"):
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to((REPOSITORY / name).resolve())
    runtime = prepare_runtime()
    (directory / "build").mkdir()
    for installed in (runtime.library, runtime.sdk):
        (directory / "build" / installed.name).symlink_to(installed)
    return directory


def test_a_second_build_elsewhere_gives_the_same_bytes(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    directory = copy_of_the_repository(tmp_path / "elsewhere")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--old-file", ".venv/.set-up", "release"],  # noqa: S607  the one of PATH
        cwd=directory,
        env=inherited | {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    written = {path.name: path.read_bytes() for path in (directory / "dist").iterdir()}

    assert sorted(done.stdout.splitlines()) == sorted(f"dist/{name}" for name in files)
    assert written.keys() == files.keys()
    assert [name for name in files if written[name] != files[name]] == []


def test_all_files_have_checksums(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    [command] = block("docs/deploying.md", "What a release contains").commands
    done = subprocess.run(
        shlex.split(command),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        f"{name}: OK" for name in sorted(files.keys() - {"SHA256SUMS"})
    ]


def test_each_file_of_the_code_is_readable_and_has_no_date(files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(files[f"{NAME}.zip"])) as archive:
        entries = archive.infolist()

    names = [entry.filename for entry in entries]
    assert "instance_bundle/app.py" in names
    assert len(names) == len(set(names))
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_the_bill_of_materials_has_each_locked_package_and_the_code(
    files: dict[str, bytes], sbom: dict[str, Any], lock: dict[str, str]
) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(files[f"{NAME}.cdx.json"].decode()) is None
    assert {each["name"]: each["version"] for each in sbom["components"]} == lock
    assert {each["purl"] for each in sbom["components"]} == {
        f"pkg:pypi/{name}@{version}" for name, version in lock.items()
    }
    assert all(each["licenses"] for each in sbom["components"])

    application = sbom["metadata"]["component"]
    digest = hashlib.sha256(files[f"{NAME}.zip"]).hexdigest()
    assert (application["name"], application["version"]) == ("cfn-instance-bundle", __version__)
    assert application["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_the_bill_of_materials_says_what_needs_what(
    sbom: dict[str, Any], lock: dict[str, str]
) -> None:
    needs = {each["ref"]: {*each.get("dependsOn", [])} for each in sbom["dependencies"]}

    assert needs[f"s3transfer@{lock['s3transfer']}"] == {f"botocore@{lock['botocore']}"}
    assert needs[f"python-dateutil@{lock['python-dateutil']}"] == {f"six@{lock['six']}"}
    reached: set[str] = set()
    front = {f"cfn-instance-bundle@{__version__}"}
    while front:
        reached |= front
        front = {other for each in front for other in needs[each]} - reached
    assert reached == needs.keys()


def test_each_packages_license_is_there_in_full(
    files: dict[str, bytes], lock: dict[str, str]
) -> None:
    text = files["THIRD-PARTY-LICENSES.txt"].decode()
    of_licenses = re.compile(r"[^/]+\.dist-info/(licenses/.+|LICENSE.*|NOTICE.*)")
    with zipfile.ZipFile(io.BytesIO(files[f"{NAME}.zip"])) as archive:
        names = [name for name in archive.namelist() if of_licenses.fullmatch(name)]
        assert {name.partition(".dist-info")[0].replace("_", "-") for name in names} == {
            f"{name}-{version}" for name, version in lock.items()
        }
        texts = {name: zipfile.Path(archive, name).read_text(encoding="utf-8") for name in names}
    missing = [name for name in names if texts[name].strip() not in text]
    assert missing == []
    for name, version in lock.items():
        assert re.search(rf"^{name} {re.escape(version)}\nLicense: .+$", text, re.MULTILINE)
    assert files["LICENSE"] == (REPOSITORY / "LICENSE").read_bytes()


def test_the_template_takes_the_code_of_its_own_version_from_the_bucket_that_is_given(
    files: dict[str, bytes],
) -> None:
    packaged = yaml_parse(files[f"{NAME}.yaml"].decode())
    source = yaml_parse((REPOSITORY / "template.yaml").read_text())

    assert packaged["Globals"]["Function"].pop("CodeUri") == {
        "Bucket": {"Ref": "CodeBucket"},
        "Key": {"Fn::Sub": f"${{CodePrefix}}{NAME}.zip"},
    }
    del source["Globals"]["Function"]["CodeUri"]
    added = {name: packaged["Parameters"].pop(name) for name in ("CodeBucket", "CodePrefix")}
    assert "Default" not in added["CodeBucket"]
    assert added["CodePrefix"]["Default"] == ""
    assert packaged["Outputs"]["Version"]["Value"] == __version__
    for part in ("Parameters", "Conditions", "Globals", "Outputs"):
        assert packaged[part] == source[part]
    for each in source["Resources"].values():
        each.get("Metadata", {}).pop("BuildMethod", None)
    assert packaged["Resources"] == source["Resources"]


def test_a_template_of_another_form_is_not_packaged() -> None:
    text = (REPOSITORY / "template.yaml").read_text()

    changed = text.replace("CodeUri: functions/", "CodeUri: elsewhere/")
    with pytest.raises(ValueError, match="CodeUri: functions/"):
        template.packaged(changed, "code.zip", __version__)


@pytest.mark.parametrize("name", ["SemanticVersion", "Value"])
def test_a_template_of_another_version_is_not_packaged(name: str) -> None:
    text = (REPOSITORY / "template.yaml").read_text()

    changed = text.replace(f"    {name}: {__version__}\n", f"    {name}: 99.0.0\n")
    assert changed != text
    with pytest.raises(ValueError, match=re.escape(f"the package has {__version__}")):
        template.packaged(changed, "code.zip", __version__)


def test_the_release_notes_are_the_versions_section(files: dict[str, bytes]) -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    title, _, section = files["RELEASE-NOTES.md"].decode().partition("\n\n")

    assert title == f"# cfn-instance-bundle {__version__}"
    assert section.startswith("### ")
    assert section.strip() in changelog
    assert "\n## " not in section


def test_a_section_ends_where_the_next_one_or_the_links_begin() -> None:
    assert notes.section(CHANGELOG, "1.10.0") == (
        datetime(2026, 12, 24, tzinfo=UTC),
        "### Added\n\n- Snow.\n",
    )
    assert notes.section(CHANGELOG, "1.1.0")[1] == "- [A link](README.md).\n"


@pytest.mark.parametrize("version", ["1.1", "1.1.1", "1x1.0"])
def test_a_version_without_a_section_is_not_released(version: str) -> None:
    with pytest.raises(ValueError, match=f"CHANGELOG.md says nothing about {version}"):
        notes.section(CHANGELOG, version)


def test_the_page_names_each_file_of_this_version(files: dict[str, bytes]) -> None:
    page = (REPOSITORY / "docs" / "deploying.md").read_text()

    assert set(re.findall(r"^\| `([^`]+)` \| ", page, re.MULTILINE)) >= files.keys()
    assert set(re.findall(r"cfn-instance-bundle-(\d[\d.]*\d)\.", page)) == {__version__}


def artifact(metadata: str, *names: str) -> bytes:
    """A zip file with one package, which has these further files in its dist-info."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("one-1.0.dist-info/METADATA", f"Name: One\nVersion: 1.0\n{metadata}\n")
        for name in names:
            archive.writestr(f"one-1.0.dist-info/{name}", f"Text of {name}\n")
    return written.getvalue()


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ("License-Expression: mit", "MIT"),
        ("License: Apache License 2.0", "Apache-2.0"),
        ("License: Dual License", "Apache-2.0 OR BSD-3-Clause"),
    ],
)
def test_a_license_is_an_spdx_expression(said: str, expression: str) -> None:
    [package] = packages.read(artifact(said, "licenses/LICENSE"), "3.13")

    assert package.license == expression


@pytest.mark.parametrize("said", ["License: as you like", "Summary: no license"])
def test_a_package_of_an_unknown_license_is_not_released(said: str) -> None:
    with pytest.raises(ValueError, match="Read its license file"):
        packages.read(artifact(said, "LICENSE"), "3.13")


def test_a_package_without_a_license_file_is_not_released() -> None:
    with pytest.raises(ValueError, match=r"one 1\.0 has no license file"):
        packages.read(artifact("License: MIT", "WHEEL"), "3.13")


def test_all_legal_texts_of_a_package_are_shown() -> None:
    names = ("COPYING", "LICENSE.txt", "NOTICE", "licenses/AUTHORS")
    shown = licenses.document(packages.read(artifact("License: MIT", "WHEEL", *names), "3.13"))

    assert shown.count("one 1.0\nLicense: MIT\n") == 1
    assert [f"Text of {name}\n" in shown for name in names] == [True] * 4
    assert "WHEEL" not in shown


def test_packages_of_other_pythons_and_extras_are_not_needed() -> None:
    needs = (
        'Requires-Dist: six >=1.5\nRequires-Dist: a; extra == "x"\n'
        'Requires-Dist: typing_extensions; python_version >= "3.13"\n'
        'Requires-Dist: tomli; python_version < "3.13"'
    )
    [package] = packages.read(artifact(f"License: MIT\n{needs}", "LICENSE"), "3.13")

    assert package.requires == {"six", "typing-extensions"}
