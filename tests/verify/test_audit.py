"""The audit reports each planted fault, and passes plain interpolation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from skimage.exposure import match_histograms

from rs_superres.config import ConsistencyConfig
from rs_superres.engine import Options, upscale
from rs_superres.errors import InputError
from rs_superres.verify import Audit, Finding, verify
from rs_superres.verify.audit import stated_kernels
from tests import rasters
from tests.rasters import NORTH_UP, UTM, Array, textured
from tests.verify import pairs

Spoil = Callable[[Array], Array]
"""Plants a fault in an image, (band, y, x)."""


def failed(audit: Audit) -> set[str]:
    return {finding.name for finding in audit.failed}


def finding_of(audit: Audit, name: str) -> Finding:
    return next(f for f in audit.findings if f.name == name)


def rewrite(path: Path, spoil: Spoil) -> None:
    image = rasters.read(path)
    with rasters.opened(path, "r+") as dataset:
        dataset.write(spoil(image))


@pytest.fixture(scope="module")
def cubic_x3(tmp_path_factory: pytest.TempPathFactory, gdal_tools: Path) -> tuple[Path, Path]:
    """A source and its cubic interpolation at x3, which passes. Tests only read them."""
    folder = tmp_path_factory.mktemp("cubic")
    source = pairs.write_source(folder / "s.tif")
    out = pairs.upscale_with_gdal(gdal_tools, source, folder / "o.tif", 3)
    assert not verify(str(out), source).failed
    return source, out


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
    tool: str,
    kernel: str,
    scale: float,
    dtype: str,
    hole: float | None,
    tmp_path: Path,
    gdal_tools: Path,
) -> None:
    source = pairs.write_source(tmp_path / "s.tif", dtype, hole=hole)
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", scale, kernel, tool)
    audit = verify(str(out), source)
    assert not audit.failed, audit.failed
    assert finding_of(audit, "registration").measured is not None
    assert finding_of(audit, "bias").measured is not None


@pytest.mark.parametrize("hidden", [0, 255])
def test_a_rim_at_transparent_edges_is_reported(
    hidden: int, tmp_path: Path, gdal_tools: Path
) -> None:
    colours = pairs.pixels() // 4 + 120
    hole = np.s_[:, 60:90, 50:80]
    colours[hole] = hidden
    alpha = np.full((1, *colours.shape[1:]), 255, dtype=np.uint8)
    alpha[hole] = 0
    source = rasters.write(
        tmp_path / "s.tif", np.concatenate((colours, alpha)), colours=(*rasters.RGB, "alpha")
    )
    out = tmp_path / "o.tif"
    weighed = pairs.upscale_with_gdal(gdal_tools, source, out, 3, "cubic", "gdalwarp")
    assert not verify(str(weighed), source).failed
    bands = pairs.upscale_with_gdal(
        gdal_tools, rasters.write(tmp_path / "c.tif", colours), tmp_path / "mixed.tif", 3
    )
    with rasters.opened(weighed, "r+") as dataset:
        dataset.write(rasters.read(bands), [1, 2, 3])
    assert failed(verify(str(weighed), source)) == {"border"}


def shift_half_a_pixel(image: Array) -> Array:
    """Shift by half a source pixel at x3, to the left."""
    shifted: Array = np.roll(image, -1, axis=2) * 0.5 + np.roll(image, -2, axis=2) * 0.5
    return np.rint(shifted).astype(image.dtype)


def dim_the_top(image: Array) -> Array:
    ramp = np.minimum(1, (np.arange(image.shape[1]) + 1) / 8)
    dimmed: Array = (image * ramp[:, None]).astype(image.dtype)
    return dimmed


def match_tiles(image: Array) -> Array:
    """Give tiles of 128 pixels the histogram of the scene's corner."""
    out = image.copy()
    for row in range(0, image.shape[1], 128):
        for column in range(0, image.shape[2], 128):
            tile = np.s_[:, row : row + 128, column : column + 128]
            matched = match_histograms(image[tile], image[:, :64, :64], channel_axis=0)
            out[tile] = np.rint(matched)
    return out


def step_tiles(image: Array) -> Array:
    """Brighten every other tile of 64 pixels by 4, which causes seams and little else."""
    rows, columns = np.indices(image.shape[1:]) // 64
    stepped: Array = (image + 4 * ((rows + columns) % 2)).astype(image.dtype)
    return stepped


def halve_the_contrast(image: Array) -> Array:
    return np.rint(image * 0.5 + 60).astype(image.dtype)


