"""Networks alone: the paper's release evaluated plainly, and ours."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

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
from rs_superres.diffusion.schedule import LinearSchedule, karras_sigmas
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
from rs_superres.nets.fast_unet import with_fast_unet
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.prior import cubic, scene_samples
from rs_superres.scene.inference import Inference, prepare
from rs_superres.system.devices import ComputeSettings, Precision, resolve_precision
from rs_superres.system.threads import fixed_threads

SIDE, SCALE, STEPS = 256, 4, 50
"""Of the paper's tile, margins included; output pixels, magnification, evaluations."""

CPU = torch.device("cpu")


@cache
def paper() -> tuple[ModelConfig, NeurOpDiff]:
    """A network of the paper's size, its weights drawn."""
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
        raise TypeError("a prior alone")
    return config, network


class Cell:
    """One cell of a scene, and what a network is asked about it."""

    def __init__(self, inference: Inference, zoom: Zoom, side: int) -> None:
        self.inference = inference
        self.side = side
        self.along: AxisSupport = axis_support(
            zoom.rows, 4 * side, side, margin=inference.margin, halo=inference.halo
        )
        count = self.along.count
        smooth = np.random.default_rng(0).random((3, count, count), dtype=np.float32)
        self.image = 2 * smooth - 1
        shape = 3, len(self.along.positions), len(self.along.positions)
        self.noise = partial(normal_field, (1,), row=0, column=0, shape=shape)

    def __call__(self) -> Tensor:
        """(3, side and margins, the same)."""
        (made,) = self.inference(self.image, self.along, self.along, [self.noise])
        return torch.from_numpy(made)

    @property
    def samples(self) -> AxisSamples:
        """Where its pixels stand."""
        return scene_samples(torch.from_numpy(self.along.positions), self.along.start)

    @property
    def seconds(self) -> float:
        """A megapixel of the cell takes so long, its margins included."""
        return median(self) / self.side**2 * 1e6


def zoom_by(scale: float) -> Zoom:
    """A zoom of a large scene."""
    return Zoom.by_scale(Grid(Shape(4096, 4096), None), str(scale))


def manner(steps: int, extra_margin: int = 0, precision: Precision = "fp32") -> ComputeSettings:
    """On the CPU."""
    return ComputeSettings(steps=steps, device=CPU, precision=precision, extra_margin=extra_margin)


def precisions() -> list[Precision]:
    """Single precision, and what ``auto`` stands for where that is another."""
    return list(dict.fromkeys(("fp32", resolve_precision("auto", CPU))))


def plain_sample(cell: Cell, network: NeurOpDiff, steps: int) -> Tensor:
    """As the release samples: the prior anew at every step."""
    image, size = torch.from_numpy(cell.image)[None], torch.tensor((2 / SCALE, 2 / SCALE)).double()

    def predict(x: Tensor, level: Tensor) -> Tensor:
        prior = network.prior.grid(image, cell.samples, cell.samples, size)
        return network.predict_noise(x, prior, level)

    with fixed_threads(), torch.inference_mode():
        start = torch.from_numpy(cell.noise())[None]
        return ddim(predict, start, LinearSchedule(), steps)[0]


def against_paper(quick: bool) -> tuple[Rows, float]:
    """(a): the same weights and steps.

    Returns:
        The table, and seconds for a megapixel of the plain evaluation at 50 steps.
    """
    config, network = paper()
    steps, repeats = (2, 1) if quick else (5, 3)
    zoom, side = zoom_by(SCALE), SIDE - 64
    few = Cell(prepare(config, network, zoom, manner(steps)), zoom, side)
    plain_made = plain_sample(few, network, steps)
    plain = median(partial(plain_sample, few, network, steps), repeats) * STEPS / steps
    quick_network = paper_network(config).eval().requires_grad_(False)
    quick_network.load_state_dict(network.state_dict())
    to_channels_last(quick_network)
    rows: Rows = [("what", "plain, s/Mpx", "ours, s/Mpx", "ratio", "relative difference")]
    for precision in precisions():
        few, prior = (
            Cell(prepare(config, quick_network, zoom, manner(n, 0, precision)), zoom, side)
            for n in (steps, 0)
        )
        made = few()
        ours_prior, ours_few = median(prior, repeats), median(few, repeats)
        ours = ours_prior + (ours_few - ours_prior) * STEPS / steps
        error = float((made - plain_made).norm() / plain_made.norm())
        what = f"{STEPS} steps of DDIM ({steps} timed), {precision}"
        rows += [_ratio(what, plain, ours, error), *_priors(prior, network, repeats, precision)]
    return rows, plain / (SIDE**2 / 1e6)


