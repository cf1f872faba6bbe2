"""Whole commands: what they take beside the network, how they grow, and GDAL as the yardstick."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.timing import Rows, median
from rs_superres.demo import town
from rs_superres.engine import Options, Plan, plan, run
from rs_superres.engine.compute import compute_here
from rs_superres.grid import AxisSupport
from rs_superres.image.resampling import cubic
from rs_superres.raster import write_image
from rs_superres.scene.inference import Inference, Noise
from rs_superres.system.threads import THREADS
from rs_superres.types import Floats

SCALE = 4

CREATION = ("COMPRESS=DEFLATE", "PREDICTOR=YES", "NUM_THREADS=ALL_CPUS",
            "OVERVIEW_RESAMPLING=AVERAGE", "BLOCKSIZE=512")  # fmt: skip
"""Of results that are compared with GDAL's."""


def scene(folder: Path, megapixels: float) -> Path:
    """A drawn scene whose result has so many megapixels."""
    side = round((megapixels * 1e6) ** 0.5 / SCALE)
    path = folder / f"scene-{side}.tif"
    if not path.exists():
        write_image(path, town.render(side, samples=2), town.grid(side))
    return path


class Clocked:
    """A network, and how long it was at work."""

    def __init__(self, inner: Inference) -> None:
        self.inner, self.seconds = inner, 0.0
        self.halo, self.margin, self.valid_margin = inner.halo, inner.margin, inner.valid_margin

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """The network's, on the clock."""
        begun = time.perf_counter()
        made = list(self.inner(image, rows, columns, noises))
        self.seconds += time.perf_counter() - begun
        yield from made

    def residual(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """The network's."""
        return self.inner.residual(image, rows, columns, noises)


class Cubic:
    """A network that interpolates."""

    halo, margin, valid_margin = 2, 0, 0

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """The cubic interpolation."""
        made = cubic(image, rows, columns).astype(np.float32)
        yield from (made for _ in noises)

    def residual(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """Nothing."""
        yield from (made * 0 for made in self(image, rows, columns, noises))


def _with(decided: Plan, inference: Inference) -> Plan:
    """A plan with another network."""
    recipe = replace(decided.recipe, inference=inference)
    return replace(decided, pixels=replace(decided.pixels, recipe=recipe))


def overhead(folder: Path, quick: bool) -> Rows:
    """(c): whole commands against the network alone."""
    rows: Rows = [("result", "steps", "whole, s", "network, s", "beside the network", "Mpx/s")]
    megapixels, source = 4.0, scene(folder, 4)
    for steps in (0,) if quick else (0, 2):
        shares = []
        for _ in range(1 if quick else 5):
            begun = time.perf_counter()
            options = Options(scale=SCALE, steps=steps, overwrite=True)
            decided = plan(source, folder / "overhead.tif", options)
            clocked = Clocked(decided.recipe.inference)
            # One cell at a time: seconds of cells side by side would be counted twice.
            run(_with(decided, clocked), compute=partial(compute_here, processors=THREADS))
            whole = time.perf_counter() - begun
            shares.append((whole, clocked.seconds))
        whole, network = sorted(shares)[len(shares) // 2]
        rows.append(
            (
                f"{megapixels:g} Mpx",
                str(steps),
                f"{whole:.2f}",
                f"{network:.2f}",
                f"{1 - network / whole:.0%}",
                f"{megapixels / whole:.2f}",
            )
        )
    return rows


def interpolation(folder: Path, quick: bool) -> Rows:
    """(d): the pipeline with a network that interpolates, against GDAL's cubic."""
    source, out, repeats = scene(folder, 4), folder / "cubic.tif", 1 if quick else 5

    def ours(consistency: bool) -> None:
        options = Options(
            scale=SCALE, steps=0, overwrite=True, consistency=consistency, creation=CREATION
        )
        run(_with(plan(source, out, options), Cubic()))

    rows: Rows = [("4 Mpx, cubic, COG", "s")]
    rows.append(
        ("ours, planning and checks included", f"{median(lambda: ours(False), repeats):.2f}")
    )
    tool = shutil.which("gdal_translate")
    if tool is None:
        return [*rows, ("gdal_translate", "not installed")]
    size = f"{100 * SCALE}%"
    command = [tool, "-q", "-r", "cubic", "-outsize", size, size, "-of", "COG"]
    command += [part for option in CREATION for part in ("-co", option)]
    command += [str(source), str(out)]
    spent = median(lambda: subprocess.run(command, check=True), repeats)  # noqa: S603 (GDAL's own)
    return [*rows, ("gdal_translate", f"{spent:.2f}")]


def growth(folder: Path, sizes: Sequence[float]) -> Rows:
    """(e) and (f): memory, disk and time of the command over the size of the result."""
    rows: Rows = [("result", "s", "s/Mpx", "peak memory, MB", "peak disk, MB", "result, MB")]
    for megapixels in sizes:
        source, out = scene(folder, megapixels), folder / "growth.tif"
        tool = str(Path(sys.executable).with_name("rs-sr"))
        command = [tool, "upscale", str(source), "-o", str(out)]
        command += ["--scale", str(SCALE), "--steps", "0", "--overwrite"]
        spent, memory, disk = _watched([*command, "-q"], folder)
        rows.append(
            (
                f"{megapixels:g} Mpx",
                f"{spent:.1f}",
                f"{spent / megapixels:.2f}",
                f"{memory / 1e6:.0f}",
                f"{disk / 1e6:.0f}",
                f"{out.stat().st_size / 1e6:.0f}",
            )
        )
        out.unlink()
    return rows


def _watched(command: list[str], folder: Path) -> tuple[float, int, int]:
    """Seconds, peak resident bytes, and peak bytes on disk beyond those at the start.

    Memory is looked at while the command runs: what the system tells of a child that has ended
    includes what it was before it became another program, a copy of this process.
    """
    before, memory, disk, done = _on_disk(folder), 0, 0, threading.Event()
    begun = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603 (our own command)

    def look() -> None:
        nonlocal memory, disk
        while not done.wait(0.1):
            memory = max(memory, _resident(process.pid))
            disk = max(disk, _on_disk(folder) - before)

    watching = threading.Thread(target=look)
    watching.start()
    process.wait()
    spent = time.perf_counter() - begun
    done.set()
    watching.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
    return spent, memory, disk


def _resident(pid: int) -> int:
    """The most bytes that a process has held; 0 where it has ended."""
    try:
        told = Path(f"/proc/{pid}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(t.split()[1]) for t in told.splitlines() if t.startswith("VmHWM")), 0)


def _on_disk(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
