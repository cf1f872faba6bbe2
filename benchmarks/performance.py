"""Measure speed, memory and accuracy with one command, and print Markdown tables.

    python -m benchmarks.performance [--only NAME] [--quick] [--large]

The baseline ("plain") is the paper's network evaluated by the modules that the golden tests compare
with the public code: float32, plain memory layout, the prior computed again at every step. Ratios
compare times from one run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, gpu, networks, training
from benchmarks.timing import Rows, machine, table

NAMES = (
    "paper",
    "shipped",
    "overhead",
    "interpolation",
    "whole",
    "growth",
    "accuracy",
    "arithmetic",
    "training",
    "gpu",
)


def tables(names: list[str], folder: Path, quick: bool, large: bool) -> Iterator[tuple[str, Rows]]:
    """Run benchmarks, and yield the heading and the table of each."""
    plain = 0.0
    if {"paper", "shipped"} & set(names):
        rows, plain = networks.against_paper(quick)
        yield (
            f"The paper's network, x{networks.SCALE}, {networks.SIDE} x {networks.SIDE}",
            rows,
        )
    if "shipped" in names:
        yield (
            "The shipped model, with the margin for consistency",
            networks.shipped(quick, plain),
        )
    for name, heading, measure in (
        ("overhead", "The whole command", commands.overhead),
        ("interpolation", "The pipeline with cubic interpolation", commands.interpolation),
        ("whole", "The command from file to file", commands.whole),
    ):
        if name in names:
            yield heading, measure(folder, quick)
    if "growth" in names:
        sizes = [4.0] if quick else [4.0, 40.0]
        sizes += [400.0] if large else []
        yield "Growth with size, `--steps 0`", commands.growth(folder, sizes)
    if "accuracy" in names:
        yield "Fast paths against plain modules in float32", networks.accuracy()
    if "arithmetic" in names:
        yield "Operations and bytes of the shipped model", networks.arithmetic()
    if "training" in names:
        yield "An iteration of training", training.iteration(quick)
    if "gpu" in names:
        yield from gpu.on_gpu(folder)


def main() -> None:
    """Run the chosen benchmarks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=NAMES, action="append", help="repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and sizes")
    parser.add_argument("--large", action="store_true", help="measure growth up to 400 megapixels")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        names = arguments.only or list(NAMES)
        for heading, rows in tables(names, Path(folder), arguments.quick, arguments.large):
            print(f"\n### {heading}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
