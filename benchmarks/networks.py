"""Measure the networks alone: the paper's network evaluated plainly, and the fast paths."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Rows, ceilings, median
from rs_superres import zoo
from rs_superres.config import (
    EncoderConfig,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TileConfig,
    TrainedConfig,
    UNetConfig,
)
from rs_superres.diffusion.samplers import ddim
from rs_superres.diffusion.schedule import LinearSchedule
from rs_superres.grid import AxisSupport, Grid, Shape, Zoom, axis_support
from rs_superres.image.consistency import reach
from rs_superres.image.noise import normal_field
from rs_superres.nets.build import (
    NeurOpDiff,
    SceneNetwork,
    paper_network,
    scene_network,
    to_channels_last,
)
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.prior import cubic, scene_samples
from rs_superres.scene.inference import CellInput, Inference, prepare
from rs_superres.system.devices import ComputeSettings, Precision, resolve_precision
from rs_superres.system.threads import fixed_threads

SIDE, SCALE, STEPS = 256, 4, 50
"""Side of the paper's cell with margins (output pixels), scale, and steps of its sampler."""

CPU = torch.device("cpu")


@cache
def paper() -> tuple[ModelConfig, NeurOpDiff]:
    """Build a network of the paper's size with random weights."""
    config = ModelConfig(
        kind="paper",
        encoder=EncoderConfig(name="edsr-baseline"),
        operator=OperatorConfig(),
        denoiser=UNetConfig(
            channels=64,
            multipliers=(1, 2, 2, 4, 4, 8),
            norm_groups=16,
            attention_levels=(4,),
            middle_attention=True,
        ),
        sampler=SamplerConfig(steps=STEPS),
        tiles=TileConfig(size=SIDE - 64, margin=32),
        trained=TrainedConfig(scales=(1.0, 8.0)),
    )
    torch.manual_seed(0)
    network = paper_network(config).eval().requires_grad_(False)
    if not isinstance(network, NeurOpDiff):
        raise TypeError("the benchmark needs a denoiser")
    return config, network


class Cell:
    """A cell of a scene of random values, with its noise, as input of an inference."""

    def __init__(self, inference: Inference, zoom: Zoom, side: int) -> None:
        self.inference = inference
        self.side = side
        self.along: AxisSupport = axis_support(
            zoom.rows, 4 * side, side, margin=inference.margin, halo=inference.halo
        )
        count = self.along.count
        uniform = np.random.default_rng(0).random((3, count, count), dtype=np.float32)
        self.image = 2 * uniform - 1
        shape = 3, len(self.along.positions), len(self.along.positions)
        self.noise = partial(normal_field, (1,), row=0, column=0, shape=shape)

    def __call__(self) -> Tensor:
        """Compute one sample of the cell with its margins, (3, y, x) network values."""
        drawn = self.inference(CellInput(self.image, self.along, self.along, [self.noise]))
        (sample,) = drawn.samples
        return torch.from_numpy(sample)

    @property
    def samples(self) -> AxisSamples:
        """Positions of the output pixels in the cell's image, along either axis."""
        return scene_samples(torch.from_numpy(self.along.positions), self.along.start)

    @property
    def seconds_per_megapixel(self) -> float:
        """Measure the seconds per megapixel of the cell; margins take time but do not count."""
        return median(self) / self.side**2 * 1e6


def zoom_by(scale: float) -> Zoom:
    """Return the zoom of a large scene by a scale."""
    return Zoom.by_scale(Grid(Shape(4096, 4096), None), str(scale))


def cpu_settings(
    steps: int, extra_margin: int = 0, precision: Precision = "fp32"
) -> ComputeSettings:
    """Return settings to compute on the CPU."""
    return ComputeSettings(steps=steps, device=CPU, precision=precision, extra_margin=extra_margin)


def precisions() -> list[Precision]:
    """Return fp32, and the precision that ``auto`` selects on this machine if it is another."""
    return list(dict.fromkeys(("fp32", resolve_precision("auto", CPU))))


def plain_sample(cell: Cell, network: NeurOpDiff, steps: int) -> Tensor:
    """Sample as the paper's public code does, which computes the prior again at every step."""
    image, pixel_size = torch.from_numpy(cell.image)[None], _pixel_size(SCALE)

    def predict(x: Tensor, level: Tensor) -> Tensor:
        prior = network.prior.grid(image, cell.samples, cell.samples, pixel_size)
        return network.predict_noise(x, prior, level)

    with fixed_threads(), torch.inference_mode():
        start = torch.from_numpy(cell.noise())[None]
        return ddim(predict, start, LinearSchedule(), steps)[0]


