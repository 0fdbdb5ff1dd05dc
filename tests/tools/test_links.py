"""Links in the repository's Markdown files lead somewhere, on GitHub as on the site.

No page of others is fetched.
"""

import itertools
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.artifact import REPOSITORY

LISTED = subprocess.run(
    ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=True,
).stdout
FILES = {REPOSITORY / name for name in LISTED.split("\0") if (REPOSITORY / name).is_file()}
PAGES = sorted(file for file in FILES if file.suffix == ".md")
MARKDOWN = MarkdownIt().enable("table")


def tokens(page: Path) -> Iterator[Token]:
    """The tokens of a page, with those of its lines."""
    for token in MARKDOWN.parse(page.read_text()):
        yield token
        yield from token.children or ()


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of the headings: lower case, without punctuation, with hyphens for spaces.

    That of the second heading of the same text ends with -1.
    """
    seen = Counter[str]()
    found = set[str]()
    for opening, inline in itertools.pairwise(MARKDOWN.parse(page.read_text())):
        if opening.type == "heading_open":
            text = "".join(each.content for each in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def targets(page: Path) -> list[str]:
    """What the links and images of a page name."""
    attributes = {"link_open": "href", "image": "src"}
    return [
        str(token.attrs[attributes[token.type]])
        for token in tokens(page)
        if token.type in attributes
    ]


def problem(page: Path, target: str, files: set[Path]) -> str:
    """What is wrong with a link; empty if nothing is."""
    url = urlsplit(target)
    if url.scheme or url.netloc:
        return "" if url.scheme == "https" and url.hostname else f"{target} is not an https address"
    path = (page.parent / unquote(url.path)).resolve() if url.path else page
    if path not in files:
        return f"{target} is not a file of the repository"
    if (url.fragment or target.endswith("#")) and (
        path.suffix != ".md" or url.fragment not in anchors(path)
    ):
        return f"{target} has no such heading"
    return ""


def problems(page: Path, files: set[Path]) -> list[str]:
    return [found for target in targets(page) if (found := problem(page, target, files))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_link_and_image_leads_somewhere(page: Path) -> None:
    assert problems(page, FILES) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_image_has_a_text_in_its_place(page: Path) -> None:
    images = [token for token in tokens(page) if token.type == "image"]

    assert [image.attrs["src"] for image in images if not image.content] == []


@pytest.mark.parametrize(
    "link",
    [
        "[a](other.md)",
        "[a](other.md#some-words)",
        "[a](other.md#some-words-1)",
        "[a](#here-it-is)",
        "[a](../page/other.md)",
        "![a](picture.svg)",
        "[a][b]\n\n[b]: other.md",
        "`[a](missing.md)`",
        "```\n[a](missing.md)\n```",
        "[a](https://docs.aws.amazon.com/#anything)",
        "<https://docs.aws.amazon.com>",
    ],
)
def test_a_link_that_leads_somewhere_is_no_problem(link: str, tmp_path: Path) -> None:
    page, files = planted(tmp_path, link)

    assert problems(page, files) == []


@pytest.mark.parametrize(
    "link",
    [
        "[a](missing.md)",
        "[a](other.md#some-other-words)",
        "[a](other.md#some-words-2)",
        "[a](#not-here)",
        "[a](#)",
        "[a](picture.svg#part)",
        "[a](.)",
        "[a](/other.md)",
        "![a](missing.svg)",
        "[a][b]\n\n[b]: missing.md",
        "[a](http://docs.aws.amazon.com)",
        "[a](https://)",
        "[a](//docs.aws.amazon.com)",
        "- a\n\n    [a](missing.md)",
        "| a |\n|---|\n| [a](missing.md) |",
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, tmp_path: Path) -> None:
    page, files = planted(tmp_path, link)

    assert len(problems(page, files)) == 1


def planted(directory: Path, link: str) -> tuple[Path, set[Path]]:
    """A page with a link, and the files that there are."""
    page = directory / "page" / "page.md"
    page.parent.mkdir()
    page.write_text(f"# Here: *it* is\n\n{link}\n")
    other, picture = page.with_name("other.md"), page.with_name("picture.svg")
    other.write_text("# Some `words`\n\n## Some words\n\n```\n# Some words\n```\n")
    picture.write_text("")
    return page, {page, other, picture}
