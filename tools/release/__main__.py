"""`python -m tools.release`, which `make release` runs."""

import shutil
import sys

from sandbox.artifact import REPOSITORY
from tools.release import contents

DIST = REPOSITORY / "dist"


def main() -> None:
    """Write the release in place of the last one, and list its files."""
    files = contents.files()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    for name, content in files.items():
        (DIST / name).write_bytes(content)
        sys.stdout.write(f"dist/{name}\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, ValueError) as error:
        sys.exit(f"make release: {error}")
