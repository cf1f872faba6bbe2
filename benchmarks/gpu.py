"""One GPU: its ceilings, the shipped model beside them, whole commands, and the CPU's picture."""

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
    denoiser_work,
    difference,
    prior_work,
    zoom_by,
)
from benchmarks.timing import Rows, median
from rs_superres import zoo
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.diffusion.schedule import karras_sigmas
from rs_superres.engine import Options, upscale
from rs_superres.image.consistency import reach
from rs_superres.nets.build import SceneNetwork
from rs_superres.nets.denoiser import detail_kept
from rs_superres.nets.fast_unet import with_fast_unet
from rs_superres.nets.prior import linear
from rs_superres.scene.inference import prepare
from rs_superres.system.devices import ComputeSettings, Precision

PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    product: int = 8192
    """Side of the matrices whose product is timed."""
    copied: int = 1 << 30
    """Bytes that are copied on the device."""
    sides: tuple[int, ...] = (768, 2048)
    """Of cells, output pixels."""
    compared: int = 512
    """Side of the cell that the CPU computes too."""
    megapixels: float = 1024**2 * SCALE**2 / 1e6
    """Of a command's result."""
    repeats: int = 5


Tables = Iterator[tuple[str, Rows]]
"""Headings and tables, as they are finished."""

HEAD = "what", "steps", "precision", "Mpx/s", "beside it"


def on_gpu(folder: Path) -> Tables:
    """(h): everything about the first GPU; one line where there is none."""
    if torch.cuda.is_available():
        yield from measured(folder, torch.device("cuda"), Sizes())
    else:
        rows: Rows = [("GPU",), ("none that torch can use on this machine: skipped",)]
        yield "A GPU", rows


def measured(folder: Path, device: torch.device, sizes: Sizes) -> Tables:
    """The same of any device: tried on a CPU at small sizes before a GPU is at hand."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    ceiling, bandwidth = _ceilings(device, sizes)
    told: Rows = [
        (f"product of {sizes.product}^3, bf16", "copy, read and written"),
        (f"{ceiling / 1e12:.1f} TFLOP/s", f"{bandwidth / 1e9:.0f} GB/s"),
    ]
    yield f"{name}: what it can do", told
    model = zoo.load("aerial")
    each = 0, model.config.steps
    for steps in each:
        rows = _networks(model, device, steps, sizes, ceiling)
        yield f"{name}: the shipped model, x{SCALE}, {steps} steps", [HEAD, *rows]
    yield f"{name}: beside the CPU", [HEAD, *_differences(model, device, sizes)]
    runs = [_command(folder, device, steps, sizes) for steps in each]
    yield f"{name}: whole runs, x{SCALE}", [HEAD, *runs]


def _ceilings(device: torch.device, sizes: Sizes) -> tuple[float, float]:
    """Operations a second of a bf16 product, and bytes a second of a copy, read and written."""
    side = sizes.product
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    many = torch.zeros(sizes.copied, dtype=torch.uint8, device=device)
    into = torch.empty_like(many)
    with torch.inference_mode():
        multiplied = _seconds(lambda: a @ b, device, 2 * sizes.repeats)
        copied = _seconds(lambda: into.copy_(many), device, 2 * sizes.repeats)
    return 2 * side**3 / multiplied, 2 * sizes.copied / copied


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of work on a device, after some that is not counted."""

    def whole() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    whole()
    whole()
    return median(whole, repeats)


def _asked(
    model: zoo.Model, device: torch.device, steps: int, side: int, precision: Precision
) -> tuple[ComputeSettings, Cell]:
    """How a cell is computed, and the cell, its noise drawn."""
    zoom = zoom_by(SCALE)
    manner = ComputeSettings(
        steps=steps, device=device, precision=precision, extra_margin=reach(zoom)
    )
    # Copied, since a network is moved where it is.
    inference = prepare(model.config, deepcopy(model.network), zoom, manner)
    cell = Cell(inference, zoom, side)
    drawn = render_scene(cell.along.count, samples=1)
    cell.image = (drawn / 127.5 - 1).astype(np.float32)
    noise = cell.noise() if steps else np.zeros(0, dtype=np.float32)
    cell.noise = partial(np.asarray, noise)
    return manner, cell


