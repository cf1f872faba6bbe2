"""Red, green and blue are found by interpretation, names, wavelengths, and a known sensor."""

from __future__ import annotations

import pytest

from rs_superres.errors import InputError
from rs_superres.raster import Band
from rs_superres.scene.colours import Colours, find_colours, sensor_of

S2 = ("B2", "B3", "B4", "B8", "B11", "B12")


def bands(*names: str | None) -> list[Band]:
    return [Band(dtype="uint16", description=name) for name in names]


@pytest.mark.parametrize(
    ("names", "triplet"),
    [
        (("Blue", "Green", "Red", "Red Edge", "NIR"), (2, 1, 0)),
        (("B4 - red", "B3 (green)", "B2 (blue)"), (0, 1, 2)),
        (("492 nm", "0.56 um", "665 nm", "865 nm"), (2, 1, 0)),
        (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "nir"), (5, 3, 1)),
        (("blue", "green", "red", "red"), ()),
        (("blue", "green", "rededge"), ()),
        (("B4", "B3", "B2"), ()),
        ((None, None, None), ()),
    ],
)  # fmt: skip
def test_names_and_wavelengths_decide(
    names: tuple[str | None, ...], triplet: tuple[int, ...]
) -> None:
    how = "are described as red, green and blue" if triplet else ""
    assert find_colours(bands(*names)) == Colours(triplet, how)


def test_the_colour_interpretation_decides_first() -> None:
    marked = [
        Band(dtype="uint8", description=name, interpretation=colour)
        for name, colour in zip(("blue", "green", "red"), ("red", "green", "blue"), strict=True)
    ]
    assert find_colours(marked) == Colours((0, 1, 2))


def test_bands_of_classes_and_alpha_are_no_colours() -> None:
    named = bands("red", "green", "blue", "red")
    assert find_colours(named, nearest=[3]).triplet == (0, 1, 2)
    assert find_colours(named, nearest=[0]).triplet == (3, 1, 2)
    assert find_colours(named, nearest=[1]).triplet == ()
    alpha = Band(dtype="uint16", description="red", interpretation="alpha")
    assert find_colours([*named[:3], alpha]).triplet == (0, 1, 2)


def test_names_of_products_decide_if_the_sensor_is_known() -> None:
    assert find_colours(bands(*S2), sensor="Sentinel-2") == Colours(
        (2, 1, 0), "are named B4, B3 and B2, the red, green and blue of sentinel-2"
    )
    assert find_colours(bands(*S2), sensor="quickbird").triplet == ()
    assert find_colours(bands("B1", "B2", "B3"), sensor="quickbird").triplet == (2, 1, 0)
    assert find_colours(bands("B2", "B3", "B4", "B4"), sensor="sentinel-2").triplet == ()
    with pytest.raises(InputError, match="sensor=spot, expected one of"):
        find_colours(bands(*S2), sensor="spot")


@pytest.mark.parametrize(
    ("names", "sensor"),
    [
        (S2, "sentinel-2"),
        (("B02", "B03", "B04", "B8A", "SCL"), "sentinel-2"),
        ((*(f"B{n}" for n in range(1, 9)), "B8A", "B9", "B10", "B11", "B12"), "sentinel-2"),
        (("B2", "B3", "B4", "B5", "B10", "B11"), "landsat-8"),
        (("B2", "B3", "B4", "B8"), None),  # two sensors have these
        (("B8A", "B13"), None),  # no sensor has both
        (("B2", "B3", "B4", "B12"), None),  # MODIS has these too
        (tuple(f"b{n}" for n in range(1, 13)), None),  # only counted
        (tuple(f"scene_b{n}" for n in range(1, 13)), None),
        (("red", "green"), None),
        ((None, None), None),
    ],
)
def test_the_names_of_all_bands_may_tell_the_sensor(
    names: tuple[str | None, ...], sensor: str | None
) -> None:
    assert sensor_of(bands(*names)) == sensor


def test_bands_that_are_only_counted_are_not_those_of_a_given_sensor() -> None:
    assert sensor_of(bands("Band 1", "Band 2", "Band 3"), "sentinel-2") is None
    assert sensor_of(bands("Band 2", "Band 3", "Band 4"), "sentinel-2") == "sentinel-2"
    assert sensor_of(bands("B1", "B2", "B3"), "quickbird") == "quickbird"
