"""Tiles and their mosaic: what goes in comes out, and what is damaged or missing is an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import canonicalize

import numpy as np
import pytest
from rasterio.control import GroundControlPoint

from rs_superres.errors import RasterError
from rs_superres.grid import Shape, Window
from rs_superres.raster import Tile, finish, open_source, read_tile, tile_bytes, write_mosaic
from rs_superres.types import Valid
from tests import rasters
from tests.raster.targets import target_of, write_tiles
from tests.rasters import textured


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32"])
@pytest.mark.parametrize("bands", [1, 4, 13])
@pytest.mark.parametrize("masked", [False, True])
def test_a_tile_is_read_as_it_was_written(
    tmp_path: Path, dtype: str, bands: int, masked: bool
) -> None:
    """Four bands of 8 bits look like red, green, blue and alpha to GDAL."""
    values = textured(1, bands, 70, 90).astype(dtype)
    if dtype == "float32":
        values[0, 3, 4] = np.nan
    mask: Valid | None = textured(2, 1, 70, 90)[0] > 120 if masked else None
    path = tmp_path / "a.tif"
    path.write_bytes(tile_bytes(values, mask))
    back, back_mask = read_tile(path)
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()
    assert (back_mask is None) == (mask is None)
    if mask is not None:
        assert mask.any()
        np.testing.assert_array_equal(back_mask, mask)


def test_a_tile_with_another_mask_is_damaged(tmp_path: Path) -> None:
    values, mask = textured(1, 1, 8, 8), np.eye(8, dtype=np.bool_)
    path = tmp_path / "a.tif"
    path.write_bytes(tile_bytes(values, mask))
    with rasters.opened(path, "r+") as dataset:
        dataset.write_mask(~mask)
    with pytest.raises(RasterError, match=r"a\.tif: its pixels have another checksum"):
        read_tile(path)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "int16", "float32"])
def test_a_mosaic_shows_the_pixels_of_its_tiles(tmp_path: Path, masked: bool, kind: str) -> None:
    pixels = textured(2, 4, 240, 360).astype(kind)
    source = rasters.write(tmp_path / "a.tif", pixels[:, ::2, ::2])
    target = replace(target_of(source, "2"), masked=masked)
    mask = textured(3, 1, 240, 360)[0] > 90 if masked else None
    with open_source(write_tiles(tmp_path, target, pixels, mask)) as mosaic:
        values, valid = mosaic.read(Window(0, 0, 240, 360))
        part, _ = mosaic.read(Window(90, 160, 30, 40))  # across four tiles
    np.testing.assert_array_equal(values, pixels)
    np.testing.assert_array_equal(part, pixels[:, 90:120, 160:200])
    np.testing.assert_array_equal(
        valid, np.broadcast_to(True if mask is None else mask, (4, 240, 360))
    )


def test_parts_of_tiles_are_placed(tmp_path: Path) -> None:
    """At the border of a result, a cell extends beyond it."""
    pixels = textured(2, 1, 60, 80)
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 15, 20)), "2")
    (tmp_path / "t.tif").write_bytes(tile_bytes(pixels, None))
    tile = Tile(tmp_path / "t.tif", Shape(60, 80), Window(7, 9, 30, 40), Window(0, 0, 30, 40))
    write_mosaic(tmp_path / "m.vrt", target, [tile])
    np.testing.assert_array_equal(rasters.read(tmp_path / "m.vrt"), pixels[:, 7:37, 9:49])


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_no_result_is_made_from_damaged_tiles(tmp_path: Path, damage: str) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 60, 90)), "2")
    mosaic = write_tiles(tmp_path, target, textured(2, 1, 120, 180), None)
    tile = tmp_path / "100_170.tif"
    if damage == "missing":
        tile.unlink()
    else:
        tile.write_bytes(tile.read_bytes()[:300])
    with pytest.raises(RasterError, match=r"cannot write .*out\.tif"):
        finish(mosaic, tmp_path / "out.tif", target=target, driver="COG", options=[])


@pytest.mark.parametrize("driver", ["COG", "GTiff"])
def test_numbers_keep_all_their_digits(tmp_path: Path, driver: str) -> None:
    """GDAL rounds scales to 16 digits in a VRT, and control points to 4 decimals."""
    points = [
        GroundControlPoint(row=r, col=c, x=1 / 3 + c, y=50 - r / 7, z=c / 11)
        for r in (0, 7)
        for c in (0, 9)
    ]
    scene = rasters.write(tmp_path / "a.tif", textured(1, 2, 20, 30), transform=None, gcps=points)
    with rasters.opened(scene, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1 + 0.2, 1.0), (-1 / 3, 0.0)
    target = target_of(scene, "1.7")
    shape = target.window.height, target.window.width
    mosaic = write_tiles(tmp_path, target, textured(2, 2, *shape), None)
    finish(mosaic, tmp_path / "out.tif", target=target, driver=driver, options=[])
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.scales == (0.1 + 0.2, 1.0)
        assert dataset.offsets == (-1 / 3, 0.0)
        for point, before in zip(dataset.gcps[0], target.control_points(), strict=True):
            assert (point.row, point.col) == (before.row, before.col)
            assert (point.x, point.y, point.z) == (before.x, before.y, before.z)


def test_a_document_in_the_metadata_keeps_its_scales(tmp_path: Path) -> None:
    """Its elements may have the names of those in which a VRT holds the scales of bands."""
    document = '<Scale of="x"><Offset>7</Offset><a><Scale>3</Scale></a></Scale>'
    scene = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30))
    with rasters.opened(scene, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1,), (2.0,)
        for band in (0, 1):
            key, _, rest = document.partition("=")
            dataset.update_tags(band, ns="xml:MINE", **{key: rest})
    target = target_of(scene, "2")
    mosaic = write_tiles(tmp_path, target, textured(2, 1, 40, 60), None)
    finish(mosaic, tmp_path / "out.tif", target=target, driver="COG", options=["COPY_SRC_MDD=YES"])
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert (dataset.scales, dataset.offsets) == ((0.1,), (2.0,))
        kept = [dataset.tags(band, ns="xml:MINE")["xml:MINE"] for band in (0, 1)]
    assert [canonicalize(text, strip_text=True) for text in kept] == [canonicalize(document)] * 2
