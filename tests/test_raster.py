"""Rasters: read as GDAL reads them, refused in one line, written so that nothing is lost."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer, RPCTransformer

from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.grid import Shape, Window, Zoom
from rs_superres.raster import (
    SAMPLE,
    Part,
    Target,
    check_written,
    checksum,
    creating,
    finish,
    open_source,
    read_grid,
    write_image,
)
from tests import rasters
from tests.rasters import NORTH_UP, RGB, UTM, textured

# Descriptions


def test_description(tmp_path: Path) -> None:
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 4, 9, 12), colours=(*RGB, "alpha"), tags={"MISSION": "one"}
    )
    with rasters.opened(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5, 1, 1, 1), (0, 0, 3, 0)
        dataset.set_band_description(2, "G")
        dataset.set_band_unit(1, "DN")
        dataset.update_tags(1, WAVELENGTH="665", STATISTICS_MEAN="12.5")
    with open_source(path) as source:
        found = source.description
    assert found.grid.shape == Shape(9, 12)
    assert found.grid.transform == NORTH_UP
    assert rasterio.CRS.from_wkt(found.grid.crs) == rasterio.CRS.from_string(UTM)
    assert [b.interpretation for b in found.bands] == [*RGB, "alpha"]
    assert [b.is_alpha for b in found.bands] == [False, False, False, True]
    assert [(b.scale, b.offset) for b in found.bands[:3]] == [(0.5, 0), (1, 0), (1, 3)]
    assert (found.bands[0].unit, found.bands[1].description) == ("DN", "G")
    assert found.bands[0].tags == {"WAVELENGTH": "665"}  # statistics no longer hold
    assert found.tags["MISSION"] == "one"
    assert (found.dtype, found.driver, found.pages) == ("uint8", "GTiff", ())
    assert not found.dataset_mask


def test_no_georeference_is_none(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 9, 12), transform=None, crs=None)
    assert read_grid(path).transform is None
    assert read_grid(path).crs is None
    south_up = rasters.write(tmp_path / "b.tif", textured(1, 1, 4, 4), transform=Affine.scale(1, 2))
    assert read_grid(south_up).transform == Affine.scale(1, 2)


# What is valid


def test_all_kinds_of_masks(tmp_path: Path) -> None:
    pixels = textured(2, 3, 8, 9).clip(1)
    pixels[0, 2, 3] = pixels[2, 5, 5] = 0
    wanted = pixels > 0
    inside = np.ones((8, 9), dtype=np.bool_)
    inside[1:3, 4:] = False
    whole = Window(0, 0, 8, 9)
    with open_source(rasters.write(tmp_path / "nodata.tif", pixels, nodata=0)) as source:
        np.testing.assert_array_equal(source.read(whole)[1], wanted)
        assert not source.description.dataset_mask
    with open_source(rasters.write(tmp_path / "mask.tif", pixels, mask=inside)) as source:
        valid = source.read(whole)[1]
        np.testing.assert_array_equal(valid, np.broadcast_to(inside, valid.shape))
        assert source.description.dataset_mask
    with open_source(rasters.write(tmp_path / "plain.tif", pixels)) as source:
        assert source.read(whole)[1].all()  # zeros are values
    four = np.concatenate((pixels, inside[None].astype(np.uint8) * 255))
    path = rasters.write(tmp_path / "alpha.tif", four, colours=(*RGB, "alpha"))
    with open_source(path) as source:
        assert source.read(whole)[1].all()  # alpha is a band
        assert not source.description.dataset_mask
    floats = pixels.astype(np.float32)
    floats[1, 0, 0], floats[1, 7, 8] = np.nan, np.inf
    with open_source(rasters.write(tmp_path / "nan.tif", floats)) as source:
        np.testing.assert_array_equal(source.read(whole)[1], np.isfinite(floats))


def test_a_mask_beside_the_file(tmp_path: Path) -> None:
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


@pytest.fixture(scope="module")
def gridded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.arange(2 * 11 * 13, dtype=np.uint16).reshape(2, 11, 13)
    return rasters.write(tmp_path_factory.mktemp("raster") / "a.tif", pixels, nodata=7)


@given(
    row=st.integers(-40, 30),
    column=st.integers(-40, 30),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_beyond_the_border_is_the_mirror_image(
    gridded: Path, row: int, column: int, height: int, width: int
) -> None:
    with open_source(gridded) as source:
        values, valid = source.read_reflected(row, column, height, width)
    padded = np.pad(rasters.read(gridded), ((0, 0), (80, 80), (80, 80)), mode="symmetric")
    place = np.s_[:, row + 80 : row + 80 + height, column + 80 : column + 80 + width]
    np.testing.assert_array_equal(values, padded[place])
    np.testing.assert_array_equal(valid, padded[place] != 7)


# Samples and checksum


@pytest.mark.parametrize("shape", [(1, 1), (64, 65), (200, 90), (1100, 1030)])
def test_samples_are_placed_by_the_size_alone(tmp_path: Path, shape: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack((rows, columns)).astype(np.uint16)
    with open_source(rasters.write(tmp_path / "a.tif", pixels)) as source:
        samples = [values for values, _ in source.samples()]
    assert 1 <= len(samples) <= 256
    corners = {(int(v[0].min()), int(v[1].min())) for v in samples}
    assert len(corners) == len(samples)
    for values in samples:
        assert values.shape[1:] == (min(SAMPLE, shape[0]), min(SAMPLE, shape[1]))
    assert max(int(v[0].max()) for v in samples) == shape[0] - 1
    assert max(int(v[1].max()) for v in samples) == shape[1] - 1


def test_checksum_follows_header_and_samples(tmp_path: Path) -> None:
    def of(name: str, pixels: rasters.Array, **profile: Any) -> str:
        path = rasters.write(tmp_path / name, pixels, **profile)
        with open_source(path) as source:
            return checksum(source.description, source.samples())

    pixels = textured(3, 1, 20, 20)
    first = of("a.tif", pixels)
    assert of("b.tif", pixels) == first
    assert of("c.tif", pixels, nodata=3) != first
    pixels[0, 7, 7] += 1
    assert of("d.tif", pixels) != first


# Refusals


def refused(path: Path | str, kind: type[SuperResError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    refused(tmp_path / "none.tif", RasterError, "cannot open")
    refused(tmp_path, InputError, "is a directory, expected a raster file")
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    refused(text, RasterError, "cannot open")
    for dtype, way_out in (
        ("complex64", "DERIVED_SUBDATASET:AMPLITUDE"),
        ("complex128", "DERIVED_SUBDATASET:AMPLITUDE"),
        ("int64", "gdal_translate -ot Float64"),
        ("uint64", "gdal_translate -ot Float64"),
    ):
        path = rasters.write(tmp_path / f"{dtype}.tif", np.ones((1, 4, 4), dtype=dtype))
        refused(path, InputError, f"has dtype {dtype}, supported are uint8, int8.*{way_out}")


def test_refusal_of_mixed_dtypes(tmp_path: Path) -> None:
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
    refused(path, InputError, "has bands of dtypes uint16, uint8, expected one dtype")


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 400, 400))
    path.write_bytes(path.read_bytes()[:90_000])
    with open_source(path) as source, pytest.raises(RasterError, match="cannot read") as caught:
        source.read(Window(0, 0, 400, 400))
    assert "\n" not in str(caught.value)


# Results


def target_of(path: Path, scale: str, window: Window | None = None) -> Target:
    with open_source(path) as source:
        description = source.description
    zoom = Zoom.by_scale(description.grid, scale)
    return Target(
        source=description,
        zoom=zoom,
        window=window or zoom.output.window,
        tags={"OURS": "1"},
        masked=False,
    )


WINDOWS = [None, Window(4, 7, 20, 9)]


@pytest.mark.parametrize("scale", ["2", "3.5", "6.3"])
@pytest.mark.parametrize("window", WINDOWS)
def test_control_points_stay_on_their_ground(
    tmp_path: Path, scale: str, window: Window | None
) -> None:
    """A place's pixel by the old points, brought to the new pixels, is its pixel by the new."""
    points = [
        GroundControlPoint(
            row=r, col=c, x=10 + 0.01 * c + 0.002 * r, y=50 - 0.01 * r, z=3, id=str(i)
        )
        for i, (r, c) in enumerate(((0, 0), (0, 13), (11, 0), (11, 13), (5.5, 6.25)))
    ]
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 1, 11, 13), transform=None, gcps=points, crs="EPSG:4326"
    )
    target = target_of(path, scale, window)
    assert target.grid.transform is None
    moved = target.control_points()
    points = list(target.source.control_points)  # as the file names them
    r = target.zoom.rows.size / 11, target.zoom.columns.size / 13
    first = window or Window(0, 0, 0, 0)
    for old, new in zip(points, moved, strict=True):
        assert (new.x, new.y, new.z, new.id) == (old.x, old.y, old.z, old.id)
        assert new.row == pytest.approx(old.row * r[0] - first.row, abs=1e-9)
        assert new.col == pytest.approx(old.col * r[1] - first.column, abs=1e-9)
    with GCPTransformer(points) as before, GCPTransformer(moved) as after:
        for row, column in ((2, 3), (8, 12)):  # rasterio adds the half of a pixel's centre
            ground = after.xy(row, column)
            back = before.rowcol(*ground, op=float)
            wanted = (row + 0.5 + first.row) / r[0], (column + 0.5 + first.column) / r[1]
            assert back == pytest.approx(wanted, abs=1e-6)


