"""A bundle's manifest: which parts it names."""

from collections.abc import Iterator
from io import BytesIO
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree

from instance_bundle.errors import UnreadableManifest
from instance_bundle.request import Location

LARGEST = 16 * 1024 * 1024
"""Bytes; a part of 10 MB takes about 130 and at most 1,100, so this is enough for 160 GB."""

_PART_NAME = ["manifest", "image", "parts", "part", "filename"]


def part_keys(text: bytes, location: Location) -> frozenset[str]:
    """The keys of the parts that a manifest names.

    EC2's tools name a part by what follows the last slash of its key; the whole key, with or
    without a leading slash or the bucket before it, is recognised too.

    Args:
        text: the manifest; of a larger one, its first `LARGEST` + 1 bytes are enough.
        location: where the bundle is.

    Raises:
        UnreadableManifest: it is too large, is not XML, defines entities, is another XML document,
            or names no part, or one that a bundle there can't have.
    """
    if len(text) > LARGEST:
        raise UnreadableManifest(f"it has over {LARGEST} bytes")
    try:
        names = list(_part_names(text))
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise UnreadableManifest(type(error).__name__) from error
    keys = [key for key in (_key(name, location) for name in names) if key is not None]
    if not names or len(keys) < len(names):
        raise UnreadableManifest(f"it names {len(names)} parts, of which {len(keys)} are known")
    return frozenset(keys)


def _part_names(text: bytes) -> Iterator[str]:
    path: list[str] = []
    for event, element in ElementTree.iterparse(BytesIO(text), events=("start", "end")):
        if event == "start":
            path.append(element.tag.rpartition("}")[2])
            if path[0] != "manifest":
                raise UnreadableManifest(f"its root is no manifest: {path[0][:40]}")
            continue
        if path == _PART_NAME:
            yield (element.text or "").strip()
        path.pop()
        element.clear()


def _key(name: str, location: Location) -> str | None:
    last = name.rpartition("/")[2]
    folder = location.prefix[: location.prefix.rfind("/") + 1]
    key = f"{folder}{last}"
    forms = {name.lstrip("/"), name.removeprefix(f"{location.bucket}/").lstrip("/")}
    is_here = not forms.isdisjoint({last, key.lstrip("/")})
    return key if is_here and location.is_part(key) else None