def swap_bands(image: Array) -> Array:
    return image[[1, 0, 2]]


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (shift_half_a_pixel, "registration"),
        (dim_the_top, "border"),
        (match_tiles, "tiles"),
        (step_tiles, "seams"),
        (halve_the_contrast, "rms"),
        (swap_bands, "spectral angle"),
    ],
)
def test_planted_faults_are_reported(
    spoil: Spoil, check: str, cubic_x3: tuple[Path, Path], tmp_path: Path
) -> None:
    source, plain = cubic_x3
    out = Path(shutil.copy(plain, tmp_path / "o.tif"))
    rewrite(out, spoil)
    assert check in failed(verify(str(out), source))


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 2), ("uint16", 2.5), ("uint8", 3.7)])
def test_truncation_is_distinguished_from_rounding(
    dtype: str, scale: float, tmp_path: Path, gdal_tools: Path
) -> None:
    source = pairs.write_source(tmp_path / "s.tif", dtype)
    exact = rasters.write(tmp_path / "f.tif", rasters.read(source).astype(np.float64))
    upscaled = pairs.upscale_with_gdal(gdal_tools, exact, tmp_path / "w.tif", scale)
    values, transform = rasters.read(upscaled), rasters.transform_of(upscaled)
    for convert, expected in ((np.rint, set[str]()), (np.floor, {"bias"})):
        integers = convert(values).clip(0, np.iinfo(dtype).max).astype(dtype)
        out = rasters.write(tmp_path / "o.tif", integers, transform=transform)
        audit = verify(str(out), source)
        assert failed(audit) == expected
    assert finding_of(audit, "bias").measured == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("axis", "scale"), [(1, 2), (2, 2.5), (1, 3.7)])
def test_a_dropped_last_row_or_column_is_reported(
    axis: int, scale: float, tmp_path: Path, gdal_tools: Path
) -> None:
    source = pairs.write_source(tmp_path / "s.tif")
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", scale)
    image, transform = rasters.read(out), rasters.transform_of(out)
    short = image[:, :-1] if axis == 1 else image[:, :, :-1]
    rasters.write(out, short, transform=transform)
    assert failed(verify(str(out), source)) == {"extent"}
    # With the transform stretched over the full extent, only the pixels show the fault.
    ratio = [a / b for a, b in zip(image.shape[:0:-1], short.shape[:0:-1], strict=True)]
    rasters.write(out, short, transform=transform @ Affine.scale(*ratio))
    assert "registration" in failed(verify(str(out), source))


def test_windows_pass(cubic_x3: tuple[Path, Path], tmp_path: Path) -> None:
    source, plain = cubic_x3
    window = rasters.write(
        tmp_path / "w.tif",
        rasters.read(plain)[:, 20:320, 33:301],
        transform=rasters.transform_of(plain) @ Affine.translation(33, 20),
    )
    assert not verify(str(window), source).failed


@pytest.mark.parametrize(("dtype", "hole"), [("uint8", 255.0), ("float32", -9999.0)])
def test_nodata_turned_to_0_is_reported(
    dtype: str, hole: float, tmp_path: Path, gdal_tools: Path
) -> None:
    source = pairs.write_source(tmp_path / "s.tif", dtype, hole=hole)
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", 2.5)
    assert not verify(str(out), source).failed
    rewrite(out, lambda image: np.where(image == hole, 0, image).astype(dtype))
    assert "mask invented" in failed(verify(str(out), source))


