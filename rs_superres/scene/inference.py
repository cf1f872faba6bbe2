"""A network ready for one scene: patches of the source in, cells of the result out.

Both kinds of model answer the same call, so the engine knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rs_superres.config import ModelConfig
from rs_superres.diffusion.samplers import ddim, dpm_solver
from rs_superres.diffusion.schedule import LinearSchedule, karras_sigmas
from rs_superres.errors import InputError
from rs_superres.grid import AxisSupport, Zoom
from rs_superres.image.resampling import cubic
from rs_superres.nets.build import NeurOpDiff, SceneNetwork
from rs_superres.nets.denoiser import detail_kept
from rs_superres.nets.fast_unet import with_fast_unet
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.paper_contexts import paper_grid
from rs_superres.nets.prior import PaperPrior, linear, scene_samples
from rs_superres.system.devices import ComputeSettings
from rs_superres.types import Floats

Noise = Callable[[], Floats]
"""Draws the standard normal noise of one sample, shaped like the result."""


class Inference(Protocol):
    """A network at one scale."""

    halo: int
    """Source cells around an output pixel that its value depends on."""
    margin: int
    """Output pixels computed around a cell and dropped."""
    valid_margin: int
    """Of those, the nearest to the cell, whose values are as good as the cell's."""

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """Compute one cell with its margin, a sample for each noise.

        Args:
            image: (3, y, x) network values of the patch.
            rows: the patch's rows.
            columns: the patch's columns.
            noises: of the samples.

        Yields:
            (3, rows, columns) network values.
        """
        ...

    def residual(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """What results have beside the cubic interpolation of the image; as ``__call__``."""
        ...


def prepare(
    config: ModelConfig, network: torch.nn.Module, zoom: Zoom, manner: ComputeSettings
) -> Inference:
    """Make a loaded model ready for a scene.

    Raises:
        InputError: a number of steps that this model does not take.
    """
    steps = manner.steps
    if steps < 0:
        raise InputError(f"{steps} steps, expected 0 or more")
    if steps and config.denoiser is None:
        raise InputError(f"{steps} steps, but this model is a prior alone: use --steps 0")
    network = network.to(manner.device)
    if steps:  # the prior alone has no U-Net
        network = with_fast_unet(network)
    if isinstance(network, SceneNetwork):
        return _SceneInference(config, network, zoom, manner)
    if isinstance(network, NeurOpDiff | PaperPrior):
        return _PaperInference(config, network, zoom, manner)
    raise TypeError(f"no inference for {type(network).__name__}")


def _cell_size(zoom: Zoom) -> Tensor:
    """An output pixel's size in half source pixels, (row, column)."""
    return torch.tensor([2 * zoom.rows.step, 2 * zoom.columns.step], dtype=torch.float64)


def _samples(patch: AxisSupport, device: torch.device) -> AxisSamples:
    """A patch's positions among its own cells."""
    return scene_samples(torch.from_numpy(patch.positions), patch.start).to(device)


class _SceneInference:
    """The shipped kind."""

    def __init__(
        self,
        config: ModelConfig,
        network: SceneNetwork,
        zoom: Zoom,
        manner: ComputeSettings,
    ) -> None:
        self._network, self._manner = network, manner
        steps, extra_margin = manner.steps, manner.extra_margin
        self._scale = zoom.scale
        self._folded = network.prior.folded(zoom.scale, _cell_size(zoom)).to(manner.dtype)
        sampler = config.sampler
        self._sigmas = (
            []
            if steps == 0
            else karras_sigmas(
                steps,
                sigma_min=sampler.sigma_min,
                sigma_max=sampler.sigma_max,
                rho=sampler.rho,
            )
        )
        self._flat = sampler.flat
        self.halo = network.prior.halo
        # The U-Net's coarsest squares lie alike in all cells.
        squares = network.denoiser.unet.multiple if steps and network.denoiser else 1
        self.valid_margin = -(-extra_margin // squares) * squares
        self.margin = self.valid_margin + (config.tiles.margin if steps else 0)

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        denoiser = self._network.denoiser
        with self._manner.computing():
            tensor = _batch(image, self._manner.device)
            places = _samples(rows, tensor.device), _samples(columns, tensor.device)
            prior = self._network.prior.grid(tensor, *places, self._folded)
            kept = linear(detail_kept(tensor, self._flat), *places) if self._sigmas else prior
        for noise in noises:
            out = prior
            if self._sigmas and denoiser is not None:
                with self._manner.computing():
                    start = _channels_last(_batch(noise(), self._manner.device))
                    out = denoiser.sample(prior, start, self._sigmas, self._scale, kept)
            yield _array(out)

    def residual(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        if self._sigmas:
            yield from _beside_cubic(self(image, rows, columns, noises), image, rows, columns)
            return
        with self._manner.computing():
            tensor = _batch(image, self._manner.device)
            places = _samples(rows, tensor.device), _samples(columns, tensor.device)
            out = self._network.prior.detail(tensor, *places, self._folded)
        for _ in noises:
            yield _array(out)


class _PaperInference:
    """The paper's kind: the cell and its margin are the whole image to its networks."""

    def __init__(
        self,
        config: ModelConfig,
        network: NeurOpDiff | PaperPrior,
        zoom: Zoom,
        manner: ComputeSettings,
    ) -> None:
        self._prior = network.prior if isinstance(network, NeurOpDiff) else network
        self._network, self._manner = network, manner
        self._cell = _cell_size(zoom)
        sampler = config.sampler
        self._follow = {"ddim": ddim, "dpm-solver": dpm_solver}[sampler.method]
        self._schedule = LinearSchedule(
            timesteps=sampler.timesteps, beta_start=sampler.beta_start, beta_end=sampler.beta_end
        )
        # Its networks saw nothing beyond the patch in training either: no halo.
        self.halo = 1
        self.margin = config.tiles.margin
        self.valid_margin = min(manner.extra_margin, self.margin)

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        network = self._network
        with self._manner.computing():
            tensor = _batch(image, self._manner.device)
            places = _samples(rows, tensor.device), _samples(columns, tensor.device)
            prior = paper_grid(self._prior, tensor, *places, self._cell, self._manner.dtype)
        for noise in noises:
            out = prior
            if self._manner.steps and isinstance(network, NeurOpDiff):
                with self._manner.computing():
                    start = _channels_last(_batch(noise(), self._manner.device))
                    out = self._follow(
                        partial(_noise_in, network, prior),
                        start,
                        self._schedule,
                        self._manner.steps,
                    )
            yield _array(out)

    def residual(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        yield from _beside_cubic(self(image, rows, columns, noises), image, rows, columns)


def _noise_in(network: NeurOpDiff, prior: Tensor, x: Tensor, level: Tensor) -> Tensor:
    """The noise that a network finds in an image."""
    return network.predict_noise(x, prior, level)


def _beside_cubic(
    results: Iterator[Floats], image: Floats, rows: AxisSupport, columns: AxisSupport
) -> Iterator[Floats]:
    """Results less the cubic interpolation of their image."""
    base = cubic(image, rows, columns)
    for result in results:
        yield (result - base).astype(np.float32)


def _array(out: Tensor) -> Floats:
    """The one image of a batch, (c, h, w), as an array."""
    made = out[0].float()
    if made.is_cuda:
        # Pageable memory would be copied to by way of a small buffer.
        host = torch.empty(made.shape, pin_memory=True).copy_(made, non_blocking=True)
        torch.cuda.current_stream(made.device).synchronize()
        made = host
    result: Floats = made.cpu().numpy()
    return result


def _channels_last(image: Tensor) -> Tensor:
    """The same image, laid out as convolutions are fastest."""
    return image.contiguous(memory_format=torch.channels_last)


def _batch(image: Floats, device: torch.device) -> Tensor:
    """One image as a batch on a device: (1, 3, y, x)."""
    tensor = torch.from_numpy(np.ascontiguousarray(image))
    if device.type != "cuda":
        return tensor.to(device)[None]
    return tensor.pin_memory().to(device, non_blocking=True)[None]
