"""The files of a release."""

import hashlib
import tomllib
from collections.abc import Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from instance_bundle import __version__
from sandbox import artifact
from sandbox.functions.interpreter import prepare_runtime
from tools.release import licenses, notes, packages, sbom, template

NAME = f"cfn-instance-bundle-{__version__}"
"""How the names of the files begin that are of one version."""


def files() -> dict[str, bytes]:
    """The files of the release, by their names.

    Raises:
        RuntimeError: the build failed, or the functions' Python is missing.
        ValueError: the changelog has no section for the version, or a package's license is unknown.
    """
    source = _read("template.yaml")
    python = template.runtime(source)
    found = prepare_runtime().version
    if found != python:
        raise RuntimeError(f"the functions run on Python {python}, and only {found} was found")
    released, section = notes.section(_read("CHANGELOG.md"), __version__)
    code = artifact.build()
    shipped = packages.read(code, python)
    texts = {
        f"{NAME}.yaml": template.packaged(source, f"{NAME}.zip", __version__),
        f"{NAME}.cdx.json": sbom.document(__version__, released, code, shipped, _direct()),
        "LICENSE": _read("LICENSE"),
        "RELEASE-NOTES.md": f"# cfn-instance-bundle {__version__}\n\n{section}",
        "THIRD-PARTY-LICENSES.txt": licenses.document(shipped),
    }
    written = {f"{NAME}.zip": code, **{name: text.encode() for name, text in texts.items()}}
    return {**written, "SHA256SUMS": _checksums(written)}


def _read(name: str) -> str:
    return (artifact.REPOSITORY / name).read_text(encoding="utf-8")


def _direct() -> list[str]:
    """The packages that the functions ask for themselves."""
    extras = tomllib.loads(_read("pyproject.toml"))["project"]["optional-dependencies"]
    return [canonicalize_name(Requirement(each).name) for each in extras["function"]]


def _checksums(files: Mapping[str, bytes]) -> bytes:
    """What `sha256sum --check` reads."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "".join(lines).encode()
