"""The site's build ends with an error where a page of it would be broken."""

import re
import subprocess
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY

COMMAND = (".venv-site/bin/mkdocs", "build")
CONFIG = (REPOSITORY / "mkdocs.yml").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of two pages, a template and a picture, with this one's configuration."""
    nav = "nav:\n  - README.md\n  - A: docs/\n"
    files = {
        "mkdocs.yml": re.sub(r"^nav:\n(?:  .*\n)+", nav, CONFIG, flags=re.MULTILINE),
        "README.md": "# Here\n\n[a](docs/index.md#some-words-it-has) [b](examples/a.yaml)\n",
        "docs/index.md": "# Some words: *it* has\n\n[a](../README.md#here)\n\n![a](a.svg)\n",
        "docs/a.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "examples/a.yaml": "Resources: {}\n",
    }
    for name in ("tools/site_files.py", "tools/site.css"):
        files[name] = (REPOSITORY / name).read_text()
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)  # noqa: S607
    return tmp_path


def build(project: Path) -> tuple[int, str]:
    """Make the site as `make site` does; the exit status, and what it printed."""
    program, *arguments = COMMAND
    done = subprocess.run(
        [REPOSITORY / program, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_make_site_runs_this_command() -> None:
    recipe = re.search(
        r"^site: .*\n\t@\S+ (.+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE
    )

    assert recipe
    assert tuple(recipe[1].split()) == COMMAND


def test_pages_and_the_files_that_they_name_have_the_paths_of_the_repository(project: Path) -> None:
    status, printed = build(project)

    assert (status, "WARNING -" in printed) == (0, False), printed
    site = project / "build" / "site"
    for name in ("index.html", "docs/index.html", "docs/a.svg", "examples/a.yaml.txt"):
        assert (site / name).is_file()
    page = (site / "index.html").read_text()
    assert 'href="docs/index.html#some-words-it-has"' in page
    assert 'href="examples/a.yaml.txt"' in page
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"?(?:https?:)?//", page) == []


def test_a_link_to_nothing_and_a_page_without_a_place_are_errors(project: Path) -> None:
    planted = {
        "[a](missing.md)": "'missing.md'",
        "[a](../README.md#missing)": "'#missing'",
        "[a](../examples/missing.yaml)": "missing.yaml",
        "![a](missing.svg)": "missing.svg",
        "[a](/README.md)": "absolute link",
    }
    (project / "docs" / "index.md").write_text("\n\n".join(["# Some words: it has", *planted]))
    (project / "examples" / "page.md").write_text("# Page\n")

    status, printed = build(project)

    assert status == 1
    assert printed.count("WARNING -") == len(planted) + 1
    for problem in (*planted.values(), "- examples/page.md"):
        assert problem in printed