def _ratio(what: str, plain: float, ours: float, error: float) -> tuple[str, ...]:
    """A row of the table."""
    each = 1e6 / SIDE**2
    return (
        what,
        f"{plain * each:.1f}",
        f"{ours * each:.1f}",
        f"{plain / ours:.1f}",
        f"{error:.1e}",
    )


def _priors(cell: Cell, network: NeurOpDiff, repeats: int, precision: Precision) -> Rows:
    """The prior of the paper's size: with the contexts of its image, and with stored ones."""
    image, size = torch.from_numpy(cell.image)[None], torch.tensor((2 / SCALE, 2 / SCALE)).double()
    places = cell.samples, cell.samples

    def plain() -> Tensor:
        with fixed_threads(), torch.inference_mode():
            return network.prior.grid(image, *places, size)[0]

    spent = median(plain, repeats)
    config, _ = paper()
    stored = replace(
        config,
        kind="scene",
        operator=replace(config.operator, scales=(1.0, 8.0)),
        denoiser=None,
    )
    scene = scene_network(stored).eval().requires_grad_(False)
    to_channels_last(scene)
    # Its cells have a halo: as large a cell as the shipped model's, told per pixel.
    inference = prepare(stored, scene, zoom_by(SCALE), manner(0, 0, precision))
    large = Cell(inference, zoom_by(SCALE), 768)
    with_stored = median(large, repeats) * SIDE**2 / 768**2
    made = plain()
    error = float((cell() - made).norm() / made.norm())
    return [
        _ratio(f"prior, contexts of its image, {precision}", spent, median(cell, repeats), error),
        (
            *_ratio(f"prior, stored contexts, cell of 768, {precision}", spent, with_stored, 0)[:4],
            "not the same",
        ),
    ]


def shipped(quick: bool, plain: float) -> Rows:
    """(b): the shipped model against the plain evaluation at 50 steps."""
    model = zoo.load("aerial")
    rows: Rows = [("precision", "scale", "steps", "s/Mpx", "Mpx/s", "paper's release over it, x4")]
    for precision, scale in product(precisions(), (4,) if quick else (2, 4, 8)):
        zoom = zoom_by(scale)
        for steps in (0, model.config.steps):
            inference = prepare(
                model.config, model.network, zoom, manner(steps, reach(zoom), precision)
            )
            spent = Cell(inference, zoom, model.config.tiles.size).seconds
            told = f"{plain / spent:.0f}" if scale == SCALE else ""
            what = precision, f"x{scale}", str(steps)
            rows.append((*what, f"{spent:.2f}", f"{1 / spent:.2f}", told))
    return rows