COEFFICIENTS = [0.0] * 20
MODEL = RPC(
    height_off=100.0,
    height_scale=500.0,
    lat_off=45.0,
    lat_scale=0.1,
    line_off=5.0,
    line_scale=6.0,
    long_off=7.0,
    long_scale=0.1,
    samp_off=6.5,
    samp_scale=7.0,
    line_den_coeff=[1.0, *COEFFICIENTS[1:]],
    line_num_coeff=[0.01, 0.0, -1.0, 0.02, *COEFFICIENTS[4:]],
    samp_den_coeff=[1.0, *COEFFICIENTS[1:]],
    samp_num_coeff=[0.02, 1.0, 0.03, 0.01, *COEFFICIENTS[4:]],
    err_bias=None,
    err_rand=None,
)


@pytest.mark.parametrize("scale", ["2", "3.5", "6.3"])
@pytest.mark.parametrize("window", WINDOWS)
def test_rational_polynomials_stay_on_their_ground(
    tmp_path: Path, scale: str, window: Window | None
) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 11, 13), transform=None, crs=None)
    with rasters.opened(path, "r+") as dataset:
        dataset.rpcs = MODEL
    target = target_of(path, scale, window)
    moved = target.rational()
    assert moved is not None
    r = target.zoom.rows.size / 11, target.zoom.columns.size / 13
    first = window or Window(0, 0, 0, 0)
    assert moved.line_off == pytest.approx((5 + 0.5) * r[0] - 0.5 - first.row, abs=1e-9)
    assert moved.samp_off == pytest.approx((6.5 + 0.5) * r[1] - 0.5 - first.column, abs=1e-9)
    assert (moved.line_scale, moved.samp_scale) == pytest.approx((6 * r[0], 7 * r[1]))
    assert target.source.rational is not None
    for name, value in target.source.rational.to_dict().items():
        assert name.endswith(("_off", "_scale")) or getattr(moved, name) == value
    # GDAL's own transformer agrees, corner coordinates in and out.
    with RPCTransformer(MODEL) as before, RPCTransformer(moved) as after:
        ground = [7.02, 6.97], [45.01, 44.96], [100.0, 300.0]
        rows, columns = before.rowcol(*ground, op=float)
        new_rows, new_columns = after.rowcol(*ground, op=float)
        for i in range(2):
            assert new_rows[i] == pytest.approx(rows[i] * r[0] - first.row, abs=1e-4)
            assert new_columns[i] == pytest.approx(columns[i] * r[1] - first.column, abs=1e-4)


