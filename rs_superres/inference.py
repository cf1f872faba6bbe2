"""A network ready for one scene: patches of the source in, cells of the result out.

Both kinds of model answer the same call, so the engine knows neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from rs_superres.config import ModelConfig
from rs_superres.diffusion.samplers import ddim
from rs_superres.diffusion.schedule import LinearSchedule, karras_sigmas
from rs_superres.errors import InputError
from rs_superres.grid import Zoom
from rs_superres.nets.build import SceneNetwork
from rs_superres.nets.denoiser import detail_kept
from rs_superres.nets.neurop import NeurOpDiff
from rs_superres.nets.operator import AxisSamples
from rs_superres.nets.prior import PaperPrior, linear, scene_samples
from rs_superres.radiometry import Floats
from rs_superres.resample import cubic
from rs_superres.threads import fixed_threads
from rs_superres.tiles import Patch

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""What networks compute in; ``auto`` is bf16 on CUDA and fp32 elsewhere."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Inference(Protocol):
    """A network at one scale."""

    halo: int
    """Source cells around an output pixel that its value depends on."""
    margin: int
    """Output pixels computed around a cell and dropped."""

    def __call__(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        """Compute one cell with its margin.

        Args:
            image: (3, y, x) network values of the patch.
            rows: the patch's rows.
            columns: the patch's columns.
            noise: draws standard normal noise shaped like the result.

        Returns:
            (3, rows, columns) network values.
        """
        ...

    def residual(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        """What the result has beside the cubic interpolation of the image; as ``__call__``."""
        ...


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first GPU if there is one.

    Raises:
        InputError: no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}, expected auto, cpu, cuda, cuda:1 or mps") from error
    there = {
        "cpu": True,
        "cuda": device.type == "cuda" and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise InputError(f"device {name!r} is not on this machine; use --device cpu")
    return device


def resolve_precision(name: Precision, device: torch.device) -> Precision:
    """The precision that ``auto`` stands for on a device."""
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return name


def prepare(
    config: ModelConfig,
    network: torch.nn.Module,
    zoom: Zoom,
    *,
    steps: int,
    device: torch.device,
    precision: Precision,
) -> Inference:
    """Make a loaded model ready for a scene.

    Raises:
        InputError: a number of steps that this model does not take.
    """
    if steps < 0:
        raise InputError(f"{steps} steps, expected 0 or more")
    if steps and config.denoiser is None:
        raise InputError(f"{steps} steps, but this model is a prior alone: use --steps 0")
    network = network.to(device)
    dtype = _DTYPES[resolve_precision(precision, device)]
    if isinstance(network, SceneNetwork):
        return _SceneInference(config, network, zoom, steps, device, dtype)
    if isinstance(network, NeurOpDiff | PaperPrior):
        return _PaperInference(config, network, zoom, steps, device, dtype)
    raise TypeError(f"no inference for {type(network).__name__}")


def _cell_size(zoom: Zoom) -> Tensor:
    """An output pixel's size in half source pixels, (row, column)."""
    return torch.tensor([2 * zoom.rows.step, 2 * zoom.columns.step], dtype=torch.float64)


def _samples(patch: Patch, device: torch.device) -> AxisSamples:
    """A patch's positions among its own cells."""
    return scene_samples(torch.from_numpy(patch.positions), patch.start).to(device)


class _SceneInference:
    """The shipped kind."""

    def __init__(
        self,
        config: ModelConfig,
        network: SceneNetwork,
        zoom: Zoom,
        steps: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._network, self._device, self._dtype = network, device, dtype
        self._scale = zoom.scale
        self._folded = network.prior.folded(zoom.scale, _cell_size(zoom))
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
        self.margin = config.tiles.margin if steps else 0

    def __call__(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        tensor = _batch(image, self._device)
        with fixed_threads(), torch.inference_mode(), _autocast(self._device, self._dtype):
            places = _samples(rows, self._device), _samples(columns, self._device)
            out = self._network.prior.grid(tensor, *places, self._folded)
            if self._sigmas and self._network.denoiser is not None:
                kept = linear(detail_kept(tensor, self._flat), *places)
                out = self._network.denoiser.sample(
                    out, _batch(noise(), self._device), self._sigmas, self._scale, kept
                )
        result: Floats = out[0].float().cpu().numpy()
        return result

    def residual(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        if self._sigmas:
            return _beside_cubic(self(image, rows, columns, noise), image, rows, columns)
        with fixed_threads(), torch.inference_mode(), _autocast(self._device, self._dtype):
            places = _samples(rows, self._device), _samples(columns, self._device)
            out = self._network.prior.detail(_batch(image, self._device), *places, self._folded)
        result: Floats = out[0].float().cpu().numpy()
        return result


class _PaperInference:
    """The paper's kind: the cell and its margin are the whole image to its networks."""

    def __init__(
        self,
        config: ModelConfig,
        network: NeurOpDiff | PaperPrior,
        zoom: Zoom,
        steps: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._prior = network.prior if isinstance(network, NeurOpDiff) else network
        self._network, self._device, self._dtype, self._steps = network, device, dtype, steps
        self._cell = _cell_size(zoom)
        sampler = config.sampler
        self._schedule = LinearSchedule(
            timesteps=sampler.timesteps, beta_start=sampler.beta_start, beta_end=sampler.beta_end
        )
        # Its networks saw nothing beyond the patch in training either: no halo.
        self.halo = 1
        self.margin = config.tiles.margin

    def __call__(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        tensor = _batch(image, self._device)
        with fixed_threads(), torch.inference_mode(), _autocast(self._device, self._dtype):
            prior = self._prior.grid(
                tensor, _samples(rows, self._device), _samples(columns, self._device), self._cell
            )
            out = prior
            if self._steps and isinstance(self._network, NeurOpDiff):
                network = self._network
                out = ddim(
                    lambda x, level: network.predict_noise(x, prior, level),
                    _batch(noise(), self._device),
                    self._schedule,
                    self._steps,
                )
        result: Floats = out[0].float().cpu().numpy()
        return result

    def residual(
        self, image: Floats, rows: Patch, columns: Patch, noise: Callable[[], Floats]
    ) -> Floats:
        return _beside_cubic(self(image, rows, columns, noise), image, rows, columns)


def _beside_cubic(result: Floats, image: Floats, rows: Patch, columns: Patch) -> Floats:
    """A result less the cubic interpolation of its image."""
    base = cubic(image, rows, columns)
    beside: Floats = (result - base).astype(np.float32)
    return beside


def _batch(image: Floats, device: torch.device) -> Tensor:
    """One image as a batch on a device: (1, 3, y, x)."""
    return torch.from_numpy(np.ascontiguousarray(image)).to(device)[None]


def _autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision, or none for float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
