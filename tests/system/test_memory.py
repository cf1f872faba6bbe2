"""The machine's memory, and what is refused before it is taken."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rs_superres.errors import InputError
from rs_superres.system.memory import check_memory, memory, peak, resident


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("rs_superres.system.memory.CGROUP_LIMITS", (tmp_path / "none", limit))
    whole = memory()
    assert whole > 10**8
    limit.write_text("max\n")
    assert memory() == whole
    limit.write_text("50000000\n")
    assert memory() == 50_000_000


def test_more_than_half_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 4 * 10**9)
    check_memory(2 * 10**9, "a block", "store it otherwise")
    with pytest.raises(InputError, match=r"a block would take 2\.1 GB .* 4\.0 GB; store it other"):
        check_memory(2_100_000_000, "a block", "store it otherwise")


def test_memory_that_is_taken_shows() -> None:
    before = resident()
    taken = np.ones(200_000_000, dtype=np.uint8)
    assert resident() - before == pytest.approx(taken.nbytes, abs=50_000_000)
    assert peak() >= before + 150_000_000
    del taken
    assert peak() >= before + 150_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's way of keeping memory")
def test_large_blocks_go_back_at_once() -> None:
    """Blocks of 24 MB, freed but for small ones between: kept as a rule, given back when asked."""
    code = """
import numpy, sys
from rs_superres.system.memory import resident, return_large_blocks
if sys.argv[1] == "asked": return_large_blocks()
del_ = numpy.ones(31 << 20, numpy.uint8); del del_  # glibc raises its threshold by what is freed
before = resident(); kept = []
for _ in range(8):
    large = numpy.ones(24 << 20, numpy.uint8); kept.append(numpy.ones(100_000, numpy.uint8))
    del large; kept.append(numpy.ones(20 << 10, numpy.uint8))
print(resident() - before)
"""
    left = []
    for way in ("asked", "not"):
        run = subprocess.run([sys.executable, "-c", code, way], capture_output=True, check=True)
        left.append(int(run.stdout))
    assert left[0] < 5_000_000
    assert left[1] > 15_000_000
