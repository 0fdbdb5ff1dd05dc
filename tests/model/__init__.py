"""A model checker of the core: the real flow, ledger and sandbox models, under every schedule."""

import sys
from pathlib import Path

_FUNCTIONS = str(Path(__file__).parents[2] / "functions")
if _FUNCTIONS not in sys.path:  # `python -m tests.model`; pytest has it
    sys.path.insert(0, _FUNCTIONS)
