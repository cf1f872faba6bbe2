"""A planted shift is measured to a fraction of a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from skimage.registration import phase_cross_correlation

from rs_superres.raster import open_source
from rs_superres.verify.comparison import SourceResultPair
from rs_superres.verify.placement import placed
from rs_superres.verify.registration import registration
from tests import rasters
from tests.rasters import NORTH_UP, Array


@pytest.mark.parametrize("shift", [0.02, 0.1, 0.31])
def test_the_shift_is_the_one_planted(shift: float, tmp_path: Path) -> None:
    """On a wave, whose shift is exact, and against scikit-image's correlation."""
    rows, columns = np.indices((450, 480)) / 3.0

    def wave(dy: float) -> Array:
        y, x = rows + 1 / 6 - dy, columns + 1 / 6
        out: Array = 100 * np.sin(y / 3) * np.cos(x / 4) + 60 * np.cos(y / 5 + x / 2.2) + 500
        return out

    y, x = np.indices((150, 160)) + 0.5
    truth = 100 * np.sin(y / 3) * np.cos(x / 4) + 60 * np.cos(y / 5 + x / 2.2) + 500
    source = rasters.write(tmp_path / "s.tif", truth[None].astype(np.float32))
    out = rasters.write(
        tmp_path / "o.tif", wave(shift)[None].astype(np.float32),
        transform=NORTH_UP @ Affine.scale(1 / 3),
    )  # fmt: skip
    with open_source(source) as here, open_source(out) as there:
        zoom, fault = placed(here.description, there.description)
        assert zoom is not None
        assert not fault
        found = registration(SourceResultPair(source=here, out=there, zoom=zoom, bands=(0,)))
    assert found.bands["down"][0] == pytest.approx(shift, abs=0.005)
    assert found.bands["right"][0] == pytest.approx(0, abs=0.005)
    coarse = wave(shift)[1::3, 1::3]
    window = np.outer(np.hanning(150), np.hanning(160))
    oracle, _, _ = phase_cross_correlation(
        (truth - 500) * window, (coarse - 500) * window, upsample_factor=100, normalization=None
    )
    assert found.bands["down"][0] == pytest.approx(-oracle[0], abs=0.03)
