"""The packages that the artifact contains, as they describe themselves in their dist-info."""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PathDistribution

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What packages say that have no SPDX expression, as their license files read.
_SPDX: Mapping[str, str] = {
    "Apache License 2.0": "Apache-2.0",
    "Apache2": "Apache-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",
    "PSFL": "PSF-2.0",
}
_LICENSE = re.compile(r"LICEN[CS]E|COPYING", re.IGNORECASE)
_MORE = re.compile(r"NOTICE|AUTHORS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that the functions import.

    Attributes:
        name: its normalized name.
        version: its version.
        license: an SPDX license expression.
        requires: the normalized names of the packages that it imports.
        texts: its license files, and what it says about authors, by the files' names.
    """

    name: str
    version: str
    license: str
    requires: frozenset[str]
    texts: Mapping[str, str]


def read(artifact: bytes, python: str) -> tuple[Package, ...]:
    """The packages in the artifact, by their names.

    Args:
        artifact: the zip file.
        python: the version of Python that the functions run on, such as `3.13`.

    Raises:
        ValueError: a package has no license file, or no known license.
    """
    with zipfile.ZipFile(io.BytesIO(artifact)) as archive:
        folders = [each for each in zipfile.Path(archive).iterdir() if each.suffix == ".dist-info"]
        found = (_package(folder, python) for folder in folders)
        return tuple(sorted(found, key=lambda each: each.name))


def _package(folder: zipfile.Path, python: str) -> Package:
    distribution = PathDistribution(folder)
    requirements = (Requirement(text) for text in distribution.requires or ())
    environment = {"extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    package = Package(
        name=canonicalize_name(distribution.name),
        version=distribution.version,
        license=_license(distribution),
        requires=frozenset(
            canonicalize_name(each.name)
            for each in requirements
            if each.marker is None or each.marker.evaluate(environment)
        ),
        texts={file.name: file.read_text(encoding="utf-8") for file in _files(folder)},
    )
    if not any(_LICENSE.match(name) for name in package.texts):
        raise ValueError(f"{package.name} {package.version} has no license file in its dist-info")
    return package


def _files(folder: zipfile.Path) -> Iterator[zipfile.Path]:
    # Wheels have their license files in `licenses` since PEP 639, and before it among the others.
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name == "licenses":
            yield from sorted(file.iterdir(), key=lambda each: each.name)
        elif _LICENSE.match(file.name) or _MORE.match(file.name):
            yield file


def _license(distribution: PathDistribution) -> str:
    metadata = distribution.metadata
    said = next(
        (metadata[name] for name in ("License-Expression", "License") if name in metadata), ""
    )
    try:
        return canonicalize_license_expression(_SPDX.get(said, said))
    except InvalidLicenseExpression:
        raise ValueError(
            f"{distribution.name} says that its license is {said!r}. Read its license file, and "
            "add the SPDX expression to tools/release/packages.py."
        ) from None
