"""The site shows the Markdown files as GitHub does: with the same lists, blocks and tables.

The site is made with Python-Markdown, which is no CommonMark: it takes less for a list.
"""

import json
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from sandbox.artifact import REPOSITORY

from .test_links import MARKDOWN, PAGES

RENDER = """
import json, sys
from pathlib import Path
from markdown import Markdown
from mkdocs.config import load_config

config = load_config("mkdocs.yml")
markdown = Markdown(
    extensions=config.markdown_extensions, extension_configs=config.mdx_configs
)
json.dump([markdown.reset().convert(Path(name).read_text()) for name in sys.argv[1:]], sys.stdout)
"""
COUNTED = frozenset(
    ["blockquote", "h1", "h2", "h3", "h4", "img", "li", "ol", "pre", "table", "tr", "ul"]
)


class Elements(HTMLParser):
    """Counts the elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found = Counter[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in COUNTED:
            self.found[tag] += 1


def on_the_site(pages: list[Path]) -> list[Counter[str]]:
    done = subprocess.run(
        [".venv-site/bin/python", "-c", RENDER, *map(str, pages)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Elements(html).found for html in json.loads(done.stdout)]


def on_github(page: Path) -> Counter[str]:
    return Elements(MARKDOWN.render(page.read_text())).found


def test_each_page_has_the_same_elements() -> None:
    found = {
        str(page.relative_to(REPOSITORY)): (on_github(page), shown)
        for page, shown in zip(PAGES, on_the_site(PAGES), strict=True)
    }

    differences = {
        name: {tag: (github[tag], shown[tag]) for tag in COUNTED if github[tag] != shown[tag]}
        for name, (github, shown) in found.items()
        if github != shown
    }
    assert differences == {}, (
        "in a list, indent by four spaces, and end such a part by an empty line"
    )


def test_a_list_that_the_site_would_end_too_early_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("- a\n\n  b\n- c\n")

    [shown] = on_the_site([page])
    assert shown != on_github(page)
