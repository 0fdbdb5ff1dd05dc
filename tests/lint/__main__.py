"""Shows the table of planted mistakes: `python -m tests.lint`, with PYTHONPATH=functions:lint."""

import sys

from tests.lint.planted import mistakes
from tests.lint.test_planted import TEXTS, found, lines

sys.stdout.write(f"{'mistake':56} rule   {'  '.join(TEXTS)}\n")
for mistake in mistakes():
    places = [
        f"line {line}" if any(each.line == line for each in found(form)[mistake.name]) else "-"
        for form in TEXTS
        for line in [lines(form)[mistake.name]]
    ]
    sys.stdout.write(f"{mistake.name:56} {mistake.rule}  {'  '.join(places)}\n")
