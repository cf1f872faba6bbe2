"""Control points and rational polynomials of a result."""

from __future__ import annotations

from pathlib import Path

import pytest
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer, RPCTransformer

from rs_superres.grid import Window
from tests import rasters
from tests.raster.targets import target_of
from tests.rasters import textured

WINDOWS = [None, Window(4, 7, 20, 9)]


@pytest.mark.parametrize("scale", ["2", "3.5", "6.3"])
@pytest.mark.parametrize("window", WINDOWS)
def test_control_points_keep_their_ground_positions(
    tmp_path: Path, scale: str, window: Window | None
) -> None:
    """A ground position has the same pixel by the new points as by the old ones, scaled."""
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
    points = list(target.source.control_points)  # with the file's ids
    r = target.zoom.rows.size / 11, target.zoom.columns.size / 13
    first = window or Window(0, 0, 0, 0)
    for old, new in zip(points, moved, strict=True):
        assert (new.x, new.y, new.z, new.id) == (old.x, old.y, old.z, old.id)
        assert new.row == pytest.approx(old.row * r[0] - first.row, abs=1e-9)
        assert new.col == pytest.approx(old.col * r[1] - first.column, abs=1e-9)
    with GCPTransformer(points) as before, GCPTransformer(moved) as after:
        for row, column in ((2, 3), (8, 12)):  # rasterio adds half a pixel
            ground = after.xy(row, column)
            back = before.rowcol(*ground, op=float)
            expected = (row + 0.5 + first.row) / r[0], (column + 0.5 + first.column) / r[1]
            assert back == pytest.approx(expected, abs=1e-6)


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
def test_rational_polynomials_keep_their_ground_positions(
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
    # GDAL's transformer agrees; it counts coordinates from the corner of a pixel.
    with RPCTransformer(MODEL) as before, RPCTransformer(moved) as after:
        ground = [7.02, 6.97], [45.01, 44.96], [100.0, 300.0]
        rows, columns = before.rowcol(*ground, op=float)
        new_rows, new_columns = after.rowcol(*ground, op=float)
        for i in range(2):
            assert new_rows[i] == pytest.approx(rows[i] * r[0] - first.row, abs=1e-4)
            assert new_columns[i] == pytest.approx(columns[i] * r[1] - first.column, abs=1e-4)


def test_rasters_without_control_points_and_polynomials(tmp_path: Path) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 11, 13)), "2")
    assert target.control_points() == []
    assert target.rational() is None
