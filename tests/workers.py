"""Run the tool in another process, which may hang, crash or run out of memory.

This file is also that process's script: it reads a job from each line and answers with a line.
"""

from __future__ import annotations

import json
import os
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rasterio
import torch

from rs_superres import engine
from rs_superres.errors import SuperResError

MEMORY = 6 * 10**9
"""Bytes that a worker may allocate."""

LARGE = 4
"""With more cells than this, only a part of a scene is computed."""

PART = 20
"""Side of that part, output pixels."""

CHATTER_OF_LIBRARIES = re.compile(
    r"_tiff(Read|Write|Seek)Proc: .*\n"
    r"|(Traceback .*\n(  .*\n)+)?UnicodeDecodeError: .*\n"
    r"(Exception ignored in: 'rasterio._env.log_error'\n)?"
)
"""What libraries write to stderr in spite of every setting. The command keeps it out."""


class Worker:
    """A process that upscales files, and is replaced when it has died."""

    def __init__(self, model: str, *, seconds: float) -> None:
        self._model = model
        self._seconds = seconds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the worker ends)
        self._start()

    def _start(self) -> None:
        """Start the process, and wait until it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, self._model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""},
        )
        assert self._answer(60)["kind"] == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def upscale(self, source: Path, out: Path) -> dict[str, str]:
        """Upscale one file.

        Returns:
            The ``kind`` of the outcome and its ``message``. The kind is ``result``, the class of a
            SuperResError, or a fault: ``traceback``, ``unreadable``, ``hang``, ``signal`` or
            ``chatter`` (text on stderr that is not ours).
        """
        assert self._process.stdin is not None
        end = self._errors.seek(0, os.SEEK_END)
        self._process.stdin.write(f"{json.dumps([str(source), str(out)])}\n".encode())
        self._process.stdin.flush()
        outcome = self._answer(self._seconds)
        if outcome["kind"] in {"hang", "signal"}:
            self._process.kill()
            self._process.communicate()
            self._start()
            return outcome
        self._errors.seek(end)
        chatter = CHATTER_OF_LIBRARIES.sub("", self._errors.read().decode(errors="replace"))
        return {"kind": "chatter", "message": chatter} if chatter else outcome

    def _answer(self, seconds: float) -> dict[str, str]:
        """Return the next answer of the process, or why there is none."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return {"kind": "hang", "message": f"no answer in {seconds} s"}
        line = self._process.stdout.readline()
        if not line:
            return {"kind": "signal", "message": f"ended with {self._process.wait()}"}
        outcome: dict[str, str] = json.loads(line)
        return outcome


def _upscale(source: str, out: str, model: str) -> None:
    """Upscale a file; of a large scene only a part."""
    options = engine.Options(model=model, steps=0, scale="1.5", device="cpu", precision="fp32")
    plan = engine.plan(source, out, options)
    if len(plan.cells) > LARGE:
        options = replace(options, bounds=_middle(plan))
    engine.upscale(source, out, options)


def _middle(plan: engine.Plan) -> tuple[float, float, float, float]:
    """Return the bounds of a part in the middle of a scene."""
    grid = plan.pixels.zoom.output
    if grid.transform is None or grid.crs is None:
        shape = plan.pixels.description.grid.shape
        x, y = shape.width // 2, shape.height // 2
        return x, y + PART, x + PART, y
    x, y = grid.shape.width // 2, grid.shape.height // 2
    corners = [grid.transform @ (x + dx, y + dy) for dx in (0, PART) for dy in (0, PART)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _outcome(source: str, out: str, model: str) -> dict[str, str]:
    """Upscale a file and read the result; return the outcome."""
    try:
        _upscale(source, out, model)
    except SuperResError as error:
        return {"kind": type(error).__name__, "message": str(error)}
    except BaseException:  # noqa: BLE001 (any exception is a finding)
        return {"kind": "traceback", "message": traceback.format_exc()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(out) as dataset:
                dataset.read()
    except Exception:  # noqa: BLE001 (as above)
        return {"kind": "unreadable", "message": traceback.format_exc()}
    return {"kind": "result", "message": ""}


def main() -> None:
    """Answer each line of stdin with a line, until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    # A warning is a second line on stderr, which is as bad as an error.
    warnings.simplefilter("error")
    warnings.filterwarnings(
        "ignore", "Use `@` matmul", PendingDeprecationWarning, "(rasterio|rioxarray)"
    )
    _say({"kind": "ready", "message": ""})
    for line in sys.stdin:
        source, out = json.loads(line)
        _say(_outcome(source, out, sys.argv[1]))


def _say(outcome: dict[str, Any]) -> None:
    """Write an answer."""
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
