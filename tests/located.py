"""The located image, after odc-geo's ``gen_test_image_xy``: its values are its coordinates.

Enlarged by an interpolation that is exact on ramps, each pixel of a result says where it believes
to be; where that is not where it lies, something was shifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.grid import AxisSupport, Zoom
from rs_superres.image.resampling import cubic
from rs_superres.scene.inference import Inference
from rs_superres.scene.inference import Noise as Draw
from rs_superres.types import Floats

Array = npt.NDArray[np.float64]


def coordinates(height: int, width: int) -> Array:
    """Pixel coordinates of pixel centres, (2, y, x): across, and down."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack((columns, rows))


@dataclass
class Bilinear:
    """An inference that interpolates linearly, and insists on the halo that it asked for."""

    halo: int = 1
    margin: int = 0
    valid_margin: int = 0

    def __call__(
        self,
        image: Floats,
        rows: AxisSupport,
        columns: AxisSupport,
        noises: Sequence[Draw],
    ) -> Iterator[Floats]:
        for _ in noises:
            yield self.exact(image, rows, columns).astype(np.float32)

    def residual(
        self,
        image: Floats,
        rows: AxisSupport,
        columns: AxisSupport,
        noises: Sequence[Draw],
    ) -> Iterator[Floats]:
        for _ in noises:
            beside = self.exact(image, rows, columns) - cubic(image, rows, columns)
            yield beside.astype(np.float32)

    def exact(self, image: Floats, rows: AxisSupport, columns: AxisSupport) -> Array:
        """The interpolation in double precision."""
        assert image.dtype == np.float32
        assert image.shape == (3, rows.count, columns.count)
        out = image.astype(np.float64)
        for axis, along in ((1, rows), (2, columns)):
            place = along.positions - along.start
            first = np.floor(place).astype(np.int64)
            assert first.min() >= self.halo
            assert first.max() + 1 < along.count - self.halo
            t = np.expand_dims(place - first, (0, 3 - axis))
            out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
        return out


@dataclass
class Noise:
    """An inference that returns the noise that it is handed."""

    halo: int = 0
    margin: int = 0
    valid_margin: int = 0

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Draw]
    ) -> Iterator[Floats]:
        for noise in noises:
            drawn = noise()
            assert drawn.shape == (len(image), len(rows.positions), len(columns.positions))
            yield drawn

    residual = __call__


class Counted:
    """Another inference whose calls are counted; it fails when it was asked too often."""

    def __init__(self, inner: Inference, limit: int | None = None) -> None:
        self.inner, self.limit, self.calls = inner, limit, 0
        self.halo, self.margin, self.valid_margin = inner.halo, inner.margin, inner.valid_margin

    def __call__(
        self, image: Floats, rows: AxisSupport, columns: AxisSupport, noises: Sequence[Draw]
    ) -> Iterator[Floats]:
        if self.calls == self.limit:
            raise StoppedError
        self.calls += 1
        return self.inner(image, rows, columns, noises)

    residual = __call__


class StoppedError(Exception):
    """Stands for whatever ends a run half-way."""


def expected(zoom: Zoom) -> Array:
    """Where the output's pixels lie by the two transforms: source pixel coordinates, (2, y, x).

    Beyond the centres of the border's pixels the source goes on as its mirror image, so the value
    stays that of the border.
    """
    assert zoom.source.transform is not None
    assert zoom.output.transform is not None
    between = ~zoom.source.transform @ zoom.output.transform
    rows, columns = np.mgrid[: zoom.output.shape.height, : zoom.output.shape.width] + 0.5
    across = between.a * columns + between.b * rows + between.c
    down = between.d * columns + between.e * rows + between.f
    size = zoom.source.shape
    return np.stack((across.clip(0.5, size.width - 0.5), down.clip(0.5, size.height - 0.5)))
