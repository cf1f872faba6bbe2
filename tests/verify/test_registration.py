"""A planted shift is measured to a fraction of a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from skimage.registration import phase_cross_correlation

from rs_superres.raster import open_source
from rs_superres.verify.comparison import SourceResultPair
from rs_superres.verify.placement import map_grids
from rs_superres.verify.registration import registration
from tests import rasters
from tests.rasters import NORTH_UP, Array


def wave(rows: Array, columns: Array) -> Array:
    """A smooth function of positions in source pixels, so that a shift is exact."""
    image: Array = (
        100 * np.sin(rows / 3) * np.cos(columns / 4) + 60 * np.cos(rows / 5 + columns / 2.2) + 500
    )
    return image


@pytest.mark.parametrize("shift", [0.02, 0.1, 0.31])
def test_a_planted_shift_is_measured(shift: float, tmp_path: Path) -> None:
    """The reference is exact, and a second one is scikit-image's correlation."""
    truth = wave(*(np.indices((150, 160)) + 0.5))
    rows, columns = (np.indices((450, 480)) + 0.5) / 3
    shifted = wave(rows - shift, columns)
    source = rasters.write(tmp_path / "s.tif", truth[None].astype(np.float32))
    out = rasters.write(
        tmp_path / "o.tif",
        shifted[None].astype(np.float32),
        transform=NORTH_UP @ Affine.scale(1 / 3),
    )
    with open_source(source) as before, open_source(out) as after:
        zoom, fault = map_grids(before.description, after.description)
        assert zoom is not None
        assert not fault
        pair = SourceResultPair(source=before, result=after, zoom=zoom, bands=(0,))
        finding = registration(pair)
    assert finding.bands["down"][0] == pytest.approx(shift, abs=0.005)
    assert finding.bands["right"][0] == pytest.approx(0, abs=0.005)
    taper = np.outer(np.hanning(150), np.hanning(160))
    correlation, _, _ = phase_cross_correlation(
        (truth - 500) * taper,
        (shifted[1::3, 1::3] - 500) * taper,
        upsample_factor=100,
        normalization=None,
    )
    assert finding.bands["down"][0] == pytest.approx(-correlation[0], abs=0.03)
