"""The pictures of docs/ are those that the tools draw, and need nothing from another host."""

import re
from pathlib import Path

import pytest
from defusedxml import ElementTree

from tools.pictures import DIRECTORY, architecture

PICTURES = sorted(DIRECTORY.iterdir())
PAGES = [DIRECTORY.parents[1] / "README.md", *DIRECTORY.parent.rglob("*.md")]

each_svg = pytest.mark.parametrize(
    "picture",
    [picture for picture in PICTURES if picture.suffix == ".svg"],
    ids=lambda picture: str(picture.name),
)


def test_the_architecture_is_drawn_as_it_is_kept() -> None:
    assert (DIRECTORY / "architecture.svg").read_bytes() == architecture.draw()


@each_svg
def test_a_drawing_needs_no_other_host(picture: Path) -> None:
    text = picture.read_text()
    ElementTree.fromstring(text)
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"|<!--.*?-->', "", text)

    assert "http" not in without_names
    assert "@import" not in text
    assert "@font-face" not in text


@each_svg
def test_each_font_has_a_generic_one_in_its_place(picture: Path) -> None:
    fonts = re.findall(r"font(?:-family)?: ([^;}\"]*)", picture.read_text())

    assert fonts
    assert [font for font in fonts if not font.endswith(("sans-serif", "monospace"))] == []


def test_each_picture_is_on_a_page() -> None:
    texts = [page.read_text() for page in PAGES]

    assert [
        picture.name for picture in PICTURES if not any(picture.name in text for text in texts)
    ] == []
