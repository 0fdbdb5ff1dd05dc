"""A bundle's manifest: which parts it names."""

from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from instance_bundle.errors import UnreadableManifest
from instance_bundle.request import Location

LARGEST = 1024 * 1024
"""Bytes; a manifest takes about 130 for each part of 10 MB, so this is enough for 80 GB."""


def part_keys(text: bytes, location: Location) -> frozenset[str]:
    """The keys of the parts that a manifest names, without any that a bundle there can't have.

    EC2's tools name a part by what follows the last slash of its key.

    Args:
        text: the manifest; of a larger one, its first `LARGEST` + 1 bytes are enough.
        location: where the bundle is.

    Raises:
        UnreadableManifest: it is too large, is not XML, has a document type (which can define
            entities), or is another XML document.
    """
    if len(text) > LARGEST:
        raise UnreadableManifest(f"it has over {LARGEST} bytes")
    try:
        root: Element = ElementTree.fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise UnreadableManifest(type(error).__name__) from error
    if root.tag != "manifest":
        raise UnreadableManifest(f"its root is no manifest: {root.tag[:40]}")
    folder = location.prefix.rpartition("/")[0]
    names = (name.text or "" for name in root.iterfind("image/parts/part/filename"))
    keys = (_key(name.strip(), folder) for name in names)
    return frozenset(key for key in keys if location.is_part(key))


def _key(name: str, folder: str) -> str:
    return name if "/" in name or not folder else f"{folder}/{name}"