def against_paper(quick: bool) -> tuple[Rows, float]:
    """Compare fast paths with the plain evaluation, with the same weights and steps.

    Returns:
        The table, and the seconds per megapixel of the plain evaluation with 50 steps.
    """
    config, network = paper()
    steps, repeats = (2, 1) if quick else (5, 3)
    zoom, side = zoom_by(SCALE), SIDE - 64
    cell = Cell(prepare(config, network, zoom, cpu_settings(steps)), zoom, side)
    expected = plain_sample(cell, network, steps)
    plain_seconds = median(partial(plain_sample, cell, network, steps), repeats) * STEPS / steps
    fast_network = paper_network(config).eval().requires_grad_(False)
    fast_network.load_state_dict(network.state_dict())
    to_channels_last(fast_network)
    rows: Rows = [("what", "plain, s/Mpx", "rs-sr, s/Mpx", "ratio", "relative difference")]
    for precision in precisions():
        cell, prior = (
            Cell(prepare(config, fast_network, zoom, cpu_settings(n, 0, precision)), zoom, side)
            for n in (steps, 0)
        )
        error = relative_difference(cell(), expected)
        prior_seconds, cell_seconds = median(prior, repeats), median(cell, repeats)
        # The prior is computed once, each step takes the same time.
        seconds = prior_seconds + (cell_seconds - prior_seconds) * STEPS / steps
        what = f"{STEPS} steps of DDIM ({steps} timed), {precision}"
        rows += [
            _ratio(what, plain_seconds, seconds, f"{error:.1e}"),
            *_priors(prior, network, repeats, precision),
        ]
    return rows, plain_seconds / (SIDE**2 / 1e6)


def _pixel_size(scale: float) -> Tensor:
    """Return (2,) size of an output pixel in half source pixels."""
    return torch.tensor((2 / scale, 2 / scale)).double()


def relative_difference(result: Tensor, expected: Tensor) -> float:
    """Return the norm of a difference divided by the norm of the expected values."""
    return float((result - expected).norm() / expected.norm())


def _ratio(what: str, plain: float, fast: float, error: str) -> tuple[str, ...]:
    """Format a row of the table from the seconds of a cell."""
    per_megapixel = 1e6 / SIDE**2
    return (
        what,
        f"{plain * per_megapixel:.1f}",
        f"{fast * per_megapixel:.1f}",
        f"{plain / fast:.1f}",
        error,
    )


def _priors(cell: Cell, network: NeurOpDiff, repeats: int, precision: Precision) -> Rows:
    """Time priors of the paper's size, with the contexts of the image and with stored ones."""
    image, pixel_size = torch.from_numpy(cell.image)[None], _pixel_size(SCALE)
    grid = cell.samples, cell.samples

    def plain() -> Tensor:
        with fixed_threads(), torch.inference_mode():
            return network.prior.grid(image, *grid, pixel_size)[0]

    plain_seconds = median(plain, repeats)
    config, _ = paper()
    stored = replace(
        config,
        kind="scene",
        operator=replace(config.operator, scales=(1.0, 8.0)),
        denoiser=None,
    )
    scene = scene_network(stored).eval().requires_grad_(False)
    to_channels_last(scene)
    # This prior needs a halo, so time a cell as large as the shipped model's.
    inference = prepare(stored, scene, zoom_by(SCALE), cpu_settings(0, 0, precision))
    large = Cell(inference, zoom_by(SCALE), 768)
    stored_seconds = median(large, repeats) * SIDE**2 / 768**2
    error = f"{relative_difference(cell(), plain()):.1e}"
    of_image, of_model = "prior, contexts of the image", "prior, stored contexts, cell of 768"
    return [
        _ratio(f"{of_image}, {precision}", plain_seconds, median(cell, repeats), error),
        _ratio(f"{of_model}, {precision}", plain_seconds, stored_seconds, "not comparable"),
    ]


def shipped(quick: bool, plain: float) -> Rows:
    """Compare the shipped model with the plain evaluation of the paper's network.

    Args:
        quick: measure x4 only.
        plain: seconds per megapixel of the plain evaluation with 50 steps.
    """
    model = zoo.load("aerial")
    rows: Rows = [("precision", "scale", "steps", "s/Mpx", "Mpx/s", "plain paper / this, x4")]
    for precision, scale in product(precisions(), (4,) if quick else (2, 4, 8)):
        zoom = zoom_by(scale)
        for steps in (0, model.config.steps):
            inference = prepare(
                model.config, model.network, zoom, cpu_settings(steps, reach(zoom), precision)
            )
            seconds = Cell(inference, zoom, model.config.tiles.size).seconds_per_megapixel
            ratio = f"{plain / seconds:.0f}" if scale == SCALE else ""
            case = precision, f"x{scale}", str(steps)
            rows.append((*case, f"{seconds:.2f}", f"{1 / seconds:.2f}", ratio))
    return rows


