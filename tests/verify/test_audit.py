"""The audit speaks on each planted fault, names it, and is silent on plain interpolation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from skimage.exposure import match_histograms

from rs_superres.engine import Options, upscale
from rs_superres.verify import Audit, Finding, verify
from tests import rasters
from tests.rasters import NORTH_UP, UTM, Array
from tests.verify import made


def failed(audit: Audit) -> set[str]:
    return {finding.name for finding in audit.failed}


def named(audit: Audit, name: str) -> Finding:
    return next(f for f in audit.findings if f.name == name)


@pytest.mark.parametrize("tool", ["gdal_translate", "gdalwarp"])
@pytest.mark.parametrize("kernel", ["cubic", "lanczos"])
@pytest.mark.parametrize(
    "scale",
    [pytest.param(2, marks=pytest.mark.full), 2.5, pytest.param(3.7, marks=pytest.mark.full)],
)
@pytest.mark.parametrize(
    ("dtype", "hole"), [("uint8", None), ("uint8", 0.0), ("uint16", None), ("float32", -9999.0)]
)
def test_plain_interpolation_passes(  # noqa: PLR0913, PLR0917 (every combination)
    tool: str, kernel: str, scale: float, dtype: str, hole: float | None, tmp_path: Path,
    gdal_tools: Path,
) -> None:  # fmt: skip
    source = made.source(tmp_path / "s.tif", dtype, hole=hole)
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", scale, kernel, tool)
    audit = verify(str(out), source)
    assert not audit.failed, audit.failed
    assert named(audit, "registration").measured is not None
    assert named(audit, "bias").measured is not None


def half_pixel(image: Array) -> Array:
    """Half a source pixel at x3, to the left."""
    out: Array = np.roll(image, -1, axis=2) * 0.5 + np.roll(image, -2, axis=2) * 0.5
    return np.rint(out).astype(image.dtype)


def dimmed(image: Array) -> Array:
    ramp = np.minimum(1, (np.arange(image.shape[1]) + 1) / 8)
    out: Array = (image * ramp[:, None]).astype(image.dtype)
    return out


def matched(image: Array) -> Array:
    """Tiles of 128 pixels, each with the histogram of the scene's first."""
    out = image.copy()
    for row in range(0, image.shape[1], 128):
        for column in range(0, image.shape[2], 128):
            at = np.s_[:, row : row + 128, column : column + 128]
            told = match_histograms(image[at], image[:, :64, :64], channel_axis=0)
            out[at] = np.rint(told)
    return out


def broken(image: Array) -> Array:
    out = image.copy()
    out[0, 30, 40] = np.nan
    return out


def stepped(image: Array) -> Array:
    """Every other tile of 64 pixels four digital numbers brighter: seams, and little else."""
    rows, columns = np.indices(image.shape[1:]) // 64
    out: Array = (image + 4 * ((rows + columns) % 2)).astype(image.dtype)
    return out


def stretched(image: Array) -> Array:
    return np.rint(image * 0.5 + 60).astype(image.dtype)


FAULTS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "half a pixel": (half_pixel, "registration"),
    "a dimmed border": (dimmed, "border"),
    "matched histograms": (matched, "tiles"),
    "seams": (stepped, "seams"),
    "half the contrast": (stretched, "rms"),
    "swapped bands": (lambda image: image[[1, 0, 2]], "spectral angle"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named(fault: str, tmp_path: Path, gdal_tools: Path) -> None:
    spoil, name = FAULTS[fault]
    source = made.source(tmp_path / "s.tif")
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", 3)
    assert not verify(str(out), source).failed
    rewrite(out, spoil)
    assert name in failed(verify(str(out), source))


def rewrite(path: Path, spoil: Callable[[Array], Array]) -> None:
    image = rasters.read(path)
    with rasters.opened(path, "r+") as dataset:
        dataset.write(spoil(image))


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 2), ("uint16", 2.5), ("uint8", 3.7)])
def test_truncation_is_told_from_rounding(
    dtype: str, scale: float, tmp_path: Path, gdal_tools: Path
) -> None:
    source = made.source(tmp_path / "s.tif", dtype)
    exact = rasters.write(tmp_path / "f.tif", rasters.read(source).astype(np.float64))
    wide = made.enlarged(gdal_tools, exact, tmp_path / "w.tif", scale)
    values, transform = rasters.read(wide), rasters.transform_of(wide)
    for convert, wanted in ((np.rint, set[str]()), (np.floor, {"bias"})):
        whole = convert(values).clip(0, np.iinfo(dtype).max).astype(dtype)
        out = rasters.write(tmp_path / "o.tif", whole, transform=transform)
        audit = verify(str(out), source)
        assert failed(audit) == wanted
    assert named(audit, "bias").measured == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("axis", "scale"), [(1, 2), (2, 2.5), (1, 3.7)])
