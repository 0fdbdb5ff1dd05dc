"""A hook of MkDocs: the site has this repository's pages, by their paths in the repository.

MkDocs takes pages from one directory only. Here they are README.md, docs/, and the other Markdown
files, with all files that they link to. A page's links are as they are where the repository is
read: MkDocs finds the same files by the same paths.
"""

import mimetypes
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]

_LINK = re.compile(r"\]\(([^)#\s]+)")
_SHOWN = ("image/", "text/css")
"""Types of files that stay what they are. Browsers show all others as text, and save none."""


def on_config(config: MkDocsConfig) -> None:
    """Have the pages of a directory in the navigation, where it names the directory."""
    config.nav = [*map(_with_directories, config.nav or [])]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's files, and those of the repository in place of what MkDocs found in docs/."""
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = _tracked("*.md")
    linked = {path for page in pages for path in _linked(page)}
    styles = {ROOT / each for each in config.extra_css}
    ours = sorted({*pages, *linked, *styles})
    return Files([*of_theme, *(_file(path, config) for path in ours)])


def _tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(  # noqa: S603  its arguments are this file's
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", pattern],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _linked(page: Path) -> Iterator[Path]:
    for target in _LINK.findall(page.read_text()):
        path = (page.parent / target).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            yield path


def _file(path: Path, config: MkDocsConfig) -> File:
    name = path.relative_to(ROOT).as_posix()
    file = File.generated(config, name, abs_src_path=str(path), inclusion=InclusionLevel.INCLUDED)
    kind, _ = mimetypes.guess_type(name)
    if not file.is_documentation_page() and not (kind or "").startswith(_SHOWN):
        file.dest_uri = f"{name}.txt"
    return file


def _with_directories(item: Any) -> Any:
    """A part of the navigation: a page's path, or a mapping of titles to paths and lists."""
    if isinstance(item, dict):
        return {title: _with_directories(part) for title, part in item.items()}
    if isinstance(item, list):
        return [*map(_with_directories, item)]
    return [*_pages_of(item)] if item.endswith("/") else item


def _pages_of(directory: str) -> Iterable[str]:
    """The index is the first."""
    pages = (path.relative_to(ROOT).as_posix() for path in (ROOT / directory).glob("*.md"))
    return sorted(pages, key=lambda page: (not page.endswith("/index.md"), page))
