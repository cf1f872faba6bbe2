"""Pairs of two sensors on grids that are not aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine

from rs_superres import engine, zoo
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.lpips import Lpips
from rs_superres.evaluation.pairs import find_pairs
from rs_superres.evaluation.protocol import interpolate
from rs_superres.evaluation.scores import scores
from rs_superres.grid import AxisSupport, Grid, Shape, Zoom
from rs_superres.image.resampling import cubic
from rs_superres.scene.image import upscale_onto_grid
from rs_superres.scene.recipe import ModelSettings
from tests import rasters
from tests.rasters import NORTH_UP, RGB, textured

FINE = NORTH_UP @ Affine.translation(8.3, 6.7) @ Affine.scale(0.4)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    low, high = tmp_path / "low", tmp_path / "high"
    low.mkdir()
    high.mkdir()
    rasters.write(low / "a.tif", textured(1, 3, 60, 50), colours=RGB)
    rasters.write(high / "a.tiff", textured(2, 3, 90, 80), colours=RGB, transform=FINE)
    rasters.write(high / "z.tif", textured(2, 3, 90, 80), colours=RGB, transform=FINE)
    return low, high


def test_the_result_equals_that_of_like(
    folders: tuple[Path, Path], tmp_path: Path, tiny: str
) -> None:
    low, high = folders
    ((pair,), skipped) = find_pairs(low, high, None)
    assert (pair.name, pair.scale, skipped) == ("a.tiff", 2.5, [])
    case = pair.case(pair.scale, ConsistencyConfig())
    result, _ = upscale_onto_grid(
        case.low,
        case.zoom,
        ModelSettings(model=zoo.load(tiny), steps=0, precision="fp32", device=torch.device("cpu")),
    )
    out = tmp_path / "out.tif"
    options = engine.Options(like=high / "a.tiff", model=tiny, steps=0, precision="fp32")
    engine.upscale(low / "a.tif", out, options)
    # Positions are counted from another window, which may change the rounding.
    np.testing.assert_allclose(result.astype(float), rasters.read(out), atol=1)
    assert (result != rasters.read(out)).mean() < 1e-3
    assert case.valid.all()
    metrics = scores(case, result, interpolate(case), None)
    assert metrics["psnr"] < 20  # the two images are unrelated
    assert metrics["consistency"] < 1


def test_bicubic_is_at_the_positions_of_the_pixels(folders: tuple[Path, Path]) -> None:
    ((pair,), _) = find_pairs(*folders, None)
    case = pair.case(2.5, ConsistencyConfig())
    values = rasters.read(folders[0] / "a.tif")
    zoom = Zoom.by_grid(
        Grid(Shape(60, 50), NORTH_UP, rasters.UTM), Grid(Shape(90, 80), FINE, rasters.UTM)
    )
    rows, columns = (
        AxisSupport(0, a.source, a.positions(0, a.size)) for a in (zoom.rows, zoom.columns)
    )
    expected = np.rint(cubic(values, rows, columns).clip(0, 255))
    np.testing.assert_allclose(interpolate(case).astype(float), expected, atol=1)


def test_bands_are_compared_in_the_order_of_the_files(folders: tuple[Path, Path]) -> None:
    """Only the high resolution says that its first band is blue: it is not compared with red."""
    low, high = folders
    levels = np.array([1000, 2000, 3000], dtype=np.uint16)[:, None, None]
    noise = textured(1, 3, 90, 80, dtype="uint16", high=500.0)
    rasters.write(low / "a.tif", levels + noise[:, :60, :50])
    bgr = ("blue", "green", "red")
    rasters.write(high / "a.tiff", levels + noise, colours=bgr, transform=FINE)
    ((pair,), _) = find_pairs(low, high, None)
    case = pair.case(2.5, ConsistencyConfig())
    assert case.triplet == (2, 1, 0)
    assert not any(len(group.bands) == 3 for group in case.low.groups)
    for values in (case.truth, case.low.values, interpolate(case)):
        means = values.astype(np.float64).mean(axis=(1, 2))
        np.testing.assert_allclose(means, [1250, 2250, 3250], atol=100)
    bicubic = interpolate(case)
    metrics = scores(case, bicubic, bicubic, Lpips().eval())  # random weights
    assert 0 < metrics["lpips"] < np.inf
    assert scores(case, case.truth, bicubic, Lpips().eval())["lpips"] == 0
    # Black and white are those of the truth.
    assert (case.lows >= 1000).all()
    assert (case.lows + case.widths <= 3500).all()


def test_only_pixels_that_are_valid_in_both_are_compared(folders: tuple[Path, Path]) -> None:
    """The high resolution extends beyond the low resolution, and each has a hole."""
    low, high = folders
    out = NORTH_UP @ Affine.translation(-5, 10) @ Affine.scale(0.5)
    truth = textured(2, 3, 60, 60)
    truth[:, 50:] = 0
    rasters.write(high / "b.tif", truth, colours=RGB, transform=out, nodata=0)
    source = textured(1, 3, 60, 50).clip(1, 255)
    source[:, 12:15, :] = 0
    rasters.write(low / "b.tif", source, colours=RGB, nodata=0)
    pair = next(p for p in find_pairs(low, high, None)[0] if p.name == "b.tif")
    case = pair.case(2.0, ConsistencyConfig())
    valid = case.valid
    assert not valid[:, :10].any()  # to the left of the low resolution
    assert not valid[4:10].any()
    assert not valid[50:].any()
    assert valid[10:50, 10:].mean() > 0.99


def test_pairs_that_cannot_be_compared_are_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    low, high = folders
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no file of .* has the same name as one of"):
        find_pairs(tmp_path / "empty", high, None)
    with pytest.raises(InputError, match="is not a folder"):
        find_pairs(low / "a.tif", high, None)
    (low / "a.png").touch()
    with pytest.raises(InputError, match=r"holds a\.png and a\.tif, expected names that differ"):
        find_pairs(low, high, None)
    (low / "a.png").rename(low / ".a.png")
    rasters.write(high / "a.tiff", textured(2, 1, 90, 80), transform=FINE)
    with pytest.raises(InputError, match=r"none of 1 pairs can be used: .* has 3 bands, .* has 1,"):
        find_pairs(low, high, None)
    rasters.write(high / "a.tiff", textured(2, 3, 90, 80), transform=FINE, crs="EPSG:32634")
    with pytest.raises(InputError, match="different CRSs"):
        find_pairs(low, high, None)
    away = FINE @ Affine.translation(500, 0)
    rasters.write(high / "a.tiff", textured(2, 3, 90, 80), transform=away, colours=RGB)
    with pytest.raises(InputError, match="does not touch"):
        find_pairs(low, high, None)
