"""The rules, where the package is not installed: cfn-lint in this repository, by `.cfnlintrc`."""

import sys
from pathlib import Path

_TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TOP / "lint"), str(_TOP / "functions")]

from instance_bundle_lint.rules import *  # noqa: E402, F403
