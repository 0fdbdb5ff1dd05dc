"""`python -m tools.pictures`: draws docs/pictures. README.md and docs/ show them."""

from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[2] / "docs" / "pictures"