def test_a_dropped_last_row_or_column(
    axis: int, scale: float, tmp_path: Path, gdal_tools: Path
) -> None:
    source = made.source(tmp_path / "s.tif")
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", scale)
    image, transform = rasters.read(out), rasters.transform_of(out)
    short = image[:, :-1] if axis == 1 else image[:, :, :-1]
    assert failed(verify(str(rasters.write(out, short, transform=transform)), source)) == {"extent"}
    # The same, with the transform stretched over the whole: nothing but the content tells.
    ratio = [a / b for a, b in zip(image.shape[:0:-1], short.shape[:0:-1], strict=True)]
    rasters.write(out, short, transform=transform @ Affine.scale(*ratio))
    assert "registration" in failed(verify(str(out), source))


def test_windows_pass(tmp_path: Path, gdal_tools: Path) -> None:
    source = made.source(tmp_path / "s.tif")
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", 2.5)
    image, transform = rasters.read(out), rasters.transform_of(out)
    part = rasters.write(
        tmp_path / "p.tif",
        image[:, 20:320, 33:301],
        transform=transform @ Affine.translation(33, 20),
    )
    assert not verify(str(part), source).failed


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_nodata_turned_to_0(dtype: str, tmp_path: Path, gdal_tools: Path) -> None:
    hole = 255.0 if dtype == "uint8" else -9999.0
    source = made.source(tmp_path / "s.tif", dtype, hole=hole)
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", 2.5)
    assert not verify(str(out), source).failed
    rewrite(out, lambda image: np.where(image == hole, 0, image).astype(dtype))
    assert "mask invented" in failed(verify(str(out), source))


def test_lost_pixels_and_numbers_that_are_none(tmp_path: Path, gdal_tools: Path) -> None:
    source = made.source(tmp_path / "s.tif", "float32", hole=-9999.0)
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", 2)
    rewrite(out, broken)
    assert failed(verify(str(out), source)) == {"non-finite"}

    def lost(image: Array) -> Array:
        image[:, :20, :20] = -9999
        return image

    rewrite(out, lost)
    assert "mask lost" in failed(verify(str(out), source))


def test_what_the_file_says_of_itself(tmp_path: Path, gdal_tools: Path) -> None:
    source = made.source(tmp_path / "s.tif")
    with rasters.opened(source, "r+") as dataset:
        dataset.scales, dataset.offsets, dataset.units = (0.1,) * 3, (5.0,) * 3, ("K",) * 3
    out = made.enlarged(gdal_tools, source, tmp_path / "o.tif", 2)
    audit = verify(str(out), source)
    assert not audit.failed
    assert named(audit, "units").detail == "the unit K is no longer named"
    with rasters.opened(out, "r+") as dataset:
        dataset.units = ("m",) * 3
    assert named(verify(str(out), source), "units").detail == "unit K became m"
    image, transform = rasters.read(out), rasters.transform_of(out)
    rasters.write(out, image.astype(np.float32), transform=transform, crs="EPSG:32634")
    assert {"crs", "dtype", "units"} <= failed(verify(str(out), source))
    rasters.write(out, image[:2], transform=transform)
    assert "bands" in failed(verify(str(out), source))
    assert "bands" not in failed(verify(str(out), source, bands=(1, 2)))


PLACES = {
    "rotated": NORTH_UP @ Affine.rotation(20),
    "south-up": Affine(10, 0, 5e5, 0, 10, 5.3e6),
    "nothing": None,
}


@pytest.mark.parametrize("place", [*PLACES, "control points"])
@pytest.mark.parametrize("shifted", [False, True])
def test_any_place_can_be_audited(place: str, shifted: bool, tmp_path: Path, tiny: str) -> None:
    image = made.pixels()
    profile: dict[str, Any] = {}
    if place == "control points":
        profile["gcps"] = [
            GroundControlPoint(row=r, col=c, x=1e5 + c, y=2e5 - r)
            for r in (0, 70, 150) for c in (0, 90, 170)
        ]  # fmt: skip
    transform = PLACES.get(place)
    source = rasters.write(
        tmp_path / "s.tif", image, transform=transform,
        crs=None if place == "nothing" else UTM, **profile,
    )  # fmt: skip
    out = tmp_path / "o.tif"
    upscale(source, out, Options(scale=3, steps=0, model=tiny, format="gtiff"))
    if shifted:
        rewrite(out, half_pixel)
    found = verify(str(out), source)
    assert ("registration" in failed(found)) == shifted
    assert not failed(found) & {"placement", "extent", "crs", "mask lost", "mask invented"}


def test_a_result_that_lies_elsewhere(tmp_path: Path) -> None:
    image = made.pixels()
    source = rasters.write(tmp_path / "s.tif", image)
    for transform in (
        NORTH_UP @ Affine.translation(500, 0) @ Affine.scale(0.5),
        NORTH_UP @ Affine.rotation(3) @ Affine.scale(0.5),
        NORTH_UP,
        Affine(5, 0, 5e5, 0, 5, 5.4e6),
    ):
        out = rasters.write(tmp_path / "o.tif", image, transform=transform)
        audit = verify(str(out), source)
        assert "placement" in failed(audit)
        assert audit.scale is None
