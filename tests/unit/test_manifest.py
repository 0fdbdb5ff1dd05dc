"""Which parts a manifest names, from any writer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instance_bundle.aws import manifest
from instance_bundle.errors import UnreadableManifest
from instance_bundle.request.properties import Location

HERE = Location("images", "team/web")

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE manifest [
<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<manifest><image><parts><part><filename>&c;</filename></part></parts></image></manifest>"""


def identity(*names: str) -> bytes:
    parts = "".join(f"<part><filename>{name}</filename></part>" for name in names)
    return f"<manifest><image><parts>{parts}</parts></image></manifest>".encode()


def test_parts_are_named_by_their_last_segment_or_by_their_whole_key() -> None:
    text = identity(
        *("web.part.0", " web.part.11 ", "team/web.part.2"),
        *("/team/web.part.3", "images/team/web.part.4", "images//team/web.part.5"),
    )

    assert manifest.part_keys(text, HERE) == {
        f"team/web.part.{number}" for number in (0, 11, 2, 3, 4, 5)
    }


@pytest.mark.parametrize("name", ["lead.part.0", "/lead.part.0", "images//lead.part.0"])
def test_a_prefix_may_begin_with_a_slash(name: str) -> None:
    assert manifest.part_keys(identity(name), Location("images", "/lead")) == {"/lead.part.0"}


@pytest.mark.parametrize(
    "text",
    [
        identity("web.part.0").replace(b"<manifest>", b'<manifest xmlns="http://ec2/">'),
        b'<?xml version="1.0"?><!DOCTYPE manifest SYSTEM "manifest.dtd">' + identity("web.part.0"),
    ],
)
def test_namespaces_and_document_types_are_read(text: bytes) -> None:
    assert manifest.part_keys(text, HERE) == {"team/web.part.0"}


def test_a_manifest_of_ten_megabytes_is_read() -> None:
    location = Location("images", "x" * 890)
    text = identity(*(f"{'x' * 890}.part.{number}" for number in range(11_000)))
    assert len(text) > 10_000_000

    assert len(manifest.part_keys(text, location)) == 11_000


@pytest.mark.parametrize(
    "name",
    [
        *("other.part.0", "web.manifest.xml", "web.part.", "web.part.0.bak", "web.part.-1"),
        *("../web.part.0", "team/../web.part.0", "elsewhere/web.part.0"),
        *("web.part.0\n.", "web.part.\u0661", "", "web.part.0/x", "s3://other/team/web.part.0"),
    ],
)
def test_a_manifest_that_names_what_is_no_part_there_is_not_trusted(name: str) -> None:
    with pytest.raises(UnreadableManifest, match="names 2 parts, of which 1 are known"):
        manifest.part_keys(identity(name, "web.part.1"), HERE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no xml",
        identity("web.part.0")[:-20],
        b"<html/>",
        BOMB,
        identity(),
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such"?><manifest/>',
        identity("web.part.0") + b" " * manifest.LARGEST,
    ],
)
def test_what_is_no_manifest_names_nothing(text: bytes) -> None:
    with pytest.raises(UnreadableManifest):
        manifest.part_keys(text, HERE)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda name: identity(name)))
def test_any_text_names_parts_or_is_refused(text: bytes) -> None:
    keys: Any
    try:
        keys = manifest.part_keys(text, HERE)
    except UnreadableManifest:
        return
    assert all(HERE.is_part(key) for key in keys)
