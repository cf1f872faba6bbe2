"""Measure a GPU: its ceilings, the shipped model, complete runs, and differences from the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.commands import scene
from benchmarks.networks import (
    CPU,
    SCALE,
    Cell,
    difference,
    prior_work,
    texture_work,
    zoom_by,
)
from benchmarks.timing import Rows, median
from rs_superres import zoo
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.engine import Options, upscale
from rs_superres.image.consistency import reach
from rs_superres.nets.build import SceneNetwork
from rs_superres.scene.inference import prepare
from rs_superres.system.devices import ComputeSettings, Precision

PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes and repetitions of the measurements."""

    product: int = 8192
    """Side of the square matrices whose product is timed."""
    copied: int = 1 << 30
    """Bytes to copy on the device."""
    sides: tuple[int, ...] = (768, 2048)
    """Sides of the cells, output pixels."""
    compared: int = 512
    """Side of the cell that the CPU computes for comparison, output pixels."""
    megapixels: float = 1024**2 * SCALE**2 / 1e6
    """Size of the result of a complete run."""
    repeats: int = 5
    """Repetitions of each measurement."""


Tables = Iterator[tuple[str, Rows]]
"""Pairs of a heading and a table."""

HEAD = "what", "steps", "precision", "Mpx/s", "remarks"
"""Head of the tables about the model."""


def on_gpu(folder: Path) -> Tables:
    """Measure the first GPU; without one, yield a table that says so."""
    if torch.cuda.is_available():
        yield from measure(folder, torch.device("cuda"), Sizes())
    else:
        rows: Rows = [("GPU",), ("torch finds none on this machine: skipped",)]
        yield "GPU", rows


def measure(folder: Path, device: torch.device, sizes: Sizes) -> Tables:
    """Measure any device; tests use a CPU and small sizes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    ceiling, bandwidth = _ceilings(device, sizes)
    ceilings: Rows = [
        (f"product of {sizes.product}^3, bf16", "copy, read and write"),
        (f"{ceiling / 1e12:.1f} TFLOP/s", f"{bandwidth / 1e9:.0f} GB/s"),
    ]
    yield f"{name}: ceilings", ceilings
    model = zoo.load("aerial")
    step_counts = 0, model.config.steps
    for steps in step_counts:
        rows = _networks(model, device, steps, sizes, ceiling)
        yield f"{name}: the shipped model, x{SCALE}, {steps} steps", [HEAD, *rows]
    yield f"{name}: differences from the CPU", [HEAD, *_differences(model, device, sizes)]
    runs = [_complete_run(folder, device, steps, sizes) for steps in step_counts]
    yield f"{name}: complete runs, x{SCALE}", [HEAD, *runs]


def _ceilings(device: torch.device, sizes: Sizes) -> tuple[float, float]:
    """Measure operations per second of a bf16 product, and bytes per second read and written."""
    side = sizes.product
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.zeros(sizes.copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    with torch.inference_mode():
        product_seconds = _seconds(lambda: a @ b, device, 2 * sizes.repeats)
        copy_seconds = _seconds(lambda: target.copy_(source), device, 2 * sizes.repeats)
    return 2 * side**3 / product_seconds, 2 * sizes.copied / copy_seconds


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of work on a device, after warming up."""

    def finish_work() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    finish_work()
    finish_work()
    return median(finish_work, repeats)


def _prepare_cell(
    model: zoo.Model, device: torch.device, steps: int, side: int, precision: Precision
) -> tuple[ComputeSettings, Cell]:
    """Return compute settings, and a cell of the drawn scene with its noise already drawn."""
    zoom = zoom_by(SCALE)
    settings = ComputeSettings(
        steps=steps, device=device, precision=precision, extra_margin=reach(zoom)
    )
    # prepare() moves the network to the device in place, so give it a copy.
    inference = prepare(model.config, deepcopy(model.network), zoom, settings)
    cell = Cell(inference, zoom, side)
    scene_values = render_scene(cell.along.count, samples=1)
    cell.image = (scene_values / 127.5 - 1).astype(np.float32)
    noise = cell.noise() if steps else np.zeros(0, dtype=np.float32)
    cell.noise = partial(np.asarray, noise)
    return settings, cell


