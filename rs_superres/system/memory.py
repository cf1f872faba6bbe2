"""Memory of the machine and of this process, in bytes."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import psutil

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
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


def memory() -> int:
    """Return the machine's memory in bytes, or the container's limit if that is lower."""
    limits = [int(psutil.virtual_memory().total)]
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
    """Return the bytes of memory that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def forget_peak() -> None:
    """Make :func:`peak` start again from the memory that is held now; only Linux can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak() -> int:
    """Return the most bytes that this process has held, since it began or :func:`forget_peak`.

    Only Linux and Windows say that; elsewhere it is what the process holds now.
    """
    try:  # psutil does not read it on Linux
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except (OSError, ValueError):
        lines = []
    held = psutil.Process().memory_info()
    highest = next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    return highest or int(getattr(held, "peak_wset", held.rss))
