"""How large a lazy result's graph is, and how long it takes until the first cell is computed.

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


class FirstError(Exception):
    """Ends a computation where the first cell would begin."""


class UntilFirstCell(Callback):
    """Stops before the first task that is a cell."""

    def _pretask(self, key: Any, *_: Any) -> None:
        """Called before every task."""
        if isinstance(key, tuple) and key[0].count("-") == 1 and key[0].startswith("superres-"):
            raise FirstError


def main() -> None:
    """Build a graph and tell of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10_000, help="of the source, pixels")
    parser.add_argument("--scale", default="4")
    parser.add_argument("--chunk", type=int, default=1024, help="side of the source's chunks")
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--model", default="aerial")
    given = parser.parse_args()
    model = rs_superres.load_model(given.model)
    shape = (given.bands, given.side, given.side)
    chunks = (given.bands, given.chunk, given.chunk)
    source = dask.array.zeros(shape, chunks=chunks, dtype=given.dtype)
    started = time.perf_counter()
    result = rs_superres.upscale(source, scale=given.scale, model=model)
    built = time.perf_counter()
    graph = dict(result.__dask_graph__())
    cells = sum(isinstance(key, tuple) and key[0] == result.name for key in graph)
    print(f"source {shape}, result {result.shape}, cells of {result.chunksize[1:]}")
    print(f"tasks: {len(graph)}, of them {cells} cells")
    print(f"pickled: {len(pickle.dumps(graph)) / 1e6:.2f} MB")
    print(f"built in {built - started:.2f} s")
    for what, part in (("whole", result), ("corner", result[:, :100, :100])):
        begun = time.perf_counter()
        try:
            with UntilFirstCell(), dask.config.set({"optimization.fuse.active": False}):  # type: ignore[no-untyped-call] # dask's
                part.compute(scheduler="synchronous")
        except FirstError:
            print(f"first cell of the {what} begins {time.perf_counter() - begun:.2f} s after")


if __name__ == "__main__":
    main()