def resident(model: zoo.Model, manner: ComputeSettings, cell: Cell) -> Callable[[], Tensor]:
    """The network alone, (1, 3, y, x): what it is given and what it gives stay on the device."""
    network, sampler = (
        with_fast_unet(deepcopy(model.network).to(manner.device)),
        model.config.sampler,
    )
    if not isinstance(network, SceneNetwork) or network.denoiser is None:
        raise TypeError("the shipped model has both")
    prior, denoiser = network.prior, network.denoiser
    size = torch.tensor((2 / SCALE, 2 / SCALE), dtype=torch.float64)
    folded = prior.folded(SCALE, size).to(manner.dtype)
    places = (cell.samples.to(manner.device),) * 2
    image, noise = (torch.from_numpy(a)[None].to(manner.device) for a in (cell.image, cell.noise()))
    sigmas = karras_sigmas(
        max(1, manner.steps),
        sigma_min=sampler.sigma_min,
        sigma_max=sampler.sigma_max,
        rho=sampler.rho,
    )

    def compute() -> Tensor:
        with manner.computing():
            made = prior.grid(image, *places, folded)
            if manner.steps == 0:
                return made
            kept = linear(detail_kept(image, sampler.flat), *places)
            start = noise.contiguous(memory_format=torch.channels_last)
            return denoiser.sample(made, start, sigmas, SCALE, kept)

    return compute


def _networks(
    model: zoo.Model, device: torch.device, steps: int, sizes: Sizes, ceiling: float
) -> Rows:
    """Cells, by the network alone and from the host's memory to the host's memory."""
    rows: Rows = []
    for side, precision in product(sizes.sides, PRECISIONS):
        manner, cell = _asked(model, device, steps, side, precision)
        pixels = side**2 / 1e6
        operations = _operations(model, cell, steps)
        alone = _seconds(resident(model, manner, cell), device, sizes.repeats)
        copied = _seconds(cell, device, sizes.repeats)
        told = f"{operations / pixels / 1e12:.3f} MFLOP/px, {operations / alone / 1e12:.1f} TFLOP/s"
        if precision == "bf16":
            told += f", {operations / alone / ceiling:.1%} of the product's"
        how = str(steps), precision
        rows.append((f"cell of {side}, network alone", *how, f"{pixels / alone:.1f}", told))
        rows.append((f"cell of {side}, with copies", *how, f"{pixels / copied:.1f}", ""))
    return rows


def _operations(model: zoo.Model, cell: Cell, steps: int) -> float:
    """Operations of a cell; the denoiser's, which go by the pixel, counted on a small one."""
    network, small = model.network, 64
    operations, _ = prior_work(model.config, cell)
    if steps and isinstance(network, SceneNetwork) and network.denoiser is not None:
        each, _ = denoiser_work(with_fast_unet(network.denoiser.unet), small)
        operations += steps * each * (len(cell.along.positions) / small) ** 2
    return operations


def _differences(model: zoo.Model, device: torch.device, sizes: Sizes) -> Rows:
    """A drawn scene's cell against the CPU's in float32, digital numbers of 8 bits."""
    rows: Rows = []
    for steps in (0, model.config.steps):
        _, cell = _asked(model, CPU, steps, sizes.compared, "fp32")
        exact = cell()
        for precision in PRECISIONS:
            _, cell = _asked(model, device, steps, sizes.compared, precision)
            what, most, typical = difference("beside the CPU's fp32", cell(), exact)
            rows.append((what, str(steps), precision, "", f"rms {typical}, largest {most} DN"))
    return rows


def _command(folder: Path, device: torch.device, steps: int, sizes: Sizes) -> tuple[str, ...]:
    """A whole run, from file to file, in this process: planning, reading, checks, writing."""
    source = scene(folder, sizes.megapixels)
    options = Options(scale=SCALE, steps=steps, device=device.type, overwrite=True)
    moments: list[float] = []
    begun = time.perf_counter()
    made = upscale(
        source,
        folder / f"{device.type}.tif",
        options,
        progress=lambda *_: moments.append(time.perf_counter()),
    )
    whole, computed = time.perf_counter() - begun, moments[-1] - begun
    pixels = sizes.megapixels
    told = f"{whole:.2f} s, {computed:.2f} s of them until its {made.cells} cells are computed"
    return f"file to file, {pixels:.1f} Mpx", str(steps), "auto", f"{pixels / whole:.1f}", told
