"""Run the networks of a model on one cell: source pixels in, output pixels out, network values.

Both kinds of model, ``scene`` and ``paper``, have the interface :class:`Inference`, so that no
other module distinguishes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from rs_superres.config import UNKNOWN, ModelConfig, SourceQuality
from rs_superres.diffusion.samplers import ddim, dpm_solver
from rs_superres.diffusion.schedule import LinearSchedule
from rs_superres.errors import InputError
from rs_superres.grid import AxisSupport, Zoom
from rs_superres.image.resampling import cubic
from rs_superres.nets.build import NeurOpDiff, SceneNetwork
from rs_superres.nets.fast_unet import with_fast_unet
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.paper_contexts import paper_grid
from rs_superres.nets.prior import FoldedPrior, PaperPrior, scene_samples
from rs_superres.nets.texture import Draw, Sampler
from rs_superres.system.devices import ComputeSettings
from rs_superres.types import Floats

Noise = Callable[[], Floats]
"""Draws the standard normal noise of one sample: (3, y, x) of a cell and its margin."""


class CellInput(NamedTuple):
    """What a network computes a cell and its margin from."""

    image: Floats
    """(3, y, x) network values of the source pixels of ``rows`` and ``columns``."""
    rows: AxisSupport
    """The source rows of ``image``, and the output rows among them."""
    columns: AxisSupport
    """The source columns of ``image``, and the output columns among them."""
    noises: Sequence[Noise]
    """Draw the noise of each sample; not called if there are no steps."""
    quality: SourceQuality = UNKNOWN
    """Blur and noise of the source."""

    @property
    def image_on_axes(self) -> tuple[Floats, AxisSupport, AxisSupport]:
        """The image, its rows and its columns."""
        return self.image, self.rows, self.columns


class Drawn(NamedTuple):
    """What a network computes for a cell and its margin."""

    samples: Iterator[Floats]
    """(3, Y, X) network values of each sample, one for each noise."""
    deviation: Floats | None = None
    """(3, Y, X) the predicted standard deviation of the prior's error, network values; None if the
    network predicts none, or is not asked to."""


class Inference(Protocol):
    """A network, prepared for one scale."""

    halo: int
    """Source pixels around an output pixel that its value depends on."""
    margin: int
    """Output pixels that are computed around a cell and dropped."""
    valid_margin: int
    """Innermost pixels of the margin whose values are as good as those of the cell."""

    def __call__(self, cell: CellInput) -> Drawn:
        """Compute a cell and its margin."""
        ...

    def residual(self, cell: CellInput) -> Drawn:
        """Compute what the model adds to the cubic interpolation of its input.

        The samples are those of :meth:`__call__` minus the cubic interpolation of the image.
        """
        ...


def prepare(
    config: ModelConfig, network: torch.nn.Module, zoom: Zoom, compute: ComputeSettings
) -> Inference:
    """Prepare a loaded network for one scale.

    Args:
        config: the configuration of the model.
        network: its network, which moves to the device.
        zoom: the grids of source and output.
        compute: device, precision and steps.

    Raises:
        InputError: the model does not take this number of steps, or no ensemble.
        TypeError: the network is of no kind that has an inference.
    """
    steps = compute.steps
    if steps < 0:
        raise InputError(f"{steps} steps, expected 0 or more")
    if steps and config.is_prior_alone:
        raise InputError(f"{steps} steps, but this model is a prior alone; use steps=0")
    if compute.ensemble > 1 and config.kind != "scene":
        raise InputError(
            f"ensemble={compute.ensemble}, but a model of the kind {config.kind} sees an image in "
            "one orientation; leave it out"
        )
    network = network.to(compute.device)
    if isinstance(network, SceneNetwork):
        return _SceneInference(config, network, zoom, compute)
    if isinstance(network, NeurOpDiff | PaperPrior):
        if steps:  # the neural operator alone needs no U-Net
            network = with_fast_unet(network)
        return _PaperInference(config, network, zoom, compute)
    raise TypeError(f"no inference for {type(network).__name__}")


def _pixel_size(zoom: Zoom) -> Tensor:
    """The size of an output pixel, (row, column), in halves of a source pixel."""
    return torch.tensor([2 * zoom.rows.step, 2 * zoom.columns.step], dtype=torch.float64)


def _on_device(cell: CellInput, device: torch.device) -> tuple[Tensor, AxisSamples, AxisSamples]:
    """Return the image as a batch, and the output rows and columns, on a device."""
    return (
        _to_batch(cell.image, device),
        _axis_samples(cell.rows, device),
        _axis_samples(cell.columns, device),
    )


def _axis_samples(support: AxisSupport, device: torch.device) -> AxisSamples:
    """The output positions of an axis, counted from the first source pixel that is read."""
    return scene_samples(torch.from_numpy(support.positions), support.start).to(device)


class _Folded(NamedTuple):
    """The networks of the kind ``scene``, folded for sources of one quality."""

    prior: FoldedPrior
    texture: Sampler | None
    """What draws texture and predicts the error; None if neither is wanted."""


class _SceneInference:
    """The inference of the kind ``scene``: local networks with stored contexts."""

    def __init__(
        self, config: ModelConfig, network: SceneNetwork, zoom: Zoom, compute: ComputeSettings
    ) -> None:
        self._network, self._compute, self._scale = network, compute, zoom.scale
        self._pixel_size = _pixel_size(zoom)
        self._folded: dict[SourceQuality, _Folded] = {}
        self._sampler = config.sampler
        self._denoiser = network.denoiser if compute.steps or compute.uncertainty else None
        self.halo = network.prior.halo
        # The denoiser takes squares of this side for one pixel. A margin that is a multiple of it
        # keeps the squares at the same output pixels in all cells.
        side = 1 if self._denoiser is None else self._denoiser.multiple
        self.valid_margin = -(-compute.extra_margin // side) * side
        self.margin = self.valid_margin + (config.tiles.margin if self._denoiser else 0)

    def _for(self, quality: SourceQuality) -> _Folded:
        """Return the networks folded for sources of a quality; each is folded once."""
        prior, compute = self._network.prior, self._compute
        if not prior.source_aware:
            quality = UNKNOWN
        folded = self._folded.get(quality)
        if folded is None:
            texture = None
            if self._denoiser is not None:
                texture = self._denoiser.sampler(
                    self._scale, compute.steps, self._sampler.texture, quality
                )
            own = prior.folded(
                self._scale, self._pixel_size, quality, ensemble=compute.ensemble
            ).to(compute.dtype)
            folded = self._folded[quality] = _Folded(own, texture)
        return folded

    def __call__(self, cell: CellInput) -> Drawn:
        folded = self._for(cell.quality)
        draw: Draw | None = None
        deviation: Floats | None = None
        with self._compute.computing():
            tensor, rows, columns = _on_device(cell, self._compute.device)
            prior = self._network.prior.grid(tensor, rows, columns, folded.prior)
            if folded.texture is not None and self._denoiser is not None:
                draw, predicted = folded.texture(prior)
                if self._compute.uncertainty:
                    deviation = _to_array(self._denoiser.bands.deviation(predicted))
        return Drawn(self._samples(prior, draw, cell.noises), deviation)

    def _samples(
        self, prior: Tensor, draw: Draw | None, noises: Sequence[Noise]
    ) -> Iterator[Floats]:
        """Yield a sample around the prior for each noise; the prior itself without steps."""
        for noise in noises:
            sample = prior
            if draw is not None and self._compute.steps:
                with self._compute.computing():
                    sample = draw(_channels_last(_to_batch(noise(), self._compute.device)))
            yield _to_array(sample)

    def residual(self, cell: CellInput) -> Drawn:
        if self._denoiser is not None:
            return _minus_cubic(self(cell), cell)
        folded = self._for(cell.quality)
        with self._compute.computing():
            tensor, rows, columns = _on_device(cell, self._compute.device)
            detail = self._network.prior.detail(tensor, rows, columns, folded.prior)
        return Drawn(_to_array(detail) for _ in cell.noises)


class _PaperInference:
    """The inference of the kind ``paper``, whose networks take a cell with its margin for an image.

    Its results depend on where the cells lie, because its networks use statistics of the image.
    """

    def __init__(
        self,
        config: ModelConfig,
        network: NeurOpDiff | PaperPrior,
        zoom: Zoom,
        compute: ComputeSettings,
    ) -> None:
        self._prior = network.prior if isinstance(network, NeurOpDiff) else network
        self._network, self._compute = network, compute
        self._pixel_size = _pixel_size(zoom)
        sampler = config.sampler
        self._sample = {"ddim": ddim, "dpm-solver": dpm_solver}[sampler.method]
        self._schedule = LinearSchedule(
            timesteps=sampler.timesteps, beta_start=sampler.beta_start, beta_end=sampler.beta_end
        )
        # In training its networks saw nothing beyond the crop, so one pixel to interpolate from
        # is enough.
        self.halo = 1
        self.margin = config.tiles.margin
        self.valid_margin = min(compute.extra_margin, self.margin)

    def __call__(self, cell: CellInput) -> Drawn:
        with self._compute.computing():
            tensor, rows, columns = _on_device(cell, self._compute.device)
            prior = paper_grid(
                self._prior, tensor, rows, columns, self._pixel_size, self._compute.dtype
            )
        return Drawn(self._samples(prior, cell.noises))

    def _samples(self, prior: Tensor, noises: Sequence[Noise]) -> Iterator[Floats]:
        """Yield a sample around the prior for each noise; the prior itself without steps."""
        network, steps = self._network, self._compute.steps
        for noise in noises:
            sample = prior
            if steps and isinstance(network, NeurOpDiff):
                with self._compute.computing():
                    start = _channels_last(_to_batch(noise(), self._compute.device))
                    predict = partial(_predict_noise, network, prior)
                    sample = self._sample(predict, start, self._schedule, steps)
            yield _to_array(sample)

    def residual(self, cell: CellInput) -> Drawn:
        return _minus_cubic(self(cell), cell)


def _predict_noise(network: NeurOpDiff, prior: Tensor, x: Tensor, level: Tensor) -> Tensor:
    """Predict the noise in an image; arguments in the order that the samplers need."""
    return network.predict_noise(x, prior, level)


def _minus_cubic(drawn: Drawn, cell: CellInput) -> Drawn:
    """Subtract the cubic interpolation of the image from each sample."""
    base = cubic(*cell.image_on_axes)
    return drawn._replace(samples=((s - base).astype(np.float32) for s in drawn.samples))


def _to_array(batch: Tensor) -> Floats:
    """Copy the only image of a batch, (1, c, h, w), to an array, (c, h, w)."""
    image = batch[0].float()
    if image.is_cuda:
        # Into pinned memory: a copy into pageable memory goes through a small buffer.
        pinned = torch.empty(image.shape, pin_memory=True).copy_(image, non_blocking=True)
        torch.cuda.current_stream(image.device).synchronize()
        image = pinned
    array: Floats = image.cpu().numpy()
    return array


def _channels_last(image: Tensor) -> Tensor:
    """Lay an image out in memory so that convolutions are fastest."""
    return image.contiguous(memory_format=torch.channels_last)


def _to_batch(image: Floats, device: torch.device) -> Tensor:
    """Copy an image, (3, y, x), to a device as a batch, (1, 3, y, x)."""
    tensor = torch.from_numpy(np.ascontiguousarray(image))
    if device.type != "cuda":
        return tensor.to(device)[None]
    return tensor.pin_memory().to(device, non_blocking=True)[None]
