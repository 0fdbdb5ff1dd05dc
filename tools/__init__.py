"""What developers run by hand or by `make`. Never shipped."""

import sys
from pathlib import Path

# The functions are no installed package: `python -m tools.inventory` finds them here.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functions"))
