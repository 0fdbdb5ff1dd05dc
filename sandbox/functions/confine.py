"""Takes rights of the user away from a process, then runs the command that follows in it.

Run by the interpreter of the functions, by its path; it imports nothing of this project. Arguments:
directories to read, `--`, the command.

Linux does it by Landlock (https://docs.kernel.org/userspace-api/landlock.html), which needs no
rights itself. What remains: reading of the system's programs and libraries and of the directories
in the arguments, and reading and writing of /tmp. Of other users' rights, root's, nothing remains.
"""

import ctypes
import os
import struct
import sys

# <linux/landlock.h>: the rights to files, and those that are rights to directories only.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
SCOPES = 0b11  # no signals to others, no abstract sockets of others
SCOPES_SINCE, NET_SINCE = 6, 4

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all architectures
ABI_VERSION = 1
PATH_BENEATH = 1
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = 64

READ = EXECUTE | READ_FILE | READ_DIR
READ_AND_WRITE = (1 << 16) - 1

OF_THE_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"),
    *("/proc", "/sys/devices/system/cpu", "/run/systemd/resolve", "/var/lib/ca-certificates"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.conf.d"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/hosts", "/etc/resolv.conf", "/etc/host.conf"),
    *("/etc/nsswitch.conf", "/etc/gai.conf", "/etc/localtime", "/etc/passwd", "/etc/group"),
    *("/etc/services", "/etc/protocols", "/etc/mime.types", "/etc/os-release"),
)
WRITABLE = ("/tmp", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")  # noqa: S108

libc = ctypes.CDLL(None, use_errno=True)


def landlock_abi() -> int:
    """The version of Landlock that the system has; less than 1 if it has none."""
    return int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ABI_VERSION))


def confine(readable: list[str]) -> None:
    """Take the rights away from this process. Without Landlock it keeps those to files."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    abi = landlock_abi()
    if abi >= 1:
        _restrict(abi, readable)
    if os.geteuid() == 0:
        for capability in range(CAPABILITIES):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _restrict(abi: int, readable: list[str]) -> None:
    handled = RIGHTS_OF_ABI[max(known for known in RIGHTS_OF_ABI if known <= abi)]
    attributes = struct.pack("=Q", handled)
    if abi >= NET_SINCE:
        attributes += struct.pack("=Q", 0)
    if abi >= SCOPES_SINCE:
        attributes += struct.pack("=Q", SCOPES)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path in (*OF_THE_SYSTEM, *readable):
        _allow(ruleset, path, READ & handled)
    for path in WRITABLE:
        _allow(ruleset, path, READ_AND_WRITE & handled)
    if libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow what is below a path, or the file at it; nothing if there is none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112  pathlib takes longer to import than all this
        rights &= OF_FILES
    rule = struct.pack("=Qi", rights, place)
    if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0):
        raise OSError(ctypes.get_errno(), f"landlock_add_rule: {path}")
    os.close(place)


if __name__ == "__main__":
    end = sys.argv.index("--")
    confine(sys.argv[1:end])
    command = sys.argv[end + 1 :]
    os.execv(command[0], command)  # noqa: S606  it is the command's place
