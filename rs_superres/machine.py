"""The machine at hand: how much memory it has, and what is refused since it has too little."""

from __future__ import annotations

import os
from pathlib import Path

from rs_superres.errors import InputError

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's limit stands, by version 2 and version 1 of cgroups."""


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
