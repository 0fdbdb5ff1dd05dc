"""Draw all pictures, or those that are named."""

import sys

from tools.pictures import DIRECTORY, architecture, dashboard, demo

PICTURES = {
    "architecture.svg": architecture.draw,
    "dashboard.png": dashboard.draw,
    "demo.svg": demo.draw,
}

for name in sys.argv[1:] or PICTURES:
    (DIRECTORY / name).write_bytes(PICTURES[name]())
    sys.stdout.write(f"docs/pictures/{name}\n")
