"""An image whose values are its coordinates, after odc-geo's ``gen_test_image_xy``.

Linear interpolation is exact on it. So each pixel of an upscaled result holds the coordinates that
it was computed for, and any difference from its true coordinates is a shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.grid import Zoom
from rs_superres.image.resampling import cubic
from rs_superres.scene.inference import CellInput, Drawn, Inference
from rs_superres.types import Floats

Array = npt.NDArray[np.float64]


def coordinates(height: int, width: int) -> Array:
    """Pixel coordinates of pixel centres, (2, y, x): columns, then rows."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack((columns, rows))


@dataclass
class Bilinear:
    """An inference that interpolates linearly, and checks that it gets the halo it needs."""

    halo: int = 1
    margin: int = 0
    valid_margin: int = 0

    def __call__(self, cell: CellInput) -> Drawn:
        return Drawn(self.exact(cell).astype(np.float32) for _ in cell.noises)

    def residual(self, cell: CellInput) -> Drawn:
        residual = self.exact(cell) - cubic(*cell.image_on_axes)
        return Drawn(residual.astype(np.float32) for _ in cell.noises)

    def exact(self, cell: CellInput) -> Array:
        """Interpolate in double precision: (3, rows, columns)."""
        image, rows, columns = cell.image_on_axes
        assert image.dtype == np.float32
        assert image.shape == (3, rows.count, columns.count)
        out = image.astype(np.float64)
        for axis, support in ((1, rows), (2, columns)):
            positions = support.positions - support.start
            first = np.floor(positions).astype(np.int64)
            assert first.min() >= self.halo
            assert first.max() + 1 < support.count - self.halo
            t = np.expand_dims(positions - first, (0, 3 - axis))
            out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
        return out


@dataclass
class Noise:
    """An inference that returns the noise that it is given."""

    halo: int = 0
    margin: int = 0
    valid_margin: int = 0

    def __call__(self, cell: CellInput) -> Drawn:
        return Drawn(self.samples(cell))

    def samples(self, cell: CellInput) -> Iterator[Floats]:
        for noise in cell.noises:
            values = noise()
            shape = len(cell.image), len(cell.rows.positions), len(cell.columns.positions)
            assert values.shape == shape
            yield values

    residual = __call__


class Counted:
    """Counts the calls of another inference, and fails after a given number of them."""

    def __init__(self, inner: Inference, limit: int | None = None) -> None:
        self.inner, self.limit, self.calls = inner, limit, 0
        self.halo, self.margin, self.valid_margin = inner.halo, inner.margin, inner.valid_margin

    def __call__(self, cell: CellInput) -> Drawn:
        if self.calls == self.limit:
            raise StoppedError
        self.calls += 1
        return self.inner(cell)

    residual = __call__


class StoppedError(Exception):
    """Raised to interrupt a run, in place of any other cause."""


def expected(zoom: Zoom) -> Array:
    """Source coordinates of the output's pixel centres by the two transforms, (2, y, x).

    Beyond the centres of the outermost pixels, the source is continued by its mirror image, so the
    interpolated coordinate stays that of the border.
    """
    assert zoom.source.transform is not None
    assert zoom.output.transform is not None
    to_source = ~zoom.source.transform @ zoom.output.transform
    rows, columns = np.mgrid[: zoom.output.shape.height, : zoom.output.shape.width] + 0.5
    x = to_source.a * columns + to_source.b * rows + to_source.c
    y = to_source.d * columns + to_source.e * rows + to_source.f
    size = zoom.source.shape
    return np.stack((x.clip(0.5, size.width - 0.5), y.clip(0.5, size.height - 0.5)))
