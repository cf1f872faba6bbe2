"""Training batches: random crops of scenes with their low-resolution versions.

Each batch is a function of a key (seed, phase, step): any process can draw any batch, in any order,
and always gets the same one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rs_superres.config import Kernel
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.image.degradation import (
    effective_mtf,
    jpeg,
    kernel_matrix,
    sharpened,
    sharpened_mtf,
)
from rs_superres.image.radiometry import ValueRange
from rs_superres.nets.source import Qualities
from rs_superres.raster import SkippedFile
from rs_superres.scene.bands import BandGroup
from rs_superres.training.config import DataConfig, DegradationConfig
from rs_superres.training.scenes import TrainingScene
from rs_superres.types import Doubles, Floats

logger = logging.getLogger(__name__)

ANISOTROPY = (0.85, 1.15)
"""Range of the ratio of a sensor's modulation transfer along columns and along rows."""

LARGEST_SHRINKING = 2.0
"""Largest factor by which a crop is shrunk before it is degraded."""

GIVEN_ERRORS = (0.1, 0.2)
"""Relative standard errors of the blur and the noise that a network is given in training."""

TRIES = 200
"""Windows that are tried for a crop before the batch is given up."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """What makes the low resolution of a crop, apart from rounding and compression."""

    rows: Doubles
    """(h, p) the kernel along the rows' axis, without the second interpolation."""
    columns: Doubles
    """(h, p) the kernel along the columns' axis."""
    warp: tuple[Doubles, Doubles] | None = None
    """(h, h) the second interpolation, along both axes; None for none."""
    noise: float = 0.0
    """Standard deviation of noise, network values."""
    dependence: float = 0.0
    """Share of the noise's variance that is proportional to the signal."""
    amount: float = 0.0
    """Amount of the unsharp mask."""
    radius: float = 1.0
    """Standard deviation of the unsharp mask's Gaussian, low-resolution pixels."""

    @property
    def mtf(self) -> float:
        """Modulation transfer of all linear parts; see :func:`effective_mtf`."""
        rows, columns = self.rows, self.columns
        if self.warp is not None:
            rows, columns = self.warp[0] @ rows, self.warp[1] @ columns
        blur = math.sqrt(effective_mtf(rows) * effective_mtf(columns))
        return sharpened_mtf(blur, self.amount, self.radius)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSubset:
    """The rows and columns of the crops that a batch keeps."""

    side: int
    """Pixels on a side of the complete crops."""
    indices: tuple[Tensor, Tensor]
    """The rows and the columns that are kept: (n,) int64 each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Crops of one scale, in network values."""

    low: Tensor
    """(b, 3, h, h) low resolution, rounded as a file of the scene's dtype would store it."""
    high: Tensor
    """(b, 3, p, p) crops, or (b, 3, rows, columns) if ``subset`` is given."""
    phase: tuple[float, float] = (0.0, 0.0)
    """Shift of the low-resolution grid (rows, columns), in low-resolution pixels."""
    qualities: Qualities | None = None
    """The true blur and noise of ``low``; None if unknown."""
    given: Qualities | None = None
    """The blur and noise that a source-aware network is given as inputs; None for none of them."""
    subset: PixelSubset | None = None
    """The rows and columns that ``high`` holds; None if it holds the complete crops."""
    unreadable: tuple[SkippedFile, ...] = ()
    """Files that could not be read when a crop was drawn; an entry for each failed attempt."""

    def positions(self, axis: int) -> Tensor:
        """Return the positions of the pixels of ``high`` along an axis of ``low``.

        Args:
            axis: 0 for rows, 1 for columns.

        Returns:
            (n,) float64 in low-resolution pixels; the centre of the first one is 0.
        """
        low_side, side = self.low.shape[-1], self.side
        even = (2 * torch.arange(side, dtype=torch.float64) + 1) * low_side / (2 * side) - 0.5
        kept = even if self.subset is None else even[self.subset.indices[axis]]
        return kept - self.phase[axis]

    @property
    def side(self) -> int:
        """Pixels on a side of the complete crops."""
        return self.high.shape[-1] if self.subset is None else self.subset.side

    @property
    def scale(self) -> float:
        """The exact scale: pixels of a complete crop per low-resolution pixel."""
        return self.side / self.low.shape[-1]

    def select(self, rows: Tensor, columns: Tensor) -> Batch:
        """Return a batch that keeps some rows and columns of complete crops in ``high``.

        Args:
            rows: (n,) int64 rows of the complete crops.
            columns: (n,) int64 columns of the complete crops.
        """
        subset = PixelSubset(side=self.side, indices=(rows, columns))
        return replace(self, high=self.high[:, :, rows][:, :, :, columns], subset=subset)

    def with_given(self, chance: Random, share: float) -> Batch:
        """Return the batch with estimates of some blurs and noises as the network's inputs.

        Args:
            chance: draws the crops, and the errors of the estimates; see :data:`GIVEN_ERRORS`.
            share: share of the crops for which the blur is given, and for which the noise is given.
        """
        if self.qualities is None:
            return self
        given = []
        for true, error in zip(self.qualities, GIVEN_ERRORS, strict=True):
            factor = np.exp(error * chance.standard_normal(len(true)))
            factor[chance.random(len(true)) >= share] = np.nan
            given.append(true * torch.from_numpy(factor).to(true))
        return replace(self, given=Qualities(*given))

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, with ``low`` in channels-last layout for convolutions."""
        non_blocking = device.type == "cuda"
        low = self.low.to(device, non_blocking=non_blocking, memory_format=torch.channels_last)
        return replace(
            self,
            low=low,
            high=self.high.to(device, non_blocking=non_blocking),
            qualities=None if self.qualities is None else self.qualities.to(device),
            given=None if self.given is None else self.given.to(device),
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from which a GPU copies asynchronously."""
        return replace(self, low=self.low.pin_memory(), high=self.high.pin_memory())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crop:
    """One crop, before it is downsampled."""

    values: Floats
    """(3, p, p) network values."""
    value_range: ValueRange
    dtype: str


