"""The metadata of rasters, and their masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from rs_superres.grid import Shape, Window
from rs_superres.raster import open_source, read_grid
from tests import rasters
from tests.rasters import NORTH_UP, RGB, UTM, textured


def test_metadata_of_dataset_and_bands(tmp_path: Path) -> None:
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 4, 9, 12), colours=(*RGB, "alpha"), tags={"MISSION": "one"}
    )
    with rasters.opened(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5, 1, 1, 1), (0, 0, 3, 0)
        dataset.set_band_description(2, "G")
        dataset.set_band_unit(1, "DN")
        dataset.update_tags(1, WAVELENGTH="665", STATISTICS_MEAN="12.5")
    with open_source(path) as source:
        description = source.description
    assert description.grid.shape == Shape(9, 12)
    assert description.grid.transform == NORTH_UP
    assert rasterio.CRS.from_wkt(description.grid.crs) == rasterio.CRS.from_string(UTM)
    assert [b.interpretation for b in description.bands] == [*RGB, "alpha"]
    assert [b.is_alpha for b in description.bands] == [False, False, False, True]
    assert [(b.scale, b.offset) for b in description.bands[:3]] == [(0.5, 0), (1, 0), (1, 3)]
    assert (description.bands[0].unit, description.bands[1].description) == ("DN", "G")
    assert description.bands[0].tags == {"WAVELENGTH": "665"}  # statistics no longer hold
    assert description.tags["MISSION"] == "one"
    assert (description.dtype, description.driver, description.pages) == ("uint8", "GTiff", ())
    assert not description.dataset_mask


def test_a_missing_georeference_is_none(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 9, 12), transform=None, crs=None)
    assert read_grid(path).transform is None
    assert read_grid(path).crs is None
    south_up = rasters.write(tmp_path / "b.tif", textured(1, 1, 4, 4), transform=Affine.scale(1, 2))
    assert read_grid(south_up).transform == Affine.scale(1, 2)


def test_masks_of_all_kinds(tmp_path: Path) -> None:
    pixels = textured(2, 3, 8, 9).clip(1)
    pixels[0, 2, 3] = pixels[2, 5, 5] = 0
    expected = pixels > 0
    inside = np.ones((8, 9), dtype=np.bool_)
    inside[1:3, 4:] = False
    window = Window(0, 0, 8, 9)
    with open_source(rasters.write(tmp_path / "nodata.tif", pixels, nodata=0)) as source:
        np.testing.assert_array_equal(source.read(window)[1], expected)
        assert not source.description.dataset_mask
    with open_source(rasters.write(tmp_path / "mask.tif", pixels, mask=inside)) as source:
        valid = source.read(window)[1]
        np.testing.assert_array_equal(valid, np.broadcast_to(inside, valid.shape))
        assert source.description.dataset_mask
    with open_source(rasters.write(tmp_path / "plain.tif", pixels)) as source:
        assert source.read(window)[1].all()  # zeros are values
    four = np.concatenate((pixels, inside[None].astype(np.uint8) * 255))
    path = rasters.write(tmp_path / "alpha.tif", four, colours=(*RGB, "alpha"))
    with open_source(path) as source:
        assert source.read(window)[1].all()  # alpha is a band
        assert not source.description.dataset_mask
    floats = pixels.astype(np.float32)
    floats[1, 0, 0], floats[1, 7, 8] = np.nan, np.inf
    with open_source(rasters.write(tmp_path / "nan.tif", floats)) as source:
        np.testing.assert_array_equal(source.read(window)[1], np.isfinite(floats))


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_band_that_is_called_near_infrared_is_not_alpha(
    tmp_path: Path, nodata: int | None
) -> None:
    """Many tools mark the fourth band as alpha, whatever it holds."""
    pixels = textured(1, 4, 8, 9)
    pixels[3, 2] = 0
    colours = (*RGB, "alpha")
    path = rasters.write(tmp_path / "a.tif", pixels, colours=colours, nodata=nodata)
    with rasters.opened(path, "r+") as dataset:
        dataset.set_band_description(4, "Near infrared")
    with open_source(path) as source:
        description = source.description
        assert [b.interpretation for b in description.bands] == [*RGB, "undefined"]
        assert {b.alpha for b in description.bands} == {None}
        kinds = {name for flags in description.mask_flags for name in flags}
        assert kinds == ({"all_valid"} if nodata is None else {"nodata"})
        assert not description.dataset_mask
        expected = np.ones(pixels.shape, np.bool_) if nodata is None else pixels != nodata
        np.testing.assert_array_equal(source.read(Window(0, 0, 8, 9))[1], expected)
    with rasters.opened(path, "r+") as dataset:
        dataset.set_band_description(4, "opacity")
    with open_source(path) as source:
        assert source.description.bands[3].is_alpha


def test_a_mask_in_a_sidecar_file(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(2, 1, 8, 9))
    inside = np.ones((8, 9), dtype=np.bool_)
    inside[3] = False
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasters.opened(path, "r+") as dataset,
    ):
        dataset.write_mask(inside)
    assert (tmp_path / "a.tif.msk").exists()
    with open_source(path) as source:
        assert source.description.dataset_mask
        np.testing.assert_array_equal(source.read(Window(2, 0, 3, 9))[1][0], inside[2:5])
