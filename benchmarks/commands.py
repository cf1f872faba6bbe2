"""Measure complete runs: time outside the network, growth with size, and GDAL for comparison."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Rows, median, product_rate
from rs_superres.demo.synthetic_scene import render_scene, scene_grid
from rs_superres.engine import Options, Plan, plan, run
from rs_superres.engine.compute import compute_here
from rs_superres.image.resampling import cubic
from rs_superres.raster import write_image
from rs_superres.scene.inference import CellInput, Drawn, Inference
from rs_superres.system.threads import THREADS

SCALE = 4
"""Scale of all runs."""

NOISE = 2.0
"""Standard deviation of the noise of drawn scenes, digital numbers."""

CREATION = ("COMPRESS=DEFLATE", "PREDICTOR=YES", "NUM_THREADS=ALL_CPUS",
            "OVERVIEW_RESAMPLING=AVERAGE", "BLOCKSIZE=512")  # fmt: skip
"""Creation options of results that are compared with GDAL's."""


def scene(folder: Path, megapixels: float) -> Path:
    """Return the path of a drawn scene whose result has the given size; write it if missing.

    It has noise, as images of cameras have: without, 40 % of the ground would be of one colour,
    which compresses too well, and which results overshoot everywhere.
    """
    side = round((megapixels * 1e6) ** 0.5 / SCALE)
    path = folder / f"scene-{side}.tif"
    if not path.exists():
        image = render_scene(side, samples=2)
        noise = np.random.default_rng(0).normal(0, NOISE, image.shape)
        noisy = np.rint(image + noise).clip(0, 255).astype(np.uint8)
        write_image(path, noisy, scene_grid(side))
    return path


class TimedInference:
    """An inference that counts the seconds it takes."""

    def __init__(self, inner: Inference) -> None:
        self.inner, self.seconds = inner, 0.0
        self.halo, self.margin, self.valid_margin = inner.halo, inner.margin, inner.valid_margin

    def __call__(self, cell: CellInput) -> Drawn:
        """Compute samples with the inner inference, and count the time."""
        start = time.perf_counter()
        drawn = self.inner(cell)
        results = list(drawn.samples)
        self.seconds += time.perf_counter() - start
        return drawn._replace(samples=iter(results))

    def residual(self, cell: CellInput) -> Drawn:
        """Return the residual of the inner inference; its time is not counted."""
        return self.inner.residual(cell)


class CubicInference:
    """An inference that interpolates, without a network."""

    halo, margin, valid_margin = 2, 0, 0

    def __call__(self, cell: CellInput) -> Drawn:
        """Return the cubic interpolation for each noise."""
        result = cubic(*cell.image_on_axes).astype(np.float32)
        return Drawn(result for _ in cell.noises)

    def residual(self, cell: CellInput) -> Drawn:
        """Return zeros for each noise."""
        return Drawn(result * 0 for result in self(cell).samples)


def with_inference(plan: Plan, inference: Inference) -> Plan:
    """Return a plan with another inference."""
    recipe = replace(plan.recipe, inference=inference)
    return replace(plan, pixels=replace(plan.pixels, recipe=recipe))


