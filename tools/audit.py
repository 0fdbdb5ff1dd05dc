"""pip-audit over lock files, skipped where the advisory service can't be reached.

pip-audit exits with 1 for a vulnerability, for a network that blocks it, and for any other
problem. Its output distinguishes them.
"""

import re
import subprocess
import sys

# Lock files hold all that is installed, so that nothing is left to resolve.
PIP_AUDIT = [
    *(sys.executable, "-m", "pip_audit", "--disable-pip", "--strict"),
    *("--vulnerability-service", "osv", "--timeout", "10", "--progress-spinner", "off"),
]

# Of these, pip-audit catches only what a timeout while connecting gives. A certificate that can't
# be trusted is not among them: its exception is requests' SSLError.
UNREACHABLE = re.compile(
    r"^requests\.exceptions\.(ConnectionError|ProxyError|ReadTimeout)\b"
    r"|Could not connect to OSV's vulnerability feed",
    re.MULTILINE,
)


def audit(arguments: list[str]) -> int:
    """Exit code of the audit: 0 too where it was skipped."""
    done = subprocess.run(  # noqa: S603  our own pip-audit with our own list
        [*PIP_AUDIT, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not done.stdout and UNREACHABLE.search(done.stderr):
        sys.stdout.write("pip-audit: skipped, the advisory service can't be reached\n")
        return 0
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:]))
