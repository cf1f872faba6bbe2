"""Which files are refused."""

from __future__ import annotations

import os
import subprocess
import sys
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


@pytest.mark.parametrize("variable", ["PROJ_LIB", "PROJ_DATA"])
def test_a_hidden_database_of_proj_is_named(tmp_path: Path, variable: str) -> None:
    """In another process, because PROJ keeps a database open once it has found it."""
    source = rasters.write(tmp_path / "a.tif", np.ones((1, 4, 4), dtype=np.uint8))
    plain = rasters.write(tmp_path / "b.tif", np.ones((1, 4, 4), dtype=np.uint8), crs=None)
    code = f"""if True:
        from rs_superres.errors import RasterError
        from rs_superres.raster import open_source, pixel_size, place_of
        from rs_superres.grid import Grid, Shape
        from affine import Affine
        open_source({str(plain)!r})
        grid = Grid(Shape(4, 4), Affine.scale(10, -10), {rasters.read_crs(source)!r})
        print(pixel_size(grid), place_of(grid))
        try:
            open_source({str(source)!r})
        except RasterError as error:
            print(error)
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PROJ_")}
    environment[variable] = str(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    located, refusal = run.stdout.splitlines()
    assert located == "None None"
    assert refusal == (
        f"cannot read the CRS of {source}: PROJ finds no database that it can use (Cannot find "
        f"proj.db); unset {variable} ({tmp_path}), so that rasterio uses its own"
    )
    assert not run.stderr


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