def test_nothing_to_move(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 11, 13)), "2")
    assert target.control_points() == []
    assert target.rational() is None


@pytest.mark.parametrize("driver", ["COG", "GTiff"])
def test_a_result_from_writer_to_reader(tmp_path: Path, driver: str) -> None:
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 3, 300, 400), colours=RGB, tags={"MISSION": "one"}
    )
    target = replace(target_of(path, "2", Window(10, 20, 590, 770)), masked=True)
    pixels = textured(2, 3, 590, 770)
    mask = np.ones((590, 770), dtype=np.bool_)
    mask[:80] = False
    with creating(tmp_path / "work.tif", target) as writer:
        for row in range(0, 590, 100):
            shared = Window(row, 0, 100, 770).intersection(Window(0, 0, 590, 770))
            assert shared is not None
            writer.write(Part(shared, pixels[:, *shared.slices], mask[shared.slices]))
    out = tmp_path / "out.tif"
    finish(tmp_path / "work.tif", out, target=target, driver=driver, options=["COMPRESS=LZW"])
    np.testing.assert_array_equal(rasters.read(out), pixels)
    np.testing.assert_array_equal(rasters.masks(out), np.broadcast_to(mask, (3, 590, 770)))
    with rasters.opened(out) as dataset:
        assert dataset.transform == target.grid.transform
        assert dataset.profile["compress"] == "lzw"
        assert dataset.overviews(1) == [2]
        tags = dataset.tags()
        assert (tags["OURS"], tags["MISSION"]) == ("1", "one")
    assert not (tmp_path / "out.tif.msk").exists()


