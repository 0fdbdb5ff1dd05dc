"""Read each page of the site in Chromium, as on a desktop and on a phone, and report what is wrong.

On no page may there be an error in the console, a request to another host, an image that does not
load, a link to a page or an anchor that is not there, or anything that is wider than the screen and
does not scroll in itself. Pictures of three pages are written to build/browse.

Debian's `chromium` or another one on the PATH is used. Without any, nothing is checked, which is an
error if REQUIRE_BROWSER is set.

Usage: `python -m tools.browse`, with the environment that makes the site; or with the directory of
a site.
"""

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "site"
PICTURES = ROOT / "build" / "browse"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
"""Widths and heights, in CSS pixels. A page is loaded once: no script of it depends on them."""
SHOWN = ("index.html", "docs/reference.html", "docs/operating.html")

_READ = """() => {
  const scrolls = element => element !== null && (scrolls(element.parentElement) ||
    ["auto", "scroll"].includes(getComputedStyle(element).overflowX));
  const screen = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll("article *")].filter(element =>
    element.getBoundingClientRect().right > screen + 1 && !scrolls(element));
  const overflow = document.documentElement.scrollWidth - screen;
  return {
    ids: [...document.querySelectorAll("[id]")].map(element => element.id),
    links: [...document.querySelectorAll("a[href]")].map(element => element.href),
    images: [...document.images].filter(image => !image.complete || image.naturalWidth === 0)
      .map(image => image.src),
    wide: [...(overflow > 0 ? [`the page, by ${overflow} pixels`] : []),
      ...wide.map(element => `<${element.tagName.toLowerCase()}> ${element.textContent.trim()}`)],
  };
}"""


@dataclass
class Reading:
    """What is found on the pages of a site.

    Attributes:
        origin: the site's scheme, host and port.
        problems: what is wrong, for a person, in the order in which it is found.
        ids: the anchors of each page, by its URL.
        links: the pages that link to each URL of the site.
    """

    origin: str
    problems: dict[str, None] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def report(self, url: str, problem: str) -> None:
        """Note what is wrong on a page, once."""
        self.problems[f"{url.removeprefix(self.origin)}: {problem}"] = None

    def read(self, page: Page, name: str) -> None:
        """Open a page, and show it on each screen."""
        url = f"{self.origin}/{name}"
        _show_on(page, "desktop")
        answer = page.goto(url)
        if answer is None or answer.status != HTTPStatus.OK:
            self.report(url, f"it answers {answer and answer.status}")
            return
        for screen in SCREENS:
            _show_on(page, screen)
            found = page.evaluate(_READ)
            self.ids[url] = {*found["ids"], ""}
            for link in found["links"]:
                if link.startswith(f"{self.origin}/"):
                    self.links.setdefault(link, url)
            for image in found["images"]:
                self.report(url, f"{image} does not load")
            for element in found["wide"][:3]:
                self.report(url, f"wider than a {screen}: {element[:80]}")
            if name in SHOWN:
                page.screenshot(path=PICTURES / f"{Path(name).stem}-{screen}.png")

    def on_console(self, message: ConsoleMessage) -> None:
        """Report an error in the console."""
        if message.type == "error":
            self.report(message.location["url"], message.text)

    def on_request(self, request: Request) -> None:
        """Report a request to another host."""
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.report(request.frame.url, f"it requests {request.url}")

    def follow_links(self, page: Page) -> None:
        """Report the links that lead nowhere. Those to files that are no pages are requested."""
        for link, source in self.links.items():
            target, anchor = urldefrag(link)
            if target in self.ids:
                if unquote(anchor) not in self.ids[target]:
                    self.report(source, f"no anchor: {link}")
            elif (status := page.request.head(target).status) != HTTPStatus.OK:
                self.report(source, f"{link} answers {status}")


def _show_on(page: Page, screen: str) -> None:
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a directory on a free port of 127.0.0.1; its origin."""
    handler = functools.partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def read(site: Path, browser: str) -> Reading:
    """Read all pages of a site on all screens."""
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    with served(site) as origin, sync_playwright() as playwright:
        reading = Reading(origin)
        page = playwright.chromium.launch(executable_path=browser).new_page()
        page.on("console", reading.on_console)
        page.on("pageerror", lambda error: reading.report(page.url, str(error)))
        page.on("request", reading.on_request)
        for name in names:
            reading.read(page, name)
        reading.follow_links(page)
    return reading


def main(arguments: list[str]) -> int:
    """Read a site, and write what is wrong; the exit status."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.stdout.write(f"The site is not read: none of {', '.join(BROWSERS)} is on the PATH\n")
        return int(bool(os.environ.get("REQUIRE_BROWSER")))
    site = Path(arguments[0]) if arguments else SITE
    reading = read(site, browser)
    for problem in reading.problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(
        f"{len(reading.ids)} pages, {len(reading.links)} links, {len(SCREENS)} screens: "
        f"{len(reading.problems)} problems\n"
    )
    return int(bool(reading.problems or not reading.ids))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
