"""Seams are found where they were planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres.verify import Audit, Finding, verify
from tests import rasters
from tests.rasters import NORTH_UP
from tests.verify import made


def named(audit: Audit, name: str) -> Finding:
    return next(f for f in audit.findings if f.name == name)


@pytest.mark.parametrize("named_by_tags", [False, True])
def test_seams_are_found_where_they_are(named_by_tags: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    source = rasters.write(tmp_path / "s.tif", made.pixels(bands=1))
    with rasters.opened(source) as dataset:
        image = dataset.read(
            out_shape=(1, 450, 510), resampling=rasterio.enums.Resampling.cubic
        ).astype(np.int16)
    steps = rng.choice([-6, 6], (1, 12, 12)).repeat(45, 1).repeat(45, 2)[:, 7:457, 7:517]
    tags = {"SUPERRES_LATTICE": "45 x 45 from 38, 38"} if named_by_tags else {}
    out = rasters.write(
        tmp_path / "o.tif", (image + steps).clip(0, 255).astype(np.uint8),
        transform=NORTH_UP @ Affine.scale(1 / 3), tags=tags,
    )  # fmt: skip
    found = named(verify(str(out), source), "seams")
    assert found.verdict == "fail"
    assert "38 + 45 n" in found.detail
    assert ("by the tags" in found.detail) == named_by_tags
