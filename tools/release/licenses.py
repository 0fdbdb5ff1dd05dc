"""The licenses of what the artifact contains, as one text."""

from collections.abc import Iterable

from tools.release.packages import Package

_INTRODUCTION = """\
The functions' code, the zip file of this release, contains these packages. What they say about
their licenses and authors follows, as the packages contain it.
"""
_LINE = "=" * 80


def document(packages: Iterable[Package]) -> str:
    """Name, version and license of each package, with the text of each of its license files."""
    return _INTRODUCTION + "".join(_entry(package) for package in packages)


def _entry(package: Package) -> str:
    texts = (f"\n{name}:\n\n{text.strip()}\n" for name, text in package.texts.items())
    head = f"{package.name} {package.version}\nLicense: {package.license}"
    return f"\n{_LINE}\n{head}\n{_LINE}\n{''.join(texts)}"
