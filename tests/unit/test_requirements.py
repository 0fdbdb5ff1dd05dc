"""What the lock files hold."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What .venv and .venv-bench are made of, and what creates them.
LAYERS = ("functions/requirements.txt", "requirements/dev.txt", "requirements/bench.txt")
TOOLS = ("cdk", "checkov", "judges", "ministack", "sam", "site", "uv")
LOCK_FILES = (*LAYERS, *(f"requirements/{name}.txt" for name in TOOLS))

_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?:.*\\\n)+.*", re.MULTILINE)

each_file = pytest.mark.parametrize("file", LOCK_FILES)


def pins(file: str) -> dict[str, list[str]]:
    """The pins of each package: several where they depend on the Python version."""
    found: dict[str, list[str]] = {}
    for pin in _PIN.finditer((ROOT / file).read_text()):
        found.setdefault(pin["name"], []).append(pin[0])
    return found


def test_no_package_is_pinned_in_two_layers() -> None:
    layers = Counter(name for file in LAYERS for name in pins(file))

    assert layers.total() > 100
    assert [name for name, count in layers.items() if count > 1] == []


def test_these_are_all_lock_files() -> None:
    found = {f"requirements/{path.name}" for path in (ROOT / "requirements").iterdir()}

    assert found == set(LOCK_FILES) - {"functions/requirements.txt"}


@each_file
def test_each_pin_has_a_hash(file: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    assert len([line for line in lines if re.match(r"\S+==", line)]) == sum(
        map(len, pins(file).values())
    )
    for pin in (pin for of_package in pins(file).values() for pin in of_package):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", pin)


@each_file
def test_no_package_host_is_named(file: str) -> None:
    text = (ROOT / file).read_text()

    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text