def accuracy() -> Rows:
    """Compare fast paths with the plain modules in float32, in digital numbers of 8 bits."""
    model = zoo.load("aerial")
    network = model.network
    if not isinstance(network, SceneNetwork) or network.denoiser is None:
        raise TypeError("the benchmark needs a prior and texture")
    rows: Rows = [("path", "largest difference, DN", "root mean square, DN")]
    for scale in (2, 4, 8):
        zoom = zoom_by(scale)
        cell = Cell(prepare(model.config, network, zoom, cpu_settings(0)), zoom, 128)
        image, grid = torch.from_numpy(cell.image)[None], (cell.samples, cell.samples)
        with fixed_threads(), torch.inference_mode():
            contexts = network.prior.contexts_at(scale)
            operator = network.prior.operator
            lifted = operator.lifted(
                network.prior.features(image, scale, None), *grid, _pixel_size(scale)
            )
            plain = cubic(image, *grid)
            plain = plain + operator(lifted, contexts).transpose(1, 2).reshape(plain.shape)
        rows.append(difference(f"prior, x{scale}", cell(), plain[0]))
    return rows


def difference(what: str, result: Tensor, expected: Tensor) -> tuple[str, ...]:
    """Format the largest and the RMS difference of network values, in digital numbers of 255."""
    error = 127.5 * (result.double() - expected.double()).abs()
    return what, f"{error.max():.4f}", f"{error.square().mean().sqrt():.5f}"


def arithmetic() -> Rows:
    """Count operations and bytes per output pixel, and compare the speed with the ceiling."""
    model, limits = zoo.load("aerial"), ceilings()
    rows: Rows = [("x4, cell without halo", "MFLOP/px", "kB/px", "GFLOP/s", "of the ceiling")]
    zoom, side = zoom_by(SCALE), model.config.tiles.size
    for steps in (0, model.config.steps):
        cell = Cell(prepare(model.config, model.network, zoom, cpu_settings(steps)), zoom, side)
        flops, values = prior_work(model.config, cell)
        if steps:
            more = texture_work(model.config, len(cell.along.positions), steps)
            flops, values = flops + more[0], values + more[1]
        speed = flops / median(cell) / 1e9
        rows.append(
            (
                f"{steps} steps",
                f"{flops / side**2 / 1e6:.3f}",
                f"{4 * values / side**2 / 1e3:.2f}",
                f"{speed:.0f}",
                f"{speed / limits['convolution']:.0%}",
            )
        )
    rows.append(
        (
            "machine: product / convolution GFLOP/s, copy GB/s",
            "",
            "",
            f"{limits['product']:.0f} / {limits['convolution']:.0f}",
            f"{limits['copy']:.0f}",
        )
    )
    return rows


def prior_work(config: ModelConfig, cell: Cell) -> tuple[float, float]:
    """Count the operations of the prior on a cell, and the values its layers read and write."""
    channels, width = config.encoder.channels, config.operator.width
    layers = [(3, channels), *((channels, channels) for _ in range(2 * config.encoder.blocks + 1))]
    sides = [cell.along.count - 2 - 2 * i for i in range(len(layers))]
    flops = sum(2 * 9 * a * b * n**2 for (a, b), n in zip(layers, sides, strict=True))
    values = sum((a + b) * n**2 for (a, b), n in zip(layers, sides, strict=True))
    queries = len(cell.along.positions) ** 2
    flops += 2 * sides[-1] ** 2 * 4 * channels * 3 * width
    flops += 2 * queries * (3 * width**2 + 3 * width)
    return flops, values + queries * 3 * width


def texture_work(config: ModelConfig, side: int, steps: int) -> tuple[float, float]:
    """Count operations of the texture's networks, and the values their layers read and write.

    Args:
        config: a model with texture.
        side: pixels on a side of the cell with its margins.
        steps: evaluations of the diffusion's network.
    """
    sizes = config.texture
    if sizes is None:
        raise TypeError("the benchmark needs texture")
    bands, squares = 3 * sizes.patch**2, (side / sizes.patch) ** 2
    flops = values = 0.0
    for inputs, channels, blocks, count in (
        (bands, sizes.spread_channels, sizes.spread_blocks, 1),
        (3 * bands, sizes.channels, sizes.blocks, steps),
    ):
        layers = [(inputs, channels), *[(channels, channels)] * (2 * blocks), (channels, bands)]
        flops += count * sum(2 * 9 * a * b * squares for a, b in layers)
        values += count * sum((a + b) * squares for a, b in layers)
    return flops, values
