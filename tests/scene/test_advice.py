"""Test the warning about pixel sizes and the notes about colours."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres.config import TrainedConfig
from rs_superres.engine import Options, plan
from rs_superres.grid import Grid, Shape
from rs_superres.raster import Band
from rs_superres.scene.advice import colour_note, drone_note, pixel_size_warning, wrapped_note
from rs_superres.scene.bands import roles_of
from rs_superres.scene.colours import Colours
from rs_superres.scene.survey import survey
from tests import rasters
from tests.rasters import textured

TRAINED = TrainedConfig(scales=(1.5, 4), pixel_size=(0.5, 5))


def grid(size: float, crs: str | None, x: float, y: float) -> Grid:
    return Grid(Shape(100, 100), Affine(size, 0, x, 0, -size, y), crs)


@pytest.mark.parametrize(
    ("place", "warns"),
    [
        (grid(30, "EPSG:32632", 500_000, 5_400_000), True),
        (grid(30 / 111_320, "EPSG:4326", 9, 2), True),
        (grid(8, "EPSG:32632", 500_000, 5_400_000), False),
        (grid(8 / 111_320, "EPSG:4326", 9, 2), False),
        (grid(15 / 111_320, "EPSG:4326", 9, 75), False),  # 7.6 m, as degrees of longitude are short
        (grid(100, "EPSG:2263", 900_000, 200_000), True),  # in feet
        (grid(30, None, 0, 0), False),
    ],
)
def test_the_size_on_the_ground_counts_in_any_crs(place: Grid, warns: bool) -> None:
    warning = pixel_size_warning(place, "tiny", TRAINED)
    assert (warning is not None) is warns
    if warning is not None:
        assert "m pixels are outside the training range of the model tiny (0.5 to 5 m)" in warning


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (
            ("B1", "B2", "B3", "B4", "B8A"),
            "bands 4,3,2 are named B4, B3 and B2, .* of sentinel-2: .* sensor='sentinel-2' undoes",
        ),
        (
            ("Blue", "Green", "Red", "Red Edge", "NIR"),
            "bands 3,2,1 are described as .*: sharpened together; rgb='none' treats each alone$",
        ),
        (("B02", "B03", "B04", "B08"), "bands 3,2,1 are named .* not of Landsat 4 to 7; each goes"),
        (("SR_B4", "SR_B3", "SR_B2"), "bands 1,2,3 .* as grey, but rgb=1,2,3 sharpens them toge"),
        (("blue", "green", "red", "red"), None),
        (("B5", "B6", "B7"), None),
        (("B12", "B13", "B14"), None),
        (("blue", "green", "rededge"), None),
        (("infrared", "greenness", "bluish"), None),
        (
            (None, None, None, None),
            "the 4 bands have no names or colours; each goes .*: rgb=1,2,3 if these are the first",
        ),
        ((None, None), None),
    ],
)
def test_what_is_said_of_colours(names: tuple[str | None, ...], note: str | None) -> None:
    bands = [Band(dtype="uint16", description=name) for name in names]
    text = colour_note(bands, roles_of(bands))
    if note is None:
        assert text is None
    else:
        assert text is not None
        assert re.match(note, text)


def test_a_hint_follows_the_given_sensor() -> None:
    bands = [Band(dtype="uint16", description=f"Band {n}") for n in (1, 2, 3, 4)]
    text = colour_note(bands, roles_of(bands), "quickbird")
    assert text is not None
    assert text.startswith("bands 3,2,1 are named B3, B2 and B1, which are red, green and blue in")
    assert "in a scene of quickbird; " in text


def test_a_sensor_that_is_given_is_not_recommended() -> None:
    bands = [Band(dtype="uint16", description=n) for n in ("B1", "B2", "B3", "B4", "B8A")]
    text = colour_note(bands, roles_of(bands), "sentinel-2")
    assert text is not None
    assert text.endswith("treats each alone")


def test_bands_that_are_marked_or_chosen_need_no_note() -> None:
    bands = [Band(dtype="uint8", description=f"B{n}") for n in (2, 3, 4)]
    assert colour_note(bands, roles_of(bands, colours=Colours((2, 1, 0)))) is None
    assert colour_note(bands, roles_of(bands, nearest=(0,))) is None
    marked = [Band(dtype="uint8", interpretation=c) for c in ("red", "green", "blue", "red")]
    assert colour_note(marked[:3], roles_of(marked[:3])) is None
    assert colour_note(marked, roles_of(marked)) is None  # a warning says more


def stored(*groups: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return a sampled window of one band: so many pixels of each value, all valid."""
    numbers = np.concatenate([np.full(count, value, np.uint16) for value, count in groups])
    values = numbers.reshape(1, 10, -1)
    return [(values, np.ones(values.shape, dtype=bool))]


def test_values_that_wrapped_around_are_noticed() -> None:
    band = Band(dtype="uint16")
    note = wrapped_note([band], stored((300, 995), (65_533, 5)))
    assert note is not None
    assert note.startswith("band 1 (0.005 of the pixels) holds values above 60,000 and no others")
    assert wrapped_note([Band(dtype="int32")], stored((300, 995), (65_533, 5))) is None
    assert wrapped_note([replace(band, nearest=True)], stored((300, 995), (65_533, 5))) is None


@pytest.mark.parametrize(
    "groups",
    [
        [(300, 1000)],
        [(300, 700), (65_533, 300)],  # bright ground
        [(300, 900), (40_000, 90), (65_533, 10)],  # a tail of bright pixels
    ],
)
def test_bright_values_are_not_taken_for_wrapped_ones(groups: list[tuple[int, int]]) -> None:
    assert wrapped_note([Band(dtype="uint16")], stored(*groups)) is None


def test_invalid_values_do_not_count() -> None:
    [(values, valid)] = stored((300, 995), (65_535, 5))
    assert wrapped_note([Band(dtype="uint16")], [(values, valid & (values < 65_535))]) is None


@pytest.mark.parametrize(
    ("software", "name"),
    [
        ("pix4dmapper", "Pix4D"),
        ("Agisoft Metashape Professional 2.1.0", "Metashape"),
        ("ODM 3.5.1", "OpenDroneMap"),
        ("Adobe Photoshop", None),
        ("", None),
    ],
)
def test_programs_for_drone_photographs_are_recognised(software: str, name: str | None) -> None:
    note = drone_note({"TIFFTAG_SOFTWARE": software})
    if name is None:
        assert note is None
    else:
        assert note is not None
        assert note.startswith(f"an orthophoto by {name} ({software}): ")
        assert "mtf=3" in note


def test_upscale_and_info_say_that_an_orthophoto_may_be_sharpened(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 3, 16, 16))
    with rasterio.open(path, "r+") as file:
        file.update_tags(TIFFTAG_SOFTWARE="ODM 3.5.1")
    assert "ODM 3.5.1" in survey(str(path)).facts()["hints"][0]
    for options, count in ((Options(scale=2), 1), (Options(scale=2, mtf=2), 0)):
        notes = plan(path, tmp_path / "b.tif", options).notes()
        assert sum("an orthophoto by OpenDroneMap" in note for note in notes) == count
