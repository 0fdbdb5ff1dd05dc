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
EXTERNAL = b"""<?xml version="1.0"?>
<!DOCTYPE manifest SYSTEM "file:///etc/passwd">
<manifest><image><parts><part><filename>web.part.0</filename></part></parts></image></manifest>"""


def identity(*names: str) -> bytes:
    parts = "".join(f"<part><filename>{name}</filename></part>" for name in names)
    return f"<manifest><image><parts>{parts}</parts></image></manifest>".encode()


def test_parts_are_named_by_their_last_segment_or_by_their_whole_key() -> None:
    text = identity("web.part.0", " web.part.11 ", "team/web.part.2")

    assert manifest.part_keys(text, HERE) == {
        *("team/web.part.0", "team/web.part.11", "team/web.part.2")
    }


@pytest.mark.parametrize(
    "name",
    [
        *("other.part.0", "web.manifest.xml", "web.part.", "web.part.0.bak", "web.part.-1"),
        *("../web.part.0", "team/../web.part.0", "elsewhere/web.part.0", "/team/web.part.0"),
        *("web.part.0\n.", "web.part.\u0661", "", "web.part.0/x", "s3://other/team/web.part.0"),
    ],
)
def test_what_is_no_part_of_a_bundle_there_is_not_named(name: str) -> None:
    assert manifest.part_keys(identity(name, "web.part.1"), HERE) == {"team/web.part.1"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no xml",
        identity("web.part.0")[:-20],
        b"<html/>",
        BOMB,
        EXTERNAL,
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
