"""The machine at hand: its memory, what this process takes of it, and what is too much."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

from rs_superres.errors import InputError

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's limit stands, by version 2 and version 1 of cgroups."""


LARGE = 16 << 20
"""Bytes of a block that goes back to the system as soon as it is free, where memory is short."""

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's mallopt."""


def return_large_blocks() -> None:
    """Let large blocks of memory go back to the system at once, in this process from now on.

    glibc keeps blocks of up to 32 MB for later ones once such have been free; with threads and
    sizes that differ, a third more memory than is used stays with the process, and coming and going
    costs a tenth of the time. Other libraries of C are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


def memory() -> int:
    """The machine's memory in bytes; a container's limit counts as the machine's."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # no such file, or "max"
    return min(found)


def check_memory(needed: int, what: str, instead: str) -> None:
    """Refuse what takes more than half the memory at once, before any of it is taken.

    Args:
        needed: bytes.
        what: would take them.
        instead: what the caller can do.

    Raises:
        InputError: it is too much.
    """
    if needed > memory() / 2:
        raise InputError(
            f"{what} would take {needed / 1e9:.1f} GB at once, more than half of this machine's "
            f"{memory() / 1e9:.1f} GB; {instead}"
        )


def resident() -> int:
    """Bytes of memory that this process holds; where the system does not tell, its highest."""
    return _told("VmRSS") or peak()


def forget_peak() -> None:
    """Let :func:`peak` begin anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak() -> int:
    """Bytes of memory that this process held at most so far, or since it was forgotten."""
    # Linux's getrusage begins with what the parent process had.
    told = _told("VmHWM")
    if told:
        return told
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _told(name: str) -> int:
    """A figure of Linux's about this process, in bytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith(f"{name}:")), 0)