class Crops:
    """Random crops of scenes; the probability of a scene is proportional to its area.

    Windows with invalid pixels are not used. If a scene cannot be read, it is listed in
    :attr:`Batch.unreadable` and another window is drawn.

    Args:
        scenes: the scenes to take crops from.
        data: crop sizes and colour augmentation.
        degradation: how the crops are downsampled.
    """

    def __init__(
        self, scenes: Sequence[TrainingScene], data: DataConfig, degradation: DegradationConfig
    ) -> None:
        self._scenes, self._data, self._degradation = scenes, data, degradation
        self._areas = np.array([s.area.height * s.area.width for s in scenes], dtype=np.float64)
        self._sides = np.array([min(s.area.height, s.area.width) for s in scenes])
        self.largest = min(data.largest_crop, int(self._sides.max()))
        """Largest side of a crop in pixels: the configured one, or that of the largest scene."""

    def batch(self, key: Sequence[int], count: int, low_side: int, scale: float) -> Batch:
        """Draw a batch.

        Args:
            key: random key; the same key gives the same batch.
            count: number of crops.
            low_side: low-resolution pixels on a side of a crop. Fewer are taken if the crop would
                be larger than :attr:`largest`.
            scale: approximate scale; :attr:`Batch.scale` is the exact one.

        Raises:
            InputError: no window without nodata was found.
        """
        started = time.monotonic()
        chance = np.random.default_rng(list(key))
        low_side = min(low_side, int(self.largest / scale))
        side = round(low_side * scale)
        unreadable: list[SkippedFile] = []
        crops = [self._crop(chance, side, unreadable) for _ in range(count)]
        phase = self._draw_phase(chance)
        low, mtf, noise = [], [], []
        for crop in crops:
            degradation = self._draw_degradation(chance, low_side, side, phase)
            image, deviation = self._degrade(chance, crop, degradation)
            low.append(image)
            mtf.append(degradation.mtf)
            noise.append(deviation)
        logger.debug(
            "drew batch %s: %d crops of %d pixels a side at x%.3g in %.3f s",
            key, count, side, scale, time.monotonic() - started,
        )  # fmt: skip
        qualities = Qualities(torch.tensor(mtf), torch.tensor(noise))
        return Batch(
            low=torch.from_numpy(np.stack(low)),
            high=torch.from_numpy(np.stack([crop.values for crop in crops])),
            phase=phase,
            qualities=qualities,
            given=qualities,
            unreadable=tuple(unreadable),
        )

    def _draw_phase(self, chance: Random) -> tuple[float, float]:
        """Draw the shift of the low-resolution grid, which all crops of a batch share."""
        config = self._degradation
        if not config.gaussian or chance.random() >= config.shifted:
            return 0.0, 0.0
        return float(chance.uniform(-0.5, 0.5)), float(chance.uniform(-0.5, 0.5))

    def _draw_degradation(
        self, chance: Random, low_side: int, side: int, phase: tuple[float, float]
    ) -> Degradation:
        """Draw the degradation of a crop with the configured probabilities."""
        config = self._degradation
        kernels, shares = [*config.shares], np.cumsum([*config.shares.values()])
        drawn = int(np.searchsorted(shares, chance.random() * shares[-1], side="right"))
        kernel = kernels[min(drawn, len(kernels) - 1)]
        mtf = chance.uniform(*config.mtf)
        mtfs = mtf, min(mtf * chance.uniform(*ANISOTROPY), 0.99)
        shift, warp = (0.0, 0.0), None
        if chance.random() < config.resampled:
            # On a grid of the same pixels, the area mean interpolates linearly.
            again: Kernel = "area" if chance.random() < 0.5 else "bicubic"
            shift = float(chance.uniform(-0.5, 0.5)), float(chance.uniform(-0.5, 0.5))
            warp = (
                kernel_matrix(again, low_side, low_side, phase=shift[0]),
                kernel_matrix(again, low_side, low_side, phase=shift[1]),
            )
        # The second interpolation moves the grid back by the shift.
        rows, columns = (
            kernel_matrix(kernel, low_side, side, phase=p - moved, mtf=m)
            for p, moved, m in zip(phase, shift, mtfs, strict=True)
        )
        noisy, sharper = chance.random() < config.noisy, chance.random() < config.sharpened
        return Degradation(
            rows=rows,
            columns=columns,
            warp=warp,
            noise=2 * chance.uniform(0, config.noise) if noisy else 0.0,
            dependence=chance.uniform(0, 1) if noisy else 0.0,
            amount=chance.uniform(*config.sharpening) if sharper else 0.0,
            radius=chance.uniform(0.5, 1.5),
        )

    def _degrade(
        self, chance: Random, crop: _Crop, degradation: Degradation
    ) -> tuple[Floats, float]:
        """Degrade a crop, and round it as a file of its dtype would store it.

        Args:
            chance: draws noise and compression.
            crop: (3, p, p) network values.
            degradation: what makes the low resolution.

        Returns:
            (3, h, h) network values, and the RMS error of these values: what noise, rounding and
            compression added.
        """
        images = [_product(degradation.rows, crop.values, degradation.columns)]
        if degradation.noise:
            images.append(images[0] + _noise(chance, images[0], degradation))
        if degradation.warp is not None:
            rows, columns = degradation.warp
            images = [_product(rows, image, columns) for image in images]
        if degradation.amount:
            images = [sharpened(i, degradation.amount, degradation.radius) for i in images]
        pure, low = images[0], images[-1]
        dtype = np.dtype(crop.dtype)
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            numbers = np.rint(crop.value_range.from_network(low)).clip(limits.min, limits.max)
            if dtype == np.uint8 and chance.random() < self._degradation.compressed:
                numbers = jpeg(numbers, chance.uniform(*self._degradation.quality))
            low = crop.value_range.to_network(numbers)
        return low, float(np.sqrt(np.square(low - pure).mean(dtype=np.float64)))

    def _crop(self, chance: Random, side: int, unreadable: list[SkippedFile]) -> _Crop:
        """Draw a crop and augment it.

        Args:
            chance: draws scene, window and augmentation.
            side: pixels on a side.
            unreadable: files that cannot be read are appended to it.

        Raises:
            InputError: no window without nodata was found.
        """
        wanted = side
        if chance.random() < self._degradation.rescaled:
            side = int(min(side * chance.uniform(1, LARGEST_SHRINKING), self.largest))
        areas = self._areas * (self._sides >= side)
        probabilities = areas / areas.sum()
        for _ in range(TRIES):
            scene = self._scenes[chance.choice(len(self._scenes), p=probabilities)]
            rows, columns = scene.area.height - side + 1, scene.area.width - side + 1
            group = _draw_group(scene.groups, chance)
            row, column = chance.integers(rows), chance.integers(columns)
            window = Window(scene.area.row + int(row), scene.area.column + int(column), side, side)
            try:
                values, valid = scene.read(window, group.bands)
            except RasterError as error:
                unreadable.append(SkippedFile(path=scene.path, reason=str(error)))
                continue
            if valid.all():
                crop = self._augment(chance, group.value_range.to_network(values))
                if side > wanted:
                    shrink = kernel_matrix("bicubic", wanted, side)
                    crop = _product(shrink, crop, shrink)
                return _Crop(values=crop, value_range=group.value_range, dtype=scene.dtype)
        raise InputError(
            f"no window of {side} x {side} pixels without nodata in {TRIES} tries; lower "
            "largest_crop in [data] of the configuration, or leave out scenes with many holes"
        )

    def _augment(self, chance: Random, crop: Floats) -> Floats:
        """Flip and transpose a crop at random, and vary its colours.

        A single band is repeated three times. The bands of a triplet are sometimes shuffled, or one
        of them is repeated three times.

        Args:
            chance: draws the augmentation.
            crop: (1 or 3, p, p) network values.

        Returns:
            (3, p, p) network values.
        """
        down, across, transposed = chance.integers(2, size=3)
        crop = crop[:, :: 1 - 2 * down, :: 1 - 2 * across]
        if transposed:
            crop = crop.transpose(0, 2, 1)
        if len(crop) == 1:
            crop = crop[[0, 0, 0]]
        elif chance.random() < self._data.grey:
            band = chance.integers(3)
            crop = crop[chance.permutation(3)] if chance.random() < 0.5 else crop[[band] * 3]
        if self._data.constant and chance.random() < self._data.constant:
            crop = np.broadcast_to(crop[:, :1, :1], crop.shape)
        return np.ascontiguousarray(crop)


