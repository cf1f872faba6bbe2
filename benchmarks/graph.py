"""Measure the size of a lazy result's graph, and the time until its first cell is computed.

python benchmarks/graph.py --side 10000 --scale 4 --chunk 1024
"""

from __future__ import annotations

import argparse
import pickle
import time
from typing import Any

import dask.array
import dask.config
from dask.callbacks import Callback

import rs_superres


class FirstCellError(Exception):
    """Raised when the first cell begins, to end the computation."""


class StopAtFirstCell(Callback):
    """Stop a computation before the first task that is a cell."""

    def _pretask(self, key: Any, *_: Any) -> None:
        """Raise an error if a task is a cell; dask calls this before every task."""
        if isinstance(key, tuple) and key[0].count("-") == 1 and key[0].startswith("superres-"):
            raise FirstCellError


def main() -> None:
    """Build a graph and print its size and its times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10_000, help="side of the source, pixels")
    parser.add_argument("--scale", default="4")
    parser.add_argument("--chunk", type=int, default=1024, help="side of the source's chunks")
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--model", default="aerial")
    arguments = parser.parse_args()
    model = rs_superres.load_model(arguments.model)
    shape = (arguments.bands, arguments.side, arguments.side)
    chunks = (arguments.bands, arguments.chunk, arguments.chunk)
    source = dask.array.zeros(shape, chunks=chunks, dtype=arguments.dtype)
    started = time.perf_counter()
    result = rs_superres.upscale(source, scale=arguments.scale, model=model)
    built = time.perf_counter()
    graph = dict(result.__dask_graph__())
    cells = sum(isinstance(key, tuple) and key[0] == result.name for key in graph)
    print(f"source {shape}, result {result.shape}, cells of {result.chunksize[1:]}")
    print(f"tasks: {len(graph)}, {cells} of them cells")
    print(f"pickled: {len(pickle.dumps(graph)) / 1e6:.2f} MB")
    print(f"built in {built - started:.2f} s")
    for name, part in (("result", result), ("corner", result[:, :100, :100])):
        start = time.perf_counter()
        try:
            with StopAtFirstCell(), dask.config.set({"optimization.fuse.active": False}):  # type: ignore[no-untyped-call] # dask's
                part.compute(scheduler="synchronous")
        except FirstCellError:
            print(f"first cell of the {name} begins after {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
