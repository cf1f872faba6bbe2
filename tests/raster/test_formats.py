"""Results in their final format: written without loss, and read back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window, Zoom
from rs_superres.raster import (
    Target,
    creating,
    finish,
    open_source,
    read_grid,
    write_image,
)
from tests import rasters
from tests.raster.targets import target_of, write_tiles
from tests.rasters import RGB, textured


@pytest.mark.parametrize("driver", ["COG", "GTiff"])
def test_a_result_is_written_without_loss(tmp_path: Path, driver: str) -> None:
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 3, 300, 400), colours=RGB, tags={"MISSION": "one"}
    )
    target = replace(target_of(path, "2", Window(10, 20, 590, 770)), masked=True)
    pixels = textured(2, 3, 590, 770)
    mask = np.ones((590, 770), dtype=np.bool_)
    mask[:80] = False
    mosaic = write_tiles(tmp_path, target, pixels, mask)
    out = tmp_path / "out.tif"
    finish(mosaic, out, target=target, driver=driver, options=["COMPRESS=LZW"])
    np.testing.assert_array_equal(rasters.read(out), pixels)
    np.testing.assert_array_equal(rasters.masks(out), np.broadcast_to(mask, (3, 590, 770)))
    with rasters.opened(out) as dataset:
        assert dataset.transform == target.grid.transform
        assert dataset.profile["compress"] == "lzw"
        assert dataset.overviews(1) == [2]
        tags = dataset.tags()
        assert (tags["OURS"], tags["MISSION"]) == ("1", "one")
    assert not (tmp_path / "out.tif.msk").exists()


CLASSES = """<PAMRasterBand band="{band}">
  <CategoryNames><Category>none</Category><Category>forêt &amp; lac</Category></CategoryNames>
  <Histograms><HistItem><HistMin>0</HistMin><HistMax>2</HistMax><BucketCount>2</BucketCount>
    <IncludeOutOfRange>0</IncludeOutOfRange><Approximate>0</Approximate>
    <HistCounts>3|9</HistCounts></HistItem></Histograms>
  <Metadata><MDI key="STATISTICS_MEAN">9</MDI></Metadata>
  <GDALRasterAttributeTable tableType="thematic">
    <FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
    <FieldDefn index="1"><Name>Count</Name><Type>0</Type><Usage>1</Usage></FieldDefn>
    <FieldDefn index="2"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
    <Row index="0"><F>1</F><F>444</F><F>water</F></Row>
  </GDALRasterAttributeTable>
</PAMRasterBand>"""


@pytest.mark.parametrize("driver", ["COG", "GTiff"])
@pytest.mark.parametrize("masked", [False, True])
def test_names_of_classes_are_written_next_to_the_result(
    tmp_path: Path, gdal_tools: Path, driver: str, masked: bool
) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 2, 30, 40) // 128)
    sidecar = tmp_path / "a.tif.aux.xml"
    sidecar.write_text(f"<PAMDataset>{CLASSES.format(band=2)}</PAMDataset>", "utf-8")
    target = replace(target_of(path, "2"), masked=masked)
    pixels = textured(1, 2, 60, 80) // 128
    mask = np.arange(80) + np.zeros((60, 1)) > 20 if masked else None
    mosaic = write_tiles(tmp_path, target, pixels, mask)
    out = tmp_path / "out.tif"
    finish(mosaic, out, target=target, driver=driver, options=[])
    np.testing.assert_array_equal(rasters.read(out), pixels)
    if mask is not None:
        np.testing.assert_array_equal(rasters.masks(out)[1], mask)
    first, second = rasters.gdalinfo(gdal_tools, out)["bands"]
    assert "categories" not in first
    assert second["categories"] == ["none", "forêt & lac"]
    text = (tmp_path / "out.tif.aux.xml").read_text("utf-8")
    assert "<F>1</F>" in text
    assert "<F>water</F>" in text
    for stale in ("Count<", "444", "Histogram", "STATISTICS"):
        assert stale not in text


def test_white_stays_the_smallest_value(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 30, 40), photometric="MINISWHITE")
    target = target_of(path, "2")
    assert target.source.min_is_white
    mosaic = write_tiles(tmp_path, target, textured(2, 1, 60, 80), None)
    out = tmp_path / "out.tif"
    finish(mosaic, out, target=target, driver="GTiff", options=[])
    with rasters.opened(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["MINISWHITE"] == "YES"
    np.testing.assert_array_equal(rasters.read(out), textured(2, 1, 60, 80))


def test_small_results_have_no_overviews(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30)), "2")
    mosaic = write_tiles(tmp_path, target, textured(2, 1, 40, 60), None)
    for driver in ("COG", "GTiff"):
        out = tmp_path / f"{driver}.tif"
        finish(mosaic, out, target=target, driver=driver, options=[])
        with rasters.opened(out) as dataset:
            assert dataset.overviews(1) == []


def test_failures_of_writing_are_our_errors(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30)), "2")
    with (
        pytest.raises(RasterError, match="cannot write"),
        creating(tmp_path / "none" / "work.tif", target),
    ):
        pass
    mosaic = write_tiles(tmp_path, target, textured(2, 1, 40, 60), None)
    with pytest.raises(InputError, match="creation option 'COMPRESS', expected KEY=VALUE"):
        finish(
            mosaic,
            tmp_path / "o.tif",
            target=target,
            driver="COG",
            options=["COMPRESS"],
        )
    with pytest.raises(RasterError, match="cannot write"):
        finish(
            mosaic,
            tmp_path / "no" / "o.tif",
            target=target,
            driver="COG",
            options=[],
        )
    with pytest.raises(RasterError, match="cannot write"):
        write_image(tmp_path / "no" / "o.tif", textured(1, 1, 4, 4), target.grid)


def test_an_image_is_written_with_its_grid(tmp_path: Path) -> None:
    with open_source(rasters.write(tmp_path / "a.tif", textured(1, 3, 4, 5))) as source:
        grid = source.description.grid
    pixels = textured(5, 3, 4, 5, dtype="uint16", high=9000)
    write_image(tmp_path / "b.tif", pixels, grid)
    np.testing.assert_array_equal(rasters.read(tmp_path / "b.tif"), pixels)
    assert read_grid(tmp_path / "b.tif") == grid


def test_a_truncated_result_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 600, 600))
    with open_source(source) as opened:
        zoom = Zoom.by_scale(opened.description.grid, 2)
        target = Target(
            source=opened.description, zoom=zoom, window=zoom.output.window, tags={}, masked=False
        )
    copy = rasterio.shutil.copy

    def copy_to_a_full_disk(assembled: Path, out: Path, **options: Any) -> None:
        copy(assembled, out, **options)
        os.truncate(out, out.stat().st_size - 1000)

    monkeypatch.setattr("rasterio.shutil.copy", copy_to_a_full_disk)
    with pytest.raises(RasterError, match=r"cannot write .*result\.tif"):
        finish(source, tmp_path / "result.tif", target=target, driver="COG", options=[])
