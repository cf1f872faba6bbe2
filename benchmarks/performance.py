"""How fast, how large, how exact: one command, Markdown tables, ratios within one run.

    python -m benchmarks.performance [--only NAME] [--quick] [--large]

The baseline is the paper's network evaluated by the modules that the golden tests hold to the
public release: float32, plain layout, the prior anew at every step.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, gpu, networks
from benchmarks.timing import Rows, machine, table

NAMES = (
    "paper",
    "shipped",
    "overhead",
    "interpolation",
    "growth",
    "accuracy",
    "arithmetic",
    "gpu",
)


def tables(names: list[str], folder: Path, quick: bool, large: bool) -> Iterator[tuple[str, Rows]]:
    """Heading and table of each benchmark, as it is finished."""
    plain = 0.0
    if {"paper", "shipped"} & set(names):
        rows, plain = networks.against_paper(quick)
        yield (
            f"Weights of the paper's size, x{networks.SCALE}, {networks.SIDE} x {networks.SIDE}",
            rows,
        )
    if "shipped" in names:
        yield (
            "The shipped model, network with its consistency surroundings",
            networks.shipped(quick, plain),
        )
    if "overhead" in names:
        yield "Whole command", commands.overhead(folder, quick)
    if "interpolation" in names:
        yield "The pipeline without a network", commands.interpolation(folder, quick)
    if "growth" in names:
        sizes = [4.0] if quick else [4.0, 40.0]
        yield "Growth, `--steps 0`", commands.growth(folder, [*sizes, 400.0] if large else sizes)
    if "accuracy" in names:
        yield "Fast paths against plain modules in float32", networks.accuracy()
    if "arithmetic" in names:
        yield "Operations and bytes of the shipped model", networks.arithmetic()
    if "gpu" in names:
        yield from gpu.on_gpu(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=NAMES, action="append", help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and sizes")
    parser.add_argument("--large", action="store_true", help="400 megapixels too")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        names = given.only or list(NAMES)
        for heading, rows in tables(names, Path(folder), given.quick, given.large):
            print(f"\n### {heading}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
