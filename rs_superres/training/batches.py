"""Training batches: random crops of scenes with their low-resolution versions.

Each batch is a function of a key (seed, phase, step): any process can draw any batch, in any order,
and always gets the same one.
"""

from __future__ import annotations

import io
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rs_superres.config import Kernel
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.image.degradation import kernel_matrix
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import SkippedFile
from rs_superres.scene.bands import BandGroup
from rs_superres.training.config import DataConfig, DegradationConfig
from rs_superres.training.scenes import TrainingScene
from rs_superres.types import Doubles, Floats

logger = logging.getLogger(__name__)

TRIES = 200
"""Windows that are tried for a crop before the batch is given up."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """The degradation that makes the low resolution of a batch."""

    kernel: Kernel
    mtf: float = 0.25
    """Modulation transfer of the Gaussian kernel at the Nyquist frequency."""
    phase: tuple[float, float] = (0.0, 0.0)
    """Shift of the low-resolution grid (rows, columns), in low-resolution pixels."""
    noise: float = 0.0
    """Standard deviation of white noise, network values."""


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

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, with ``low`` in channels-last layout for convolutions."""
        non_blocking = device.type == "cuda"
        low = self.low.to(device, non_blocking=non_blocking, memory_format=torch.channels_last)
        return replace(self, low=low, high=self.high.to(device, non_blocking=non_blocking))

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
        degradation = self._draw_degradation(chance)
        rows, columns = (
            torch.from_numpy(
                kernel_matrix(degradation.kernel, low_side, side, phase=p, mtf=degradation.mtf)
            ).float()
            for p in degradation.phase
        )
        low = np.stack(
            [self._downsample(chance, crop, (rows, columns), degradation.noise) for crop in crops]
        )
        high = np.stack([crop.values for crop in crops])
        logger.debug(
            "drew batch %s: %d crops of %d pixels a side at x%.3g in %.3f s",
            key, count, side, scale, time.monotonic() - started,
        )  # fmt: skip
        return Batch(
            low=torch.from_numpy(low),
            high=torch.from_numpy(high),
            phase=degradation.phase,
            unreadable=tuple(unreadable),
        )

    def _draw_degradation(self, chance: Random) -> Degradation:
        """Draw a degradation with the configured probabilities."""
        config = self._degradation
        kernels, shares = [*config.shares], np.cumsum([*config.shares.values()])
        drawn = int(np.searchsorted(shares, chance.random() * shares[-1], side="right"))
        kernel = kernels[min(drawn, len(kernels) - 1)]
        noise = 2 * chance.uniform(0, config.noise) if chance.random() < config.noisy else 0.0
        if kernel != "gaussian":
            return Degradation(kernel=kernel, noise=noise)
        phase = chance.uniform(-0.5, 0.5, 2)
        return Degradation(
            kernel=kernel,
            mtf=chance.uniform(*config.mtf),
            phase=(float(phase[0]), float(phase[1])),
            noise=noise,
        )

    def _downsample(
        self, chance: Random, crop: _Crop, kernels: tuple[Tensor, Tensor], noise: float
    ) -> Floats:
        """Downsample a crop and round it as a file of its dtype would store it.

        Args:
            chance: draws noise and compression.
            crop: (3, p, p) network values.
            kernels: (h, p) matrices for the rows and for the columns.
            noise: standard deviation of white noise, network values.

        Returns:
            (3, h, h) network values.
        """
        rows, columns = kernels
        # With torch, which keeps to one thread in a worker process; NumPy would use every core.
        low: Floats = (rows @ torch.from_numpy(crop.values) @ columns.T).numpy()
        if noise:
            low = low + noise * chance.standard_normal(low.shape, dtype=np.float32)
        dtype = np.dtype(crop.dtype)
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            numbers = np.rint(crop.value_range.from_network(low)).clip(limits.min, limits.max)
            if dtype == np.uint8 and chance.random() < self._degradation.compressed:
                numbers = _compress(numbers, chance.uniform(*self._degradation.quality))
            low = crop.value_range.to_network(numbers)
        return low

    def _crop(self, chance: Random, side: int, unreadable: list[SkippedFile]) -> _Crop:
        """Draw a crop and augment it.

        Args:
            chance: draws scene, window and augmentation.
            side: pixels on a side.
            unreadable: files that cannot be read are appended to it.

        Raises:
            InputError: no window without nodata was found.
        """
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
        return np.ascontiguousarray(crop)


def _draw_group(groups: Sequence[BandGroup], chance: Random) -> BandGroup:
    """Draw a band group with a probability proportional to its number of bands."""
    weights = np.array([len(g.bands) for g in groups], dtype=np.float64)
    return groups[chance.choice(len(groups), p=weights / weights.sum())]


def _compress(numbers: Doubles, quality: float) -> Doubles:
    """Compress an 8-bit image as JPEG and decompress it: (3, y, x) digital numbers."""
    picture = Image.fromarray(numbers.astype(np.uint8).transpose(1, 2, 0))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=round(quality))
    with Image.open(file) as opened:
        return np.asarray(opened).transpose(2, 0, 1).astype(np.float64)


def draw_scale(key: Sequence[int], scales: tuple[float, float]) -> float:
    """Draw a scale, uniform in its logarithm.

    Args:
        key: random key; the same key gives the same scale.
        scales: the smallest and the largest scale.
    """
    low, high = map(math.log, scales)
    return math.exp(np.random.default_rng([*key, 1]).uniform(low, high))
