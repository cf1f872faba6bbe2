"""Which files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.raster import open_source, read_small
from tests import rasters


def assert_refused(path: Path | str, kind: type[SuperResError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_and_dtypes_that_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.tif", RasterError, "cannot open")
    assert_refused(tmp_path, InputError, "is a directory, expected a raster file")
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    assert_refused(text, RasterError, "cannot open")
    for dtype, hint in (
        ("complex64", "DERIVED_SUBDATASET:AMPLITUDE"),
        ("complex128", "DERIVED_SUBDATASET:AMPLITUDE"),
        ("int64", "gdal_translate -ot Float64"),
        ("uint64", "gdal_translate -ot Float64"),
    ):
        path = rasters.write(tmp_path / f"{dtype}.tif", np.ones((1, 4, 4), dtype=dtype))
        assert_refused(path, InputError, f"has dtype {dtype}, supported are uint8, int8.*{hint}")


def test_mixed_dtypes_are_refused(tmp_path: Path) -> None:
    parts = [
        rasters.write(tmp_path / f"{d}.tif", np.ones((1, 4, 4), dtype=d))
        for d in ("uint8", "uint16")
    ]
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{part.name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (part, kind) in enumerate(zip(parts, ("Byte", "UInt16"), strict=True), start=1)
    )
    path = tmp_path / "mixed.vrt"
    path.write_text(f'<VRTDataset rasterXSize="4" rasterYSize="4">{bands}</VRTDataset>')
    assert_refused(path, InputError, "has bands of dtypes uint16, uint8, expected one dtype")


def test_read_small_limits_the_longer_side(tmp_path: Path) -> None:
    for count, bands in ((2, 1), (4, 3)):
        pixels = rasters.textured(1, count, 40, 60)
        path = rasters.write(tmp_path / f"{count}.tif", pixels)
        assert read_small(path, 30).shape == (bands, 20, 30)
        np.testing.assert_array_equal(read_small(path, 100), pixels[:bands])
