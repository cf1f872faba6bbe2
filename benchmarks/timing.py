"""Clocks, the machine, and what it can do at best."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import conv2d

from rs_superres.system.threads import THREADS, cores, fixed_threads

Rows = list[tuple[str, ...]]
"""A table, its head first."""


def median(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time in seconds, after one call that is not counted."""
    work()
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def machine() -> str:
    """One line about where this runs."""
    named = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{named[0] if named else platform.processor()}, {cores()} cores, {THREADS} threads a call,"
        f" {capability}, torch {torch.__version__}, load {Path('/proc/loadavg').read_text()[:4]}"
    )


def ceilings() -> dict[str, float]:
    """Best of this machine: GFLOP/s of products and convolutions, GB/s of copies."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    image = torch.rand(1, 64, 200, 200).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(64, 64, 3, 3).contiguous(memory_format=torch.channels_last)
    large = torch.rand(32_000_000)
    with fixed_threads(), torch.inference_mode():
        return {
            "product": 2 * 1024**3 / median(lambda: a @ b) / 1e9,
            "convolution": 2 * 64 * 64 * 9 * 198**2 / median(lambda: conv2d(image, weight)) / 1e9,
            "copy": 2 * 4 * large.numel() / median(large.clone) / 1e9,
        }


def table(rows: Rows) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
