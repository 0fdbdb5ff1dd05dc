"""The check of the site in a browser finds what is wrong with pages made for this."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY

PYTHON = REPOSITORY / ".venv-site" / "bin" / "python"
PLANTED = {
    "<a href='missing.html'>a</a>": "missing.html answers 404",
    "<a href='other.html#missing'>a</a>": "no anchor: ",
    "<img src='missing.svg' alt='a'>": "missing.svg does not load",
    "<script>console.error('planted')</script>": "planted",
    "<script>throw new Error('planted')</script>": "planted",
    "<script src='http://127.0.0.2:9/a.js'></script>": "it requests http://127.0.0.2:9/a.js",
    "<p style='width: 800px'>a</p>": "wider than a phone: the page, by ",
    "<div style='overflow: hidden'><p style='width: 800px'>a</p></div>": "wider than a phone: <p>",
}
"""What is planted in an article, and what is reported."""
GOOD = (
    "<a href='other.html#here'>a</a><a href='text.txt'>a</a><a href='https://docs.aws.amazon.com'>a"
    "</a><div style='overflow: auto'><p style='width: 800px'>It scrolls</p></div>"
)


def browse(site: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the check on a site."""
    return subprocess.run(
        [PYTHON, "-m", "tools.browse", site],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with a page for each planted fault, and two pages with none."""
    articles = {f"planted-{number}": article for number, article in enumerate(PLANTED)}
    articles |= {"good": GOOD, "other": "<h1 id='here'>Here</h1>"}
    for name, article in articles.items():
        (tmp_path / f"{name}.html").write_text(
            "<!doctype html><title>a</title><link rel='icon' href='data:,'>"
            f"<meta name='viewport' content='width=device-width'><article>{article}</article>"
        )
    (tmp_path / "text.txt").write_text("")
    return tmp_path


def test_each_planted_fault_is_reported_and_nothing_else(site: Path) -> None:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)("there is no browser")

    done = browse(site)

    reported = done.stdout.splitlines()
    for number, problem in enumerate(PLANTED.values()):
        assert [line for line in reported if f"planted-{number}.html" in line and problem in line]
    assert [line for line in reported if "good.html" in line] == []
    assert done.returncode == 1


@pytest.mark.parametrize(("environment", "status"), [({}, 0), ({"REQUIRE_BROWSER": "1"}, 1)])
def test_without_a_browser_nothing_is_read_unless_one_is_required(
    environment: dict[str, str], status: int, tmp_path: Path
) -> None:
    done = browse(tmp_path, PATH=str(tmp_path), **({"REQUIRE_BROWSER": ""} | environment))

    assert "The site is not read: none of chromium" in done.stdout
    assert done.returncode == status
