"""pip-audit over lock files, each by itself: two of them may pin the same package differently.

Where the advisory service can't be reached, the audit is skipped, or fails if the variable
REQUIRE_AUDIT is set. pip-audit exits with 1 for a vulnerability, for a network that blocks it, and
for any other problem. Its output distinguishes them.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence

# Lock files hold all that is installed, so that nothing is left to resolve.
PIP_AUDIT = [
    *(sys.executable, "-m", "pip_audit", "--disable-pip", "--strict"),
    *("--vulnerability-service", "osv", "--progress-spinner", "off"),
]

# Of these, pip-audit catches only what a timeout while connecting gives. A certificate that can't
# be trusted is not among them: its exception is requests' SSLError.
UNREACHABLE = re.compile(
    r"^requests\.exceptions\.(ConnectionError|ProxyError|ReadTimeout)\b"
    r"|Could not connect to OSV's vulnerability feed",
    re.MULTILINE,
)


def audit(locks: Sequence[str], timeout: int = 10) -> int:
    """Audit all lock files, or as many as the advisory service answers for.

    Args:
        locks: paths of lock files.
        timeout: seconds to wait for the service each time.

    Returns:
        The exit code: 0 if no lock file has a known vulnerability, or the audit was skipped.
    """
    status = 0
    for lock in locks:
        done = subprocess.run(  # noqa: S603  our own pip-audit with our own list
            [*PIP_AUDIT, "--timeout", str(timeout), "--requirement", lock],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 and not done.stdout and UNREACHABLE.search(done.stderr):
            return max(status, _unreachable(lock))
        sys.stdout.write(f"{lock}: {done.stderr.strip()}\n{done.stdout}")
        status = max(status, done.returncode)
    return status


def _unreachable(lock: str) -> int:
    required = bool(os.environ.get("REQUIRE_AUDIT"))
    outcome = "failed, since REQUIRE_AUDIT is set" if required else "skipped"
    why = f"from {lock} on, the advisory service can't be reached"
    sys.stdout.write(f"audit: {outcome}: {why}\n")
    return int(required)


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:]))
