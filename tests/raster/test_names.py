"""Names, tags and wavelengths of bands say a number and a colour, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rs_superres.raster import Band, colour_of, inspect, number_of
from rs_superres.raster.names import described_colour
from tests import rasters
from tests.rasters import textured


@pytest.mark.parametrize(
    ("description", "number"),
    [
        ("B04", "B4"),
        ("B4 (665 nm)", "B4"),
        ("SR_B4", "B4"),
        ("T32TNS_20190723T101031_B04_10m", "B4"),
        ("Band 8A", "B8A"),
        ("band_12", "B12"),
        ("b8", "B8"),
        ("B3N", ""),
        ("B4 / B8", ""),
        ("SCL", ""),
        (None, ""),
    ],
)
def test_numbers(description: str | None, number: str) -> None:
    assert number_of(Band(dtype="uint8", description=description)) == number


@pytest.mark.parametrize(
    ("description", "colour"),
    [
        ("Red", "red"),
        ("B3 (green)", "green"),
        ("scene_blue", "blue"),
        ("NIR", "nir"),
        ("nir08", "nir"),
        ("Near-infrared", "nir"),
        ("shortwave infrared", ""),
        ("rededge", ""),
        ("red edge 1", ""),
        ("Red Edge (705 nm)", ""),
        ("coastal blue", ""),
        ("pan", ""),
        ("blue/red", ""),
        ("greenness", ""),
        ("infrared", ""),
        ("B4, central wavelength 665 nm", "red"),
        ("B4, central wavelength 665 nm, width 30 nm", "red"),
        ("Band 4 - 665 nm", "red"),
        ("665nm", "red"),
        ("0.56 um", "green"),
        ("0.49 \u00b5m", "blue"),
        ("Band_3 (665.0 Nanometers)", "red"),
        ("0.833 micrometers", "nir"),
        ("450-510 nm", ""),  # a range: panchromatic bands have such names too
        ("500 - 680 nm", ""),
        ("490 nm and 560 nm", ""),
        ("705 nm", ""),
        ("red, 705 nm", ""),
        ("560 m", ""),
        ("B4", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_colours_of_descriptions(description: str | None, colour: str) -> None:
    assert described_colour(Band(dtype="uint8", description=description)) == colour


@pytest.mark.parametrize(
    ("tags", "colour"),
    [
        ({"common_name": "red"}, "red"),
        ({"eo:common_name": "green"}, "green"),
        ({"eo:common_name": "rededge"}, ""),
        ({"wavelength": "0.665", "wavelength_units": "Micrometers"}, "red"),
        ({"WAVELENGTH": "490", "WAVELENGTH_UNIT": "nm"}, "blue"),
        ({"wavelength": "560", "wavelength_units": "Nanometers"}, "green"),
        ({"wavelength": "560"}, "green"),
        ({"wavelength": "0.842"}, "nir"),
        ({"wavelength": "560", "wavelength_units": "MHz"}, ""),
        ({"wavelength": "560", "wavelength_units": "Unknown"}, ""),
        ({"wavelength": "red"}, ""),
        ({"center_wavelength": "0.665"}, "red"),
        ({"common_name": "red", "wavelength": "560"}, ""),
    ],
)
def test_colours_of_tags(tags: dict[str, str], colour: str) -> None:
    assert described_colour(Band(dtype="uint8", tags=tags)) == colour


def test_tags_are_read_from_files(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 3, 8, 9, dtype="uint16"))
    with rasters.opened(path, "r+") as dataset:
        dataset.update_tags(1, **{"eo:common_name": "red"})
        dataset.update_tags(2, wavelength="0.56", wavelength_units="Micrometers")
        dataset.update_tags(3, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.49")
    assert [colour_of(band) for band in inspect(path)[0].bands] == ["red", "green", "blue"]


def test_the_colour_interpretation_comes_first() -> None:
    assert colour_of(Band(dtype="uint8", description="red", interpretation="blue")) == "blue"
    assert colour_of(Band(dtype="uint8", description="red", interpretation="gray")) == "red"


def test_an_exact_name_has_no_other_word() -> None:
    names = ("green", " Green ", "green_i", "560 nm")
    bands = [Band(dtype="uint8", description=name) for name in names]
    assert [colour_of(band, exact=True) for band in bands] == ["green", "green", "", ""]