def accuracy() -> Rows:
    """(g): fast paths against the plain modules in float32, digital numbers of 8 bits."""
    model = zoo.load("aerial")
    network = model.network
    if not isinstance(network, SceneNetwork) or network.denoiser is None:
        raise TypeError("the shipped model has both")
    rows: Rows = [("path", "largest difference, DN", "root mean square, DN")]
    for scale in (2, 4, 8):
        zoom = zoom_by(scale)
        cell = Cell(prepare(model.config, network, zoom, manner(0)), zoom, 128)
        image, places = torch.from_numpy(cell.image)[None], (cell.samples, cell.samples)
        size = torch.tensor((2 / scale, 2 / scale)).double()
        with fixed_threads(), torch.inference_mode():
            contexts = network.prior.contexts_at(scale)
            operator = network.prior.operator
            lifted = operator.lifted(network.prior.encoder(image), *places, size)
            plain = cubic(image, *places)
            plain = plain + operator(lifted, contexts).transpose(1, 2).reshape(plain.shape)
        rows.append(difference(f"prior, x{scale}", cell(), plain[0]))
    with fixed_threads(), torch.inference_mode():
        sampler = model.config.sampler
        sigmas = karras_sigmas(
            sampler.steps,
            sigma_min=sampler.sigma_min,
            sigma_max=sampler.sigma_max,
            rho=sampler.rho,
        )
        noise = torch.from_numpy(cell.noise())[None]
        given = plain, noise, sigmas, 8.0, torch.ones_like(noise[:, :1])
        made = with_fast_unet(network.denoiser).sample(*given)
        rows.append(difference("denoiser, default steps", made, network.denoiser.sample(*given)))
    return rows


def difference(what: str, ours: Tensor, plain: Tensor) -> tuple[str, ...]:
    """A row of the table."""
    apart = 127.5 * (ours.double() - plain.double()).abs()
    return what, f"{apart.max():.4f}", f"{apart.square().mean().sqrt():.5f}"


def arithmetic() -> Rows:
    """Operations and bytes of the shipped model for an output pixel, and the ceiling's share."""
    model, best = zoo.load("aerial"), ceilings()
    network = model.network
    if not isinstance(network, SceneNetwork) or network.denoiser is None:
        raise TypeError("the shipped model has both")
    rows: Rows = [
        ("x4, cell without its surroundings", "MFLOP/px", "kB/px", "GFLOP/s", "of the ceiling")
    ]
    zoom, side = zoom_by(SCALE), model.config.tiles.size
    for steps in (0, model.config.steps):
        cell = Cell(prepare(model.config, network, zoom, manner(steps)), zoom, side)
        flops, values = prior_work(model.config, cell)
        if steps:
            more = denoiser_work(with_fast_unet(network.denoiser.unet), len(cell.along.positions))
            flops, values = flops + steps * more[0], values + steps * more[1]
        reached = flops / median(cell) / 1e9
        rows.append(
            (
                f"{steps} steps",
                f"{flops / side**2 / 1e6:.3f}",
                f"{4 * values / side**2 / 1e3:.2f}",
                f"{reached:.0f}",
                f"{reached / best['convolution']:.0%}",
            )
        )
    rows.append(
        (
            "machine: product / convolution GFLOP/s, copy GB/s",
            "",
            "",
            f"{best['product']:.0f} / {best['convolution']:.0f}",
            f"{best['copy']:.0f}",
        )
    )
    return rows


def prior_work(config: ModelConfig, cell: Cell) -> tuple[float, float]:
    """Operations, and values that layers read and write, of the prior on a cell."""
    channels, width = config.encoder.channels, config.operator.width
    layers = [(3, channels), *((channels, channels) for _ in range(2 * config.encoder.blocks + 1))]
    sides = [cell.along.count - 2 - 2 * i for i in range(len(layers))]
    flops = sum(2 * 9 * a * b * n**2 for (a, b), n in zip(layers, sides, strict=True))
    values = sum((a + b) * n**2 for (a, b), n in zip(layers, sides, strict=True))
    queries = len(cell.along.positions) ** 2
    flops += 2 * sides[-1] ** 2 * 4 * channels * 3 * width
    flops += 2 * queries * (3 * width**2 + 3 * width)
    return flops, values + queries * 3 * width


def denoiser_work(unet: torch.nn.Module, side: int) -> tuple[float, float]:
    """The same of one evaluation of the denoiser."""
    values = 0

    def note(_: torch.nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal values
        values += given[0].numel() + made.numel()

    for layer in unet.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    image = torch.zeros(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        unet(image, image, torch.zeros(1, 2))
    return counter.get_total_flops(), values
