"""Memory of the machine and of this process, and the refusal of large allocations."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rs_superres.errors import InputError
from rs_superres.system.memory import check_memory, forget_peak, memory, peak, resident


def test_a_container_limit_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("rs_superres.system.memory.CGROUP_LIMITS", (tmp_path / "none", limit))
    physical = memory()
    assert physical > 10**8
    limit.write_text("max\n")
    assert memory() == physical
    limit.write_text("50000000\n")
    assert memory() == 50_000_000


def test_more_than_half_of_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 4 * 10**9)
    check_memory(2 * 10**9, "a block", "store it otherwise")
    with pytest.raises(InputError, match=r"a block would take 2\.1 GB .* 4\.0 GB; store it other"):
        check_memory(2_100_000_000, "a block", "store it otherwise")


def test_allocated_memory_counts_as_resident_and_stays_in_the_peak() -> None:
    before = resident()
    block = np.ones(200_000_000, dtype=np.uint8)
    assert resident() - before == pytest.approx(block.nbytes, abs=50_000_000)
    assert peak() >= before + 150_000_000
    del block
    assert peak() >= before + 150_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget the peak")
def test_forget_peak_starts_again_from_what_is_held() -> None:
    block = np.ones(200_000_000, dtype=np.uint8)
    highest = peak()
    del block
    forget_peak()
    assert peak() < highest - 150_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed blocks")
def test_large_blocks_are_returned_at_once() -> None:
    """A block in a mapping of its own returns to the system when it is freed."""
    code = """
import ctypes, numpy, sys
from rs_superres.system.memory import resident, return_large_blocks
class Statistics(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
statistics = ctypes.CDLL(None).mallinfo2; statistics.restype = Statistics
if sys.argv[1] == "return": return_large_blocks()
mapped, held = statistics().hblkhd, resident()
large = numpy.ones(24 << 20, numpy.uint8); mapped = statistics().hblkhd - mapped
del large
print(mapped, resident() - held)
"""
    # What glibc raises its threshold to once a block of 32 MB has been freed.
    kept = os.environ | {"GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={32 << 20}"}
    found = {}
    for mode in ("return", "keep"):
        run = subprocess.run(
            [sys.executable, "-c", code, mode], env=kept, capture_output=True, check=True
        )
        found[mode] = [int(number) for number in run.stdout.split()]
    assert found["return"][0] >= 24 << 20
    assert found["return"][1] < 5_000_000
    assert found["keep"][0] == 0