def network_alone(model: zoo.Model, settings: ComputeSettings, cell: Cell) -> Callable[[], Tensor]:
    """Return a function that computes a cell, (1, 3, y, x), from and to the device's memory."""
    network = deepcopy(model.network).to(settings.device)
    if not isinstance(network, SceneNetwork) or network.denoiser is None:
        raise TypeError("the benchmark needs a prior and texture")
    prior = network.prior
    texture = network.denoiser.sampler(SCALE, settings.steps, model.config.sampler.texture)
    size = torch.tensor((2 / SCALE, 2 / SCALE), dtype=torch.float64)
    folded = prior.folded(SCALE, size).to(settings.dtype)
    grid = (cell.samples.to(settings.device),) * 2
    image, noise = (
        torch.from_numpy(a)[None].to(settings.device) for a in (cell.image, cell.noise())
    )

    def compute() -> Tensor:
        with settings.computing():
            base = prior.grid(image, *grid, folded)
            if settings.steps == 0:
                return base
            draw, _ = texture(base)
            return draw(noise.contiguous(memory_format=torch.channels_last))

    return compute


def _networks(
    model: zoo.Model, device: torch.device, steps: int, sizes: Sizes, ceiling: float
) -> Rows:
    """Time cells with the network alone, and from host memory to host memory."""
    rows: Rows = []
    for side, precision in product(sizes.sides, PRECISIONS):
        settings, cell = _prepare_cell(model, device, steps, side, precision)
        pixels = side**2 / 1e6
        operations = _operations(model, cell, steps)
        alone = _seconds(network_alone(model, settings, cell), device, sizes.repeats)
        copied = _seconds(cell, device, sizes.repeats)
        speed = (
            f"{operations / pixels / 1e12:.3f} MFLOP/px, {operations / alone / 1e12:.1f} TFLOP/s"
        )
        if precision == "bf16":
            speed += f", {operations / alone / ceiling:.1%} of the product's"
        settings_columns = str(steps), precision
        rows += [
            (f"cell of {side}, network alone", *settings_columns, f"{pixels / alone:.1f}", speed),
            (f"cell of {side}, with copies", *settings_columns, f"{pixels / copied:.1f}", ""),
        ]
    return rows


def _operations(model: zoo.Model, cell: Cell, steps: int) -> float:
    """Return the operations of a cell."""
    operations, _ = prior_work(model.config, cell)
    if steps:
        operations += texture_work(model.config, len(cell.along.positions), steps)[0]
    return operations


def _differences(model: zoo.Model, device: torch.device, sizes: Sizes) -> Rows:
    """Compare a cell with that of the CPU in float32, in digital numbers of 8 bits."""
    rows: Rows = []
    for steps in (0, model.config.steps):
        _, cell = _prepare_cell(model, CPU, steps, sizes.compared, "fp32")
        reference = cell()
        for precision in PRECISIONS:
            _, cell = _prepare_cell(model, device, steps, sizes.compared, precision)
            what, largest, rms = difference("from the CPU in fp32", cell(), reference)
            rows.append((what, str(steps), precision, "", f"rms {rms}, largest {largest} DN"))
    return rows


def _complete_run(folder: Path, device: torch.device, steps: int, sizes: Sizes) -> tuple[str, ...]:
    """Time a run from file to file in this process: planning, reading, checks, writing."""
    source = scene(folder, sizes.megapixels)
    options = Options(scale=SCALE, steps=steps, device=device.type, overwrite=True)
    cell_times: list[float] = []
    start = time.perf_counter()
    report = upscale(
        source,
        folder / f"{device.type}.tif",
        options,
        progress=lambda *_: cell_times.append(time.perf_counter()),
    )
    total, computed = time.perf_counter() - start, cell_times[-1] - start
    pixels = sizes.megapixels
    remark = f"{total:.2f} s, of these {computed:.2f} s until all {report.cells} cells are computed"
    return f"file to file, {pixels:.1f} Mpx", str(steps), "auto", f"{pixels / total:.1f}", remark
