"""Memory of the machine and of this process, in bytes. Needs a POSIX system."""

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
"""Files that hold a container's memory limit, for versions 2 and 1 of Linux control groups."""


LARGE = 16 << 20
"""Size in bytes from which freed blocks are returned, after :func:`return_large_blocks`."""

_MMAP_THRESHOLD = -3
"""The parameter M_MMAP_THRESHOLD of glibc's ``mallopt``."""


def return_large_blocks() -> None:
    """Make freed blocks of :data:`LARGE` bytes or more return to the system at once.

    The setting lasts until this process ends. Without it, glibc keeps freed blocks of up to 32 MB
    for reuse. With several threads and blocks of different sizes, the process then holds a third
    more memory than it uses. Returning the blocks costs about a tenth of the computing time. C
    libraries other than glibc are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


def memory() -> int:
    """Return the machine's memory in bytes, or the container's limit if that is lower."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # the file does not exist, or says "max"
    return min(limits)


def check_memory(needed: int, what: str, advice: str) -> None:
    """Refuse to allocate more than half of the machine's memory at once.

    Args:
        needed: bytes to be allocated.
        what: what needs them; the message begins with it.
        advice: what the caller can do instead; the message ends with it.

    Raises:
        InputError: ``needed`` is more than half of :func:`memory`.
    """
    if needed > memory() / 2:
        raise InputError(
            f"{what} would take {needed / 1e9:.1f} GB at once, more than half of this machine's "
            f"{memory() / 1e9:.1f} GB; {advice}"
        )


def resident() -> int:
    """Return the bytes of memory that this process holds now; its peak if that is unknown."""
    return _process_status("VmRSS") or peak()


def forget_peak() -> None:
    """Make :func:`peak` start again from the memory that is held now; only Linux can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak() -> int:
    """Return the most bytes that this process has held, since it began or :func:`forget_peak`."""
    # Not getrusage on Linux: its figure starts from the peak of the parent process.
    highest = _process_status("VmHWM")
    if highest:
        return highest
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest  # bytes on macOS, else KiB


def _process_status(field: str) -> int:
    """Return a field of /proc/self/status in bytes; 0 if the system does not have it."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith(f"{field}:")), 0)
