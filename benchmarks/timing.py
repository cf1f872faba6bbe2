"""Time functions, describe the machine, measure its ceilings and format tables."""

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
"""Rows of a table; the first is the head."""


def median(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median wall time of some work in seconds, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine() -> str:
    """Describe the machine, its load and torch in one line."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    capability = torch.backends.cpu.get_cpu_capability()
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {cores()} cores, {THREADS} threads a call, {capability}, "
        f"torch {torch.__version__}, load {Path('/proc/loadavg').read_text()[:4]}"
    )


def product_rate(dtype: torch.dtype) -> float:
    """Measure this machine's GFLOP/s in a product of two matrices of 1024 x 1024."""
    a, b = (torch.rand(1024, 1024).to(dtype) for _ in range(2))
    with fixed_threads(), torch.inference_mode():
        return 2 * 1024**3 / median(lambda: a @ b) / 1e9


def ceilings() -> dict[str, float]:
    """Measure this machine's GFLOP/s in products and convolutions, and its GB/s in copies."""
    image = torch.rand(1, 64, 200, 200).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(64, 64, 3, 3).contiguous(memory_format=torch.channels_last)
    large = torch.rand(32_000_000)
    with fixed_threads(), torch.inference_mode():
        return {
            "product": product_rate(torch.float32),
            "convolution": 2 * 64 * 64 * 9 * 198**2 / median(lambda: conv2d(image, weight)) / 1e9,
            "copy": 2 * 4 * large.numel() / median(large.clone) / 1e9,
        }


def table(rows: Rows) -> str:
    """Format rows as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
