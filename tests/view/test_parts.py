"""Which windows a page shows, and that it stays within its limit."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.view import ViewOptions, view
from rs_superres.view.pair import opened
from rs_superres.view.parts import PARTS, Part, choose_parts, detailed_windows
from tests import rasters
from tests.rasters import NORTH_UP, textured
from tests.view.scenes import SCALE, write_noise, write_pair

LEAST = 3_000_000
"""Bytes of the smallest limit."""


def test_a_small_result_is_shown_entirely(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    with opened(str(out), source) as pair:
        assert choose_parts(pair, max_size=LEAST) == (Part("Entire result", Window(0, 0, 60, 72)),)


def test_a_large_result_has_an_overview_and_parts(tmp_path: Path) -> None:
    out, source = write_noise(tmp_path, 600)
    with opened(str(out), source) as pair:
        overview, *parts = choose_parts(pair, max_size=LEAST)
    assert overview.window == Window(0, 0, 1200, 1200)
    assert overview.overview is not None
    assert overview.overview.height < 300
    assert len(parts) == PARTS
    for part in parts:
        assert part.overview is None
        assert part.window.intersection(overview.window) == part.window
        assert part.window.height == part.window.width > 50
    for one, other in combinations(parts, 2):
        assert one.window.intersection(other.window) is None


def test_a_result_that_shrinks_is_shown_entirely(tmp_path: Path) -> None:
    """The limit holds what is written; noise does not shrink, and most scenes do."""
    names = {}
    for kind in ("smooth", "noise"):
        folder = tmp_path / kind
        folder.mkdir()
        out, source = write_noise(folder, 180)
        if kind == "smooth":
            smooth = textured(1, 3, 180, 180)
            rasters.write(source, smooth)
            half = NORTH_UP @ Affine.scale(0.5)
            rasters.write(out, smooth.repeat(2, 1).repeat(2, 2), transform=half)
        with opened(str(out), source) as pair:
            assert [part.name for part in choose_parts(pair, max_size=LEAST)] == ["Entire result"]
        page = view(str(out), source, ViewOptions(max_size=LEAST, verify=False))
        names[kind] = [part.name for part in page.parts]
    assert names["smooth"] == ["Entire result"]
    assert names["noise"][:2] == ["Overview", "Part 1"]


@pytest.mark.parametrize(
    ("bands", "dtype", "side"), [(3, "uint8", 700), (13, "uint16", 300), (30, "float64", 150)]
)
def test_a_page_never_exceeds_its_limit(tmp_path: Path, bands: int, dtype: str, side: int) -> None:
    """Noise fills what pages of other rasters leave empty."""
    out, source = write_noise(tmp_path, side, bands, dtype)
    page = view(str(out), source, ViewOptions(max_size=LEAST, verify=False))
    assert len(page.parts) == 1 + PARTS
    # Texts and the script take less than the 2 MB that are reserved.
    assert LEAST - 2_000_000 - 300_000 < len(page.html.encode()) <= LEAST


def test_parts_are_where_the_detail_is(tmp_path: Path) -> None:
    pixels = np.full((1, 900, 900), 100, np.uint8)
    generator = np.random.default_rng(1)
    pixels[:, 700:780, 100:180] = generator.integers(0, 255, (80, 80))
    pixels[:, 100:180, 600:680] = generator.integers(60, 140, (80, 80))
    source = rasters.write(tmp_path / "s.tif", pixels)
    fine = pixels.repeat(2, 1).repeat(2, 2)
    out = rasters.write(tmp_path / "o.tif", fine, transform=NORTH_UP @ Affine.scale(0.5))
    with opened(str(out), source) as pair:
        first, second = detailed_windows(pair, 300, 2)
    assert first.intersection(Window(1400, 200, 160, 160)) is not None
    assert second.intersection(Window(200, 1200, 160, 160)) is not None


def test_places_without_data_hold_no_detail(tmp_path: Path) -> None:
    pixels = np.zeros((1, 400, 400), np.uint8)
    pixels[:, 200:, 200:] = np.random.default_rng(1).integers(90, 110, (200, 200))
    source = rasters.write(tmp_path / "s.tif", pixels, nodata=0)
    fine = pixels.repeat(2, 1).repeat(2, 2)
    out = rasters.write(tmp_path / "o.tif", fine, transform=NORTH_UP @ Affine.scale(0.5), nodata=0)
    with opened(str(out), source) as pair:
        (window,) = detailed_windows(pair, 200, 1)
    assert window.row >= 400 - 64
    assert window.column >= 400 - 64


def test_bounds_choose_parts(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    pixel = NORTH_UP.a / SCALE
    left, top = NORTH_UP.c, NORTH_UP.f
    bounds = (left + 6 * pixel, top - 33 * pixel, left + 30.5 * pixel, top - 12 * pixel)
    with opened(str(out), source) as pair:
        overview, part = choose_parts(pair, [bounds], max_size=LEAST)
        assert overview.overview is not None
        assert part.window == Window(12, 6, 21, 25)
        with pytest.raises(InputError, match=r"bounds=\(0, 0, 1, 1\) lie outside the raster"):
            choose_parts(pair, [(0, 0, 1, 1)], max_size=LEAST)


def test_bounds_that_exceed_the_limit_are_refused(tmp_path: Path) -> None:
    out, source = write_noise(tmp_path, 600)
    edges = NORTH_UP.c, NORTH_UP.f - 6000, NORTH_UP.c + 6000, NORTH_UP.f
    with opened(str(out), source) as pair:
        message = r"1\.44 megapixels.*up to 15\.2 MB.*larger max_size="
        with pytest.raises(InputError, match=message):
            choose_parts(pair, [edges], max_size=LEAST)
        assert len(choose_parts(pair, [edges], max_size=30_000_000)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ViewOptions(max_size=1000), r"max_size=0\.001MB, expected 3MB to 256MB"),
        (ViewOptions(rgb=(1, 2)), "rgb= names 2 bands, expected 3"),
    ],
)
def test_options_that_no_page_can_have(options: ViewOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        options.check()
