"""Training batches: random crops of scenes, and their low resolution.

All chance comes from a key (seed, phase, step): a batch can be drawn alone, in any order, by any
process, and is always the same.
"""

from __future__ import annotations

import io
import math
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
from rs_superres.scene.bands import BandGroup
from rs_superres.training.config import DataConfig, DegradationConfig
from rs_superres.training.scenes import SkippedFile, TrainingScene
from rs_superres.types import Doubles, Floats

TRIES = 200
"""Windows that are drawn before a crop is given up."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """How the low resolution of a batch is made."""

    kernel: Kernel
    mtf: float = 0.25
    """Of the Gaussian."""
    phase: tuple[float, float] = (0.0, 0.0)
    """By how much of a cell the cells stand shifted, (rows, columns)."""
    noise: float = 0.0
    """Deviation of white noise, network values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is left of crops."""

    pixels: int
    """Of a whole crop's side."""
    kept: tuple[Tensor, Tensor]
    """Its rows, and its columns, that are left: (n,) int64 each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Crops of one magnification, in network values."""

    low: Tensor
    """(b, 3, h, h), rounded as a file of the scene's dtype holds it."""
    high: Tensor
    """(b, 3, p, p)."""
    phase: tuple[float, float] = (0.0, 0.0)
    """By how much of a cell the cells stand shifted, (rows, columns)."""
    cut: Cut | None = None
    """Where ``high`` holds some rows and columns of the crops alone: (b, 3, rows, columns)."""
    lost: tuple[SkippedFile, ...] = ()
    """Files that could not be read where a crop was wanted, once for each time."""

    def positions(self, axis: int) -> Tensor:
        """(n,) float64: where rows (0) or columns (1) of ``high`` stand among those of ``low``."""
        cells, pixels = self.low.shape[-1], self.pixels
        even = (2 * torch.arange(pixels, dtype=torch.float64) + 1) * cells / (2 * pixels) - 0.5
        return (even if self.cut is None else even[self.cut.kept[axis]]) - self.phase[axis]

    @property
    def pixels(self) -> int:
        """Of a crop's side."""
        return self.high.shape[-1] if self.cut is None else self.cut.pixels

    @property
    def scale(self) -> float:
        """The true magnification."""
        return self.pixels / self.low.shape[-1]

    def at(self, rows: Tensor, columns: Tensor) -> Batch:
        """The same, but for ``high``: some rows and columns of the whole crops."""
        cut = Cut(pixels=self.pixels, kept=(rows, columns))
        return replace(self, high=self.high[:, :, rows][:, :, :, columns], cut=cut)

    def to(self, device: torch.device) -> Batch:
        """The same on another device, laid out as convolutions like it."""
        ahead = device.type == "cuda"
        low = self.low.to(device, non_blocking=ahead, memory_format=torch.channels_last)
        return replace(self, low=low, high=self.high.to(device, non_blocking=ahead))

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU reads by itself."""
        return replace(self, low=self.low.pin_memory(), high=self.high.pin_memory())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crop:
    """One crop as it was drawn."""

    values: Floats
    """(3, p, p) network values."""
    value_range: ValueRange
    dtype: str


class Crops:
    """Random crops of scenes, a scene's chance proportional to its area.

    Windows with invalid pixels are not taken. A scene that cannot be read there is named in
    :attr:`Batch.lost`, and another window drawn.

    Args:
        scenes: where crops come from.
        data: how.
        degradation: how they are shrunk.
    """

    def __init__(
        self, scenes: Sequence[TrainingScene], data: DataConfig, degradation: DegradationConfig
    ) -> None:
        self._scenes, self._data, self._degradation = scenes, data, degradation
        self._areas = np.array([s.area.height * s.area.width for s in scenes], dtype=np.float64)
        self._sides = np.array([min(s.area.height, s.area.width) for s in scenes])
        self.largest = min(data.largest_crop, int(self._sides.max()))
        """Pixels of a crop's side at most: as configured, or what the largest scene holds."""

    def batch(self, key: Sequence[int], count: int, cells: int, scale: float) -> Batch:
        """Crops of cells x cells low-resolution pixels, or fewer at great scales.

        Args:
            key: names the batch.
            count: crops.
            cells: low-resolution pixels of a side.
            scale: about the magnification; :attr:`Batch.scale` is the true one.

        Raises:
            InputError: no window without nodata was found.
        """
        chance = np.random.default_rng(list(key))
        cells = min(cells, int(self.largest / scale))
        pixels = round(cells * scale)
        lost: list[SkippedFile] = []
        crops = [self._crop(chance, pixels, lost) for _ in range(count)]
        shrinking = self._shrinking(chance)
        rows, columns = (
            torch.from_numpy(
                kernel_matrix(shrinking.kernel, cells, pixels, phase=p, mtf=shrinking.mtf)
            ).float()
            for p in shrinking.phase
        )
        low = np.stack(
            [self._low(chance, crop, (rows, columns), shrinking.noise) for crop in crops]
        )
        high = np.stack([crop.values for crop in crops])
        return Batch(
            low=torch.from_numpy(low),
            high=torch.from_numpy(high),
            phase=shrinking.phase,
            lost=tuple(lost),
        )

    def _shrinking(self, chance: Random) -> Shrinking:
        """A way of shrinking, by the configured shares."""
        given = self._degradation
        kernels, shares = [*given.shares], np.cumsum([*given.shares.values()])
        drawn = int(np.searchsorted(shares, chance.random() * shares[-1], side="right"))
        kernel = kernels[min(drawn, len(kernels) - 1)]
        noise = 2 * chance.uniform(0, given.noise) if chance.random() < given.noisy else 0.0
        if kernel != "gaussian":
            return Shrinking(kernel=kernel, noise=noise)
        phase = chance.uniform(-0.5, 0.5, 2)
        return Shrinking(
            kernel=kernel,
            mtf=chance.uniform(*given.mtf),
            phase=(float(phase[0]), float(phase[1])),
            noise=noise,
        )

    def _low(
        self, chance: Random, crop: _Crop, kernels: tuple[Tensor, Tensor], noise: float
    ) -> Floats:
        """A crop's low resolution, rounded as its dtype holds it: (3, cells, cells).

        Args:
            chance: draws noise and compression.
            crop: (3, p, p).
            kernels: (cells, p) of rows, and of columns.
            noise: deviation of white noise, network values.
        """
        rows, columns = kernels
        # By torch: it keeps to one thread in a process that loads batches, NumPy would take all.
        low: Floats = (rows @ torch.from_numpy(crop.values) @ columns.T).numpy()
        if noise:
            low = low + noise * chance.standard_normal(low.shape, dtype=np.float32)
        kind = np.dtype(crop.dtype)
        if kind.kind != "f":
            limits = np.iinfo(kind)
            numbers = np.rint(crop.value_range.from_network(low)).clip(limits.min, limits.max)
            if kind == np.uint8 and chance.random() < self._degradation.compressed:
                numbers = _compressed(numbers, chance.uniform(*self._degradation.quality))
            low = crop.value_range.to_network(numbers)
        return low

    def _crop(self, chance: Random, side: int, lost: list[SkippedFile]) -> _Crop:
        """One crop, turned, mirrored and recoloured by chance; unreadable ones go to ``lost``."""
        areas = self._areas * (self._sides >= side)
        chances = areas / areas.sum()
        for _ in range(TRIES):
            scene = self._scenes[chance.choice(len(self._scenes), p=chances)]
            rows, columns = scene.area.height - side + 1, scene.area.width - side + 1
            group = _group(scene.groups, chance)
            row, column = chance.integers(rows), chance.integers(columns)
            window = Window(scene.area.row + int(row), scene.area.column + int(column), side, side)
            try:
                values, valid = scene.read(window, group.bands)
            except RasterError as error:
                lost.append(SkippedFile(path=scene.path, reason=str(error)))
                continue
            if valid.all():
                crop = self._augmented(chance, group.value_range.to_network(values))
                return _Crop(values=crop, value_range=group.value_range, dtype=scene.dtype)
        raise InputError(
            f"no window of {side} x {side} pixels without nodata in {TRIES} tries; lower "
            "largest_crop in [data] of the configuration, or leave out scenes with many holes"
        )

    def _augmented(self, chance: Random, crop: Floats) -> Floats:
        """Turned and mirrored; a triplet's bands at times shuffled or made grey: (3, p, p)."""
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


def _group(groups: Sequence[BandGroup], chance: Random) -> BandGroup:
    """One of a scene's groups, its chance its number of bands."""
    weights = np.array([len(g.bands) for g in groups], dtype=np.float64)
    return groups[chance.choice(len(groups), p=weights / weights.sum())]


def _compressed(numbers: Doubles, quality: float) -> Doubles:
    """An 8-bit image after JPEG: (3, y, x)."""
    picture = Image.fromarray(numbers.astype(np.uint8).transpose(1, 2, 0))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=round(quality))
    with Image.open(file) as opened:
        return np.asarray(opened).transpose(2, 0, 1).astype(np.float64)


def drawn_scale(key: Sequence[int], scales: tuple[float, float]) -> float:
    """A magnification, even in its logarithm between two."""
    low, high = map(math.log, scales)
    return math.exp(np.random.default_rng([*key, 1]).uniform(low, high))
