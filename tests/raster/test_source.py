"""Pixels, samples and the checksum of an open raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Shape, Window
from rs_superres.raster import SAMPLE, checksum, open_source
from tests import products, rasters
from tests.rasters import textured


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.arange(2 * 11 * 13, dtype=np.uint16).reshape(2, 11, 13)
    return rasters.write(tmp_path_factory.mktemp("raster") / "a.tif", pixels, nodata=7)


@given(
    row=st.integers(-40, 30),
    column=st.integers(-40, 30),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_a_raster_continues_as_its_mirror_image(
    numbered: Path, row: int, column: int, height: int, width: int
) -> None:
    with open_source(numbered) as source:
        values, valid = source.read_mirrored(Window(row, column, height, width))
    padded = np.pad(rasters.read(numbered), ((0, 0), (80, 80), (80, 80)), mode="symmetric")
    window = np.s_[:, row + 80 : row + 80 + height, column + 80 : column + 80 + width]
    np.testing.assert_array_equal(values, padded[window])
    np.testing.assert_array_equal(valid, padded[window] != 7)


@pytest.mark.parametrize("shape", [(1, 1), (64, 65), (200, 90), (1100, 1030)])
def test_sampled_windows_depend_only_on_the_size(tmp_path: Path, shape: tuple[int, int]) -> None:
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


def test_a_window_at_reduced_size(tmp_path: Path) -> None:
    """Of each 3 x 3 pixels the middle one, with nodata, a mask and alpha as at full size."""
    rows, columns = np.mgrid[:60, :90]
    pixels = np.stack((rows, columns, np.where(columns < 45, 0, 255))).astype(np.uint8)
    mask = np.where(rows < 30, 0, 255).astype(np.uint8)
    window, shape = Window(6, 30, 45, 60), Shape(15, 20)
    for name, options, masked in (
        ("nodata", {"nodata": 40}, None),
        ("mask", {}, mask),
        ("alpha", {"colours": ("gray", "undefined", "alpha")}, None),
    ):
        path = rasters.write(tmp_path / f"{name}.tif", pixels, mask=masked, **options)
        with open_source(path) as source:
            for bands in ([0, 1, 2], [1, 0]):  # without alpha its transparency is a mask
                narrow = source.narrowed(bands)
                values, valid = narrow.read(window)
                reduced, known = narrow.read_reduced(window, shape)
                np.testing.assert_array_equal(reduced, values[:, 1::3, 1::3])
                np.testing.assert_array_equal(known, valid[:, 1::3, 1::3])
                assert reduced[0, 0, 0] == (7 if bands[0] == 0 else 31)
        assert not known.all()


def test_overviews_serve_reduced_sizes(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 64, 64))
    with rasters.opened(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    with open_source(path) as source:
        values, _ = source.read_reduced(Window(0, 0, 64, 64), Shape(16, 16))
    means = rasters.read(path).reshape(1, 16, 4, 16, 4).mean(axis=(2, 4))
    assert np.abs(values - means).max() <= 1


def test_bands_of_a_product_at_reduced_size(tmp_path: Path) -> None:
    """Bands with larger pixels lie where they lie at full size."""
    with open_source(products.sentinel2(tmp_path, side=60)) as source:
        names = [band.description for band in source.description.bands]
        narrow = source.narrowed([names.index("B02"), names.index("B05")])
        values, _ = narrow.read(Window(6, 12, 36, 42))
        reduced, _ = narrow.read_reduced(Window(6, 12, 36, 42), Shape(12, 14))
    assert narrow.description.bands[1].factor == 2
    np.testing.assert_array_equal(reduced, values[:, 1::3, 1::3])


def test_the_checksum_depends_on_header_and_samples(tmp_path: Path) -> None:
    def checksum_of(name: str, pixels: rasters.Array, **profile: Any) -> str:
        path = rasters.write(tmp_path / name, pixels, **profile)
        with open_source(path) as source:
            return checksum(source.description, source.samples())

    pixels = textured(3, 1, 20, 20)
    first = checksum_of("a.tif", pixels)
    assert checksum_of("b.tif", pixels) == first
    assert checksum_of("c.tif", pixels, nodata=3) != first
    pixels[0, 7, 7] += 1
    assert checksum_of("d.tif", pixels) != first


def test_the_epoch_of_coordinates_belongs_to_the_checksum(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 9, 9))
    digests, other = set(), tmp_path / "b.tif"
    for epoch in ("", ' coordinateEpoch="2020.5"', ' coordinateEpoch="2021"'):
        pam = f"<PAMDataset><SRS{epoch}>{rasters.UTM}</SRS></PAMDataset>"
        (tmp_path / "a.tif.aux.xml").write_text(pam)
        with open_source(path) as source:
            digests.add(checksum(source.description, source.samples()))
    assert len(digests) == 3
    rasters.write(other, textured(2, 1, 9, 9))
    with pytest.raises(InputError, match=r"b\.tif has the coordinate epoch None, .* 2021"):
        open_source([path, other])


def test_a_truncated_file_cannot_be_read(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 400, 400))
    path.write_bytes(path.read_bytes()[:90_000])
    with open_source(path) as source, pytest.raises(RasterError, match="cannot read") as caught:
        source.read(Window(0, 0, 400, 400))
    assert "\n" not in str(caught.value)
