"""Training images: held in memory as bytes, cut into random crops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.raster import open_source

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".tif", ".tiff", ".webp", ".png", ".jpg", ".jpeg", ".jp2")
"""Files that are read from a training folder."""


def read_images(folders: Iterable[Path]) -> list[Pixels]:
    """The first three bands of every 8-bit image in some folders: (3, y, x) each.

    Raises:
        InputError: nothing there, or an image that is not of 8 bits and three bands.
        RasterError: an image that cannot be read.
    """
    images = []
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            with open_source(path) as source:
                shape = source.description.grid.shape
                values, _ = source.read(Window(0, 0, shape.height, shape.width))
            if len(values) < 3 or values.dtype != np.uint8:
                raise InputError(
                    f"{path} has {len(values)} bands of {values.dtype}, expected 3 of uint8"
                )
            images.append(values[:3].astype(np.uint8))
    if not images:
        raise InputError(f"no images in {', '.join(map(str, folders))}, expected {SUFFIXES}")
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Crops of one magnification, in network values."""

    low: Tensor
    """(b, 3, h, h): antialiased bicubic of the crops, rounded as an 8-bit file holds it."""
    high: Tensor
    """(b, 3, p, p)."""

    @property
    def positions(self) -> Tensor:
        """(p,) float64: where the crops' pixels stand among the cells of ``low``."""
        cells, pixels = self.low.shape[-1], self.high.shape[-1]
        return (2 * torch.arange(pixels, dtype=torch.float64) + 1) * cells / (2 * pixels) - 0.5

    @property
    def scale(self) -> float:
        """The true magnification."""
        return self.high.shape[-1] / self.low.shape[-1]


class Crops:
    """Random crops of images, an image's chance proportional to its area.

    Args:
        images: (3, y, x) each.
        generator: where all chance comes from.
        grey: how often a crop's bands are shuffled or one of them repeated.
    """

    def __init__(
        self, images: list[Pixels], generator: np.random.Generator, *, grey: float = 0.15
    ) -> None:
        self._images, self.generator, self._grey = images, generator, grey
        areas = np.array([i.shape[1] * i.shape[2] for i in images], dtype=np.float64)
        self._chances = areas / areas.sum()

    def batch(self, count: int, cells: int, scale: float) -> Batch:
        """``count`` crops of cells x cells low-resolution pixels at about ``scale``.

        Raises:
            InputError: no image is large enough for such a crop.
        """
        pixels = round(cells * scale)
        if all(min(image.shape[1:]) < pixels for image in self._images):
            raise InputError(f"no image is as large as the crops of {pixels} x {pixels} pixels")
        high = torch.from_numpy(np.stack([self._crop(pixels) for _ in range(count)])).float()
        low = interpolate(
            high, size=(cells, cells), mode="bicubic", antialias=True, align_corners=False
        )
        low = low.clamp(0, 255).round()
        return Batch(low=low / 127.5 - 1, high=high / 127.5 - 1)

    def _crop(self, side: int) -> Pixels:
        """One crop, turned, mirrored and recoloured by chance: (3, side, side)."""
        chance = self.generator
        while True:
            image = self._images[chance.choice(len(self._images), p=self._chances)]
            rows, columns = image.shape[1] - side + 1, image.shape[2] - side + 1
            if rows > 0 and columns > 0:
                break
        row, column = chance.integers(rows), chance.integers(columns)
        crop = image[:, row : row + side, column : column + side]
        down, across, transposed = chance.integers(2, size=3)
        crop = crop[:, :: 1 - 2 * down, :: 1 - 2 * across]
        if transposed:
            crop = crop.transpose(0, 2, 1)
        if chance.random() < self._grey:
            band = chance.integers(3)
            crop = crop[chance.permutation(3)] if chance.random() < 0.5 else crop[[band] * 3]
        return np.ascontiguousarray(crop)
