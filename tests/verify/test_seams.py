"""Planted seams are located."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres.verify import verify
from tests import rasters
from tests.rasters import NORTH_UP
from tests.verify import pairs


@pytest.mark.parametrize("tagged", [False, True])
def test_planted_seams_are_located(tagged: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    source = rasters.write(tmp_path / "s.tif", pairs.pixels(bands=1))
    with rasters.opened(source) as dataset:
        image = dataset.read(
            out_shape=(1, 450, 510), resampling=rasterio.enums.Resampling.cubic
        ).astype(np.int16)
    steps = rng.choice([-6, 6], (1, 12, 12)).repeat(45, 1).repeat(45, 2)[:, 7:457, 7:517]
    out = rasters.write(
        tmp_path / "o.tif",
        (image + steps).clip(0, 255).astype(np.uint8),
        transform=NORTH_UP @ Affine.scale(1 / 3),
        tags={"SUPERRES_LATTICE": "45 x 45 from 38, 38"} if tagged else {},
    )
    audit = verify(str(out), source)
    seams = next(finding for finding in audit.findings if finding.name == "seams")
    assert seams.verdict == "fail"
    assert "38 + 45 n" in seams.detail
    assert ("by the tags" in seams.detail) == tagged
