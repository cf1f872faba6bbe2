"""Runs of the whole tool in a process of its own: one that may hang, crash or run out of memory.

This file is the process's script too: it takes a job a line and answers with a line.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MEMORY = 6 * 10**9
"""Bytes that a worker may ask for."""

LARGE = 4
"""Cells beyond which only a part of a scene is computed."""


class Worker:
    """A process that upscales what it is given, and is replaced when it has died."""

    def __init__(self, model: str, *, seconds: float) -> None:
        self._model = model
        self._seconds = seconds
        self._errors = tempfile.TemporaryFile()
        self._started()

    def _started(self) -> None:
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
        """The kind of an outcome, and its message.

        ``result``, a SuperResError's class, or what must not be: ``traceback``, ``unreadable``,
        ``hang``, ``signal``, ``chatter`` (words on stderr that are not ours).
        """
        assert self._process.stdin is not None
        said = self._errors.seek(0, os.SEEK_END)
        self._process.stdin.write(f"{json.dumps([str(source), str(out)])}\n".encode())
        self._process.stdin.flush()
        told = self._answer(self._seconds)
        if told["kind"] in {"hang", "signal"}:
            self._process.kill()
            self._process.communicate()
            self._started()
            return told
        self._errors.seek(said)
        chatter = self._errors.read().decode(errors="replace")
        return {"kind": "chatter", "message": chatter} if chatter else told

    def _answer(self, seconds: float) -> dict[str, str]:
        """The next line of the process, or what kept it from one."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return {"kind": "hang", "message": f"no answer in {seconds} s"}
        line = self._process.stdout.readline()
        if not line:
            return {"kind": "signal", "message": f"ended with {self._process.wait()}"}
        told: dict[str, str] = json.loads(line)
        return told


def _upscaled(source: str, out: str, model: str) -> None:
    """One file through the whole tool; of a large scene a part."""
    from dataclasses import replace

    from rs_superres import engine

    options = engine.Options(model=model, steps=0, scale="1.5", device="cpu", precision="fp32")
    decided = engine.plan(source, out, options)
    if len(decided.cells) > LARGE:
        output = decided.zoom.output
        transform = output.transform if output.crs else None
        if transform is None:
            x, y = decided.description.grid.shape.width / 2, decided.description.grid.shape.height / 2
            box = (x, y + 20, x + 20, y)
        else:
            corners = [
                transform @ (output.shape.width / 2 + dx, output.shape.height / 2 + dy)
                for dx in (0, 30)
                for dy in (0, 30)
            ]
            xs, ys = zip(*corners, strict=True)
            box = (min(xs), min(ys), max(xs), max(ys))
        options = replace(options, bounds=box)
    engine.upscale(source, out, options)


def _outcome(source: str, out: str, model: str) -> dict[str, str]:
    """What became of a file."""
    import rasterio

    from rs_superres.errors import SuperResError

    try:
        _upscaled(source, out, model)
    except SuperResError as error:
        return {"kind": type(error).__name__, "message": str(error)}
    except BaseException:  # noqa: BLE001 (whatever it is, it is a finding)
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
    """Answer a line with a line, until there are no more."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import torch

    torch.set_num_threads(1)
    from rs_superres import engine  # noqa: F401 (its import is no part of a mutant's time)

    # A warning is a second line on stderr: as bad as an error.
    warnings.simplefilter("error")
    warnings.filterwarnings(
        "ignore", "Use `@` matmul", PendingDeprecationWarning, "(rasterio|rioxarray)"
    )
    _say({"kind": "ready", "message": ""})
    for line in sys.stdin:
        source, out = json.loads(line)
        _say(_outcome(source, out, sys.argv[1]))


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