def overhead(folder: Path, quick: bool) -> Rows:
    """Compare the time of complete runs with that of the network."""
    rows: Rows = [("result", "steps", "total, s", "network, s", "outside the network", "Mpx/s")]
    megapixels, source = 4.0, scene(folder, 4)
    for steps in (0,) if quick else (0, 2):
        times = []
        for _ in range(1 if quick else 5):
            start = time.perf_counter()
            options = Options(scale=SCALE, steps=steps, overwrite=True)
            run_plan = plan(source, folder / "overhead.tif", options)
            inference = TimedInference(run_plan.recipe.inference)
            # Compute one cell at a time: the seconds of parallel cells would be counted twice.
            timed_plan = with_inference(run_plan, inference)
            run(timed_plan, compute=partial(compute_here, processors=THREADS))
            total = time.perf_counter() - start
            times.append((total, inference.seconds))
        total, network = sorted(times)[len(times) // 2]
        rows.append(
            (
                f"{megapixels:g} Mpx",
                str(steps),
                f"{total:.2f}",
                f"{network:.2f}",
                f"{1 - network / total:.0%}",
                f"{megapixels / total:.2f}",
            )
        )
    return rows


def interpolation(folder: Path, quick: bool) -> Rows:
    """Time the pipeline with cubic interpolation as network, and GDAL's own cubic."""
    source, out, repeats = scene(folder, 4), folder / "cubic.tif", 1 if quick else 5

    def upscale_by_cubic() -> None:
        options = Options(
            scale=SCALE, steps=0, overwrite=True, consistency=False, creation=CREATION
        )
        run(with_inference(plan(source, out, options), CubicInference()))

    rows: Rows = [("4 Mpx, cubic, COG", "s")]
    rows.append(("rs-sr with planning and checks", f"{median(upscale_by_cubic, repeats):.2f}"))
    tool = shutil.which("gdal_translate")
    if tool is None:
        return [*rows, ("gdal_translate", "not installed")]
    size = f"{100 * SCALE}%"
    command = [tool, "-q", "-r", "cubic", "-outsize", size, size, "-of", "COG"]
    command += [part for option in CREATION for part in ("-co", option)]
    command += [str(source), str(out)]
    seconds = median(lambda: subprocess.run(command, check=True), repeats)  # noqa: S603 (GDAL's)
    return [*rows, ("gdal_translate", f"{seconds:.2f}")]


def whole(folder: Path, quick: bool) -> Rows:
    """Time the command from file to file, and compare its rate with that of a bf16 product."""
    megapixels, product = 4.0 if quick else 16.0, product_rate(torch.bfloat16) / 1e3
    rows: Rows = [("scale", "mode", "s", "Mpx/s", f"per TFLOP/s (a bf16 product: {product:.2f})")]
    for scale, steps in ((2, 0), (2, None), (4, 0), (4, None)):
        source, out = scene(folder, megapixels * (SCALE / scale) ** 2), folder / "whole.tif"
        seconds, _, _ = _measure(_command(source, out, scale, steps), folder)
        rate = megapixels / seconds
        mode = "default" if steps is None else f"--steps {steps}"
        rows.append((f"x{scale}", mode, f"{seconds:.1f}", f"{rate:.2f}", f"{rate / product:.2f}"))
    return rows


def _command(source: Path, out: Path, scale: float, steps: int | None) -> list[str]:
    """Return the command line of a run; the model's own steps if ``steps`` is None."""
    tool = str(Path(sys.executable).with_name("rs-sr"))
    command = [tool, "upscale", str(source), "-o", str(out), "--scale", str(scale)]
    command += [] if steps is None else ["--steps", str(steps)]
    return [*command, "--overwrite", "-q"]


def growth(folder: Path, sizes: Sequence[float]) -> Rows:
    """Measure time, memory and disk of the command for results of several sizes, Mpx."""
    rows: Rows = [("result", "s", "s/Mpx", "peak memory, MB", "peak disk, MB", "result, MB")]
    for megapixels in sizes:
        source, out = scene(folder, megapixels), folder / "growth.tif"
        seconds, memory, disk = _measure(_command(source, out, SCALE, 0), folder)
        rows.append(
            (
                f"{megapixels:g} Mpx",
                f"{seconds:.1f}",
                f"{seconds / megapixels:.2f}",
                f"{memory / 1e6:.0f}",
                f"{disk / 1e6:.0f}",
                f"{out.stat().st_size / 1e6:.0f}",
            )
        )
        out.unlink()
    return rows


def _measure(command: list[str], folder: Path) -> tuple[float, int, int]:
    """Run a command, and measure its time, memory and disk.

    Memory is sampled while the command runs. The system's figure for a finished child would include
    the copy of this process that it was before it started the command.

    Returns:
        Seconds, peak resident bytes, and peak bytes in ``folder`` on top of those at the start.
    """
    before, memory, disk, done = _bytes_on_disk(folder), 0, 0, threading.Event()
    start = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603 (our own command)

    def sample() -> None:
        nonlocal memory, disk
        while not done.wait(0.1):
            memory = max(memory, peak_memory(process.pid))
            disk = max(disk, _bytes_on_disk(folder) - before)

    sampler = threading.Thread(target=sample)
    sampler.start()
    process.wait()
    seconds = time.perf_counter() - start
    done.set()
    sampler.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
    return seconds, memory, disk


def peak_memory(pid: int) -> int:
    """Return the peak resident bytes of a process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return next((1024 * int(line.split()[1]) for line in lines), 0)


def _bytes_on_disk(folder: Path) -> int:
    """Return the bytes of all files in a folder; files may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