def test_small_results_need_no_overviews(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30)), "2")
    with creating(tmp_path / "work.tif", target) as writer:
        writer.write(Part(target.window, textured(2, 1, 40, 60), None))
    for driver in ("COG", "GTiff"):
        out = tmp_path / f"{driver}.tif"
        finish(tmp_path / "work.tif", out, target=target, driver=driver, options=[])
        with rasters.opened(out) as dataset:
            assert dataset.overviews(1) == []


def test_write_failures_are_ours(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30)), "2")
    with (
        pytest.raises(RasterError, match="cannot write"),
        creating(tmp_path / "none" / "work.tif", target),
    ):
        pass
    with creating(tmp_path / "work.tif", target) as writer:
        writer.write(Part(target.window, textured(2, 1, 40, 60), None))
    with pytest.raises(InputError, match="creation option 'COMPRESS', expected KEY=VALUE"):
        finish(
            tmp_path / "work.tif",
            tmp_path / "o.tif",
            target=target,
            driver="COG",
            options=["COMPRESS"],
        )
    with pytest.raises(RasterError, match="cannot write"):
        finish(
            tmp_path / "work.tif",
            tmp_path / "no" / "o.tif",
            target=target,
            driver="COG",
            options=[],
        )
    with pytest.raises(RasterError, match="cannot write"):
        write_image(tmp_path / "no" / "o.tif", textured(1, 1, 4, 4), target.grid)


def test_write_image(tmp_path: Path) -> None:
    with open_source(rasters.write(tmp_path / "a.tif", textured(1, 3, 4, 5))) as source:
        grid = source.description.grid
    pixels = textured(5, 3, 4, 5, dtype="uint16", high=9000)
    write_image(tmp_path / "b.tif", pixels, grid)
    np.testing.assert_array_equal(rasters.read(tmp_path / "b.tif"), pixels)
    assert read_grid(tmp_path / "b.tif") == grid


def test_what_does_not_read_back_was_not_written(tmp_path: Path) -> None:
    with open_source(rasters.write(tmp_path / "a.tif", textured(1, 2, 20, 30))) as source:
        zoom = Zoom.by_scale(source.description.grid, 2)
        target = Target(
            source=source.description, zoom=zoom, window=zoom.output.window, tags={}, masked=True
        )
    pixels, mask = textured(2, 2, 40, 60), np.eye(40, 60, dtype=np.bool_)
    with creating(tmp_path / "b.tif", target) as writer:
        writer.write(Part(target.window, pixels, mask))
    check_written(tmp_path / "b.tif", [Part(target.window, pixels, mask)])
    for part in (
        Part(target.window, pixels[::-1], mask),
        Part(target.window, pixels, np.zeros_like(mask)),
    ):
        with pytest.raises(RasterError, match="is the disk full"):
            check_written(tmp_path / "b.tif", [part])


def test_a_result_that_is_cut_off_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 600, 600))
    with open_source(source) as opened:
        zoom = Zoom.by_scale(opened.description.grid, 2)
        target = Target(
            source=opened.description, zoom=zoom, window=zoom.output.window, tags={}, masked=False
        )
    copy = rasterio.shutil.copy

    def on_a_full_disk(assembled: Path, out: Path, **options: Any) -> None:
        copy(assembled, out, **options)
        os.truncate(out, out.stat().st_size - 1000)

    monkeypatch.setattr("rasterio.shutil.copy", on_a_full_disk)
    with pytest.raises(RasterError, match=r"cannot write .*result\.tif"):
        finish(source, tmp_path / "result.tif", target=target, driver="COG", options=[])
