"""The release notes: a version's section of CHANGELOG.md."""

import re
from datetime import UTC, datetime


def section(changelog: str, version: str) -> tuple[datetime, str]:
    """The date of a version, and what has changed in it.

    Args:
        changelog: its text, in the form of Keep a Changelog.
        version: a version by Semantic Versioning.

    Raises:
        ValueError: the changelog has no section for the version, or an empty one.
    """
    heading = rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)\n"
    found = re.search(
        rf"{heading}(.*?)(?=^## |^\[[^]]+\]: |\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    if found is None or not found[2].strip():
        raise ValueError(
            f"CHANGELOG.md says nothing about {version}. Add `## [{version}] - YYYY-MM-DD`, with "
            "the changes under it."
        )
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC), f"{found[2].strip()}\n"