def test_lost_and_non_finite_pixels_are_reported(tmp_path: Path, gdal_tools: Path) -> None:
    source = pairs.write_source(tmp_path / "s.tif", "float32", hole=-9999.0)
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", 2)

    def one_nan(image: Array) -> Array:
        image[0, 30, 40] = np.nan
        return image

    rewrite(out, one_nan)
    assert failed(verify(str(out), source)) == {"non-finite"}

    def lost_corner(image: Array) -> Array:
        image[:, :20, :20] = -9999
        return image

    rewrite(out, lost_corner)
    assert "mask lost" in failed(verify(str(out), source))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_result_cut_to_polygons_has_lost_nothing(dtype: str, tmp_path: Path, tiny: str) -> None:
    """Given the polygons, the audit looks only inside them. Otherwise it does not judge what the
    result lacks."""
    source = pairs.write_source(tmp_path / "s.tif", dtype)
    with rasters.opened(source) as dataset:
        left, bottom, right, top = dataset.bounds
        crs = str(dataset.crs)
    corners = [[left, bottom], [(left + right) / 2, top], [right, bottom], [left, bottom]]
    aoi = tmp_path / "field.geojson"
    aoi.write_text(
        json.dumps(
            {
                "type": "Polygon",
                "coordinates": [corners],
                "crs": {"type": "name", "properties": {"name": crs}},
            }
        )
    )
    out = tmp_path / "o.tif"
    upscale(source, out, Options(scale=2, model=tiny, steps=0, aoi=aoi, format="gtiff"))
    without_polygons = verify(str(out), source)
    with_polygons = verify(str(out), source, aoi=aoi)
    both = failed(without_polygons) | failed(with_polygons)
    assert not {"mask lost", "non-finite"} & both
    lost = "mask lost" if dtype == "uint8" else "non-finite"
    assert finding_of(without_polygons, lost).measured is None
    assert "area of interest" in finding_of(without_polygons, lost).detail
    assert finding_of(with_polygons, lost).measured == 0
    with rasters.opened(out, "r+") as dataset:
        mask = dataset.dataset_mask()
        mask[mask.shape[0] // 2 :] = 0
        if dtype == "uint8":
            dataset.write_mask(mask)
        else:
            dataset.write(np.where(mask, dataset.read(), np.nan).astype(dtype))
    assert lost in failed(verify(str(out), source, aoi=aoi))


def test_changed_metadata_is_reported(tmp_path: Path, gdal_tools: Path) -> None:
    source = pairs.write_source(tmp_path / "s.tif")
    with rasters.opened(source, "r+") as dataset:
        dataset.scales, dataset.offsets, dataset.units = (0.1,) * 3, (5.0,) * 3, ("K",) * 3
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", 2)
    audit = verify(str(out), source)
    assert not audit.failed
    assert finding_of(audit, "units").detail == "the unit K is missing"
    with rasters.opened(out, "r+") as dataset:
        dataset.units = ("m",) * 3
    assert finding_of(verify(str(out), source), "units").detail == "unit K became m"
    image, transform = rasters.read(out), rasters.transform_of(out)
    rasters.write(out, image.astype(np.float32), transform=transform, crs="EPSG:32634")
    assert {"crs", "dtype", "units"} <= failed(verify(str(out), source))


def test_a_lost_coordinate_epoch_is_reported(tmp_path: Path, gdal_tools: Path) -> None:
    source = pairs.write_source(tmp_path / "s.tif")
    out = pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", 2)
    srs = '<SRS coordinateEpoch="2020.5">EPSG:32633</SRS>'
    (tmp_path / "s.tif.aux.xml").write_text(f"<PAMDataset>{srs}</PAMDataset>")
    finding = finding_of(verify(str(out), source), "crs")
    assert finding.measured == 1
    assert finding.detail == "the source's coordinate epoch is 2020.5, the result's None"
    (tmp_path / "o.tif.aux.xml").write_text(f"<PAMDataset>{srs}</PAMDataset>")
    assert finding_of(verify(str(out), source), "crs").measured == 0


def test_missing_bands_are_reported_unless_listed(
    cubic_x3: tuple[Path, Path], tmp_path: Path
) -> None:
    source, plain = cubic_x3
    transform = rasters.transform_of(plain)
    out = rasters.write(tmp_path / "o.tif", rasters.read(plain)[:2], transform=transform)
    assert failed(verify(str(out), source)) == {"bands"}
    assert not failed(verify(str(out), source, bidx=(1, 2)))
    with pytest.raises(InputError, match=r"bidx= lists band 4, .*s\.tif has bands 1 to 3"):
        verify(str(out), source, bidx=(4,))


TRANSFORMS = {
    "rotated": NORTH_UP @ Affine.rotation(20),
    "south-up": Affine(10, 0, 5e5, 0, 10, 5.3e6),
    "none": None,
}


@pytest.mark.parametrize("georeference", [*TRANSFORMS, "control points"])
def test_any_georeference_can_be_audited(georeference: str, tmp_path: Path, tiny: str) -> None:
    profile: dict[str, Any] = {}
    if georeference == "control points":
        profile["gcps"] = [
            GroundControlPoint(row=row, col=column, x=1e5 + column, y=2e5 - row)
            for row in (0, 50, 100)
            for column in (0, 60, 110)
        ]
    source = rasters.write(
        tmp_path / "s.tif",
        pairs.pixels()[:, :100, :110],
        transform=TRANSFORMS.get(georeference),
        crs=None if georeference == "none" else UTM,
        **profile,
    )
    out = tmp_path / "o.tif"
    upscale(source, out, Options(scale=3, steps=0, model=tiny, format="gtiff"))
    never = {"placement", "extent", "crs", "mask lost", "mask invented"}
    assert not failed(verify(str(out), source)) & {"registration", *never}
    rewrite(out, shift_half_a_pixel)
    shifted = failed(verify(str(out), source))
    assert "registration" in shifted
    assert not shifted & never


@pytest.mark.parametrize(
    ("transform", "fault"),
    [
        (NORTH_UP @ Affine.translation(500, 0) @ Affine.scale(0.5), "lies outside the source"),
        (NORTH_UP @ Affine.rotation(3) @ Affine.scale(0.5), "is rotated against"),
        (NORTH_UP, "expected smaller than 1 x 1"),
        (Affine(5, 0, 5e5, 0, 5, 5.4e6), "run in the opposite direction"),
    ],
)
def test_grids_that_do_not_fit_are_reported(transform: Affine, fault: str, tmp_path: Path) -> None:
    source = rasters.write(tmp_path / "s.tif", pairs.pixels())
    out = rasters.write(tmp_path / "o.tif", pairs.pixels(), transform=transform)
    audit = verify(str(out), source)
    assert "placement" in failed(audit)
    assert fault in finding_of(audit, "placement").detail
    assert audit.scale is None


@pytest.mark.parametrize("names", [None, ("a", "b", "c", "d")])
def test_a_result_says_which_bands_of_its_source_it_holds(
    tmp_path: Path, tiny: str, names: tuple[str, ...] | None
) -> None:
    """By a tag; results of other tools by the names of their bands."""
    source, out = tmp_path / "a.tif", tmp_path / "b.tif"
    rasters.write(source, textured(1, 4, 60, 64))
    with rasters.opened(source, "r+") as dataset:
        dataset.descriptions = names or (None,) * 4
    options = Options(scale=2, model=tiny, steps=0, bidx=(4, 1, 3), rgb="none", format="gtiff")
    upscale(source, out, options)
    with rasters.opened(out, "r+") as dataset:
        assert dataset.tags()["SUPERRES_SOURCE_BANDS"] == "4,1,3"
        if names is not None:
            dataset.update_tags(SUPERRES_SOURCE_BANDS="1,2,3")  # names say more
    assert not failed(verify(str(out), source))
    with rasters.opened(out, "r+") as dataset:
        dataset.update_tags(SUPERRES_SOURCE_BANDS="4,1,9")
    assert bool(failed(verify(str(out), source))) == (names is None)
    assert not failed(verify(str(out), source, bidx=(4, 1, 3)))
    assert failed(verify(str(out), source, bidx=(1, 2, 3)))


def test_a_result_is_downsampled_by_the_kernel_that_it_was_corrected_for(
    tmp_path: Path, tiny: str
) -> None:
    """The tags name the kernel; any other tool's result is downsampled by the cubic one."""
    source, out = tmp_path / "a.tif", tmp_path / "b.tif"
    rasters.write(source, textured(1, 4, 60, 64))
    options = Options(scale=3, model=tiny, steps=0, mtf=0.15, limits="none", format="gtiff")
    upscale(source, out, options)
    audit = verify(str(out), source)
    assert not failed(audit)
    assert finding_of(audit, "rms").detail.endswith(
        "by the tags' kernel, Gaussian with an MTF of 0.15"
    )
    with rasters.opened(out, "r+") as dataset:
        dataset.update_tags(SUPERRES_CONSISTENCY="off")
    audit = verify(str(out), source)
    assert "rms" in failed(audit)
    assert "kernel" not in finding_of(audit, "rms").detail


GAUSSIAN, CUBIC = (ConsistencyConfig(kernel="gaussian", mtf=0.2), ConsistencyConfig())


@pytest.mark.parametrize(
    ("bands", "consistency", "expected"),
    [
        (
            "joint 3,2,1; alone 4",
            "Gaussian with an MTF of 0.2",
            dict.fromkeys((2, 1, 0, 3), GAUSSIAN),
        ),
        (
            "joint 1,2,3; alone 5,6; nearest 4",
            "antialiased bicubic; Gaussian with an MTF of 0.2, noise of 3.5; off",
            {0: CUBIC, 1: CUBIC, 2: CUBIC, 4: GAUSSIAN},
        ),
        (
            "alone 1,2",
            "area mean, within 1.00% of the value range; off, the source was sharpened",
            {0: ConsistencyConfig(kernel="area")},
        ),
        ("joint 1,2,3; alone 4", "antialiased bicubic; off; off", {}),
        ("alone 1", "Gaussian with an MTF of 3", {}),
        ("alone 1", "Gaussian with an MTF of 0.0", {}),
        ("", "antialiased bicubic", {}),
    ],
)
def test_kernels_are_read_from_the_tags(
    bands: str, consistency: str, expected: dict[int, ConsistencyConfig]
) -> None:
    tags = {"SUPERRES_BANDS": bands, "SUPERRES_CONSISTENCY": consistency}
    assert stated_kernels(tags) == expected


def test_without_tags_no_kernel_is_stated() -> None:
    assert stated_kernels({}) == {}
