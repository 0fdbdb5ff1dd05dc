"""What a terminal shows of `make demo`, from a run of it."""

import io
import re

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from sandbox.demo import demo

METHOD = "StoreImage"


def draw() -> bytes:
    """Run the demo, and draw its output as an SVG."""
    command = f"make demo METHOD={METHOD}"
    console = Console(record=True, file=io.StringIO(), width=200)
    console.print(f"$ {command}", highlight=False, style="bold")
    if demo(console, METHOD) != 0:
        raise RuntimeError(f"the demo has failed:\n{console.export_text()}")
    lines = console.export_text(clear=False).splitlines()
    console.width = max(len(line.rstrip()) for line in lines)
    picture = console.export_svg(title=command, theme=DIMMED_MONOKAI, unique_id="demo")
    # Rich's pictures load a font from another host.
    picture = re.sub(r"@font-face {.*?}\s*", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code", "ui-monospace, Menlo, Consolas")
    return picture.replace("arial", "Arial, sans-serif").encode()