def _noise(chance: Random, image: Floats, degradation: Degradation) -> Floats:
    """Draw the noise of an image, (3, y, x) network values.

    Grey, one band repeated three times, has the same noise in all three.
    """
    grey = bool((image == image[:1]).all())
    white = chance.standard_normal((1 if grey else 3, *image.shape[1:]), dtype=np.float32)
    level = np.sqrt(1 + degradation.dependence * np.clip(image, -1, 1))
    noise: Floats = np.float32(degradation.noise) * level * white
    return noise


def _product(rows: Doubles, image: Floats, columns: Doubles) -> Floats:
    """Apply a separable linear map, (m, p) rows and (n, q) columns, to an image, (3, p, q)."""
    # With torch, which keeps to one thread in a worker process; NumPy would use every core.
    down, across = (torch.from_numpy(matrix).float() for matrix in (rows, columns))
    product: Floats = (down @ torch.from_numpy(image) @ across.T).numpy()
    return product


def _draw_group(groups: Sequence[BandGroup], chance: Random) -> BandGroup:
    """Draw a band group with a probability proportional to its number of bands."""
    weights = np.array([len(g.bands) for g in groups], dtype=np.float64)
    return groups[chance.choice(len(groups), p=weights / weights.sum())]


def draw_scale(key: Sequence[int], scales: tuple[float, float]) -> float:
    """Draw a scale, uniform in its logarithm.

    Args:
        key: random key; the same key gives the same scale.
        scales: the smallest and the largest scale.
    """
    low, high = map(math.log, scales)
    return math.exp(np.random.default_rng([*key, 1]).uniform(low, high))
