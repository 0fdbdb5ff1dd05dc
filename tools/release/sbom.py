"""The software bill of materials, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/)."""

import hashlib
import uuid
from collections.abc import Collection
from datetime import datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.release.packages import Package

_NAME = "cfn-instance-bundle"


def document(
    version: str,
    released: datetime,
    artifact: bytes,
    packages: Collection[Package],
    direct: Collection[str],
) -> str:
    """The bill of materials of the artifact, as JSON.

    Its serial number is derived from the artifact, and its timestamp is the release's date: a
    second build gives the same document.

    Args:
        version: the application's version.
        released: the date of the release.
        artifact: the zip file.
        packages: what the zip file contains.
        direct: the normalized names of those that the application asks for itself.

    Raises:
        ValueError: CycloneDX's schema does not allow the document.
    """
    digest = hashlib.sha256(artifact).hexdigest()
    application = _component(_NAME, version, "Apache-2.0", ComponentType.APPLICATION)
    application.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
    shipped = {
        package.name: _component(
            package.name,
            package.version,
            package.license,
            ComponentType.LIBRARY,
            PackageURL("pypi", name=package.name, version=package.version),
        )
        for package in packages
    }
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest),
        metadata=BomMetaData(component=application, timestamp=released),
        components=shipped.values(),
    )
    bom.register_dependency(application, [shipped[name] for name in direct])
    for package in packages:
        requires = package.requires & shipped.keys()
        bom.register_dependency(shipped[package.name], [shipped[name] for name in requires])
    written = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        raise ValueError(f"the bill of materials is not CycloneDX: {error.data!r}")
    return f"{written}\n"


def _component(
    name: str, version: str, license_: str, kind: ComponentType, purl: PackageURL | None = None
) -> Component:
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=f"{name}@{version}",
        licenses=[LicenseFactory().make_from_string(license_)],
        purl=purl,
    )
