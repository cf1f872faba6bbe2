"""The table of sensors: every number is possible, and bands are found by name or colour."""

from __future__ import annotations

import pytest

from rs_superres import zoo
from rs_superres.errors import InputError
from rs_superres.zoo.sensors import blur_between


@pytest.mark.parametrize("name", zoo.sensors())
def test_every_sensor_is_complete(name: str) -> None:
    sensor = zoo.sensor(name)
    assert sensor.title
    assert sensor.source
    assert all(0.1 < band.mtf < 0.45 for band in sensor.bands)
    assert len({band.name for band in sensor.bands}) == len(sensor.bands)
    for colour in ("red", "green", "blue", "nir"):
        [band] = [band for band in sensor.bands if band.colour == colour]
        assert sensor.mtf("", colour) == sensor.mtf(band.name, "") == band.mtf


@pytest.mark.parametrize(
    ("name", "colour", "mtf"),
    [
        ("B8A", "", 0.325),
        ("", "red", 0.233),
        ("", "nir", 0.222),
        ("", "", 0.287909),  # the mean of all
        ("", "gray", 0.287909),
        ("B4", "blue", 0.233),  # the name says more than the colour
        ("B10", "", 0.287909),  # of unknown blur
    ],
)
def test_bands_are_found_by_name_or_colour(name: str, colour: str, mtf: float) -> None:
    assert zoo.sensor("Sentinel-2").mtf(name, colour) == pytest.approx(mtf, abs=1e-6)


def test_names_tell_the_sensors_that_no_other_has() -> None:
    assert zoo.sensor("sentinel-2").rgb == zoo.sensor("landsat-8").rgb == ("B4", "B3", "B2")
    assert zoo.sensor("worldview-3").rgb == ("B5", "B3", "B2")
    for names, made in (
        ({"B2", "B8A"}, ["sentinel-2"]),
        ({"B10", "B11"}, ["landsat-8"]),
        ({"B10", "B11", "B12"}, ["sentinel-2"]),
        ({"B2", "B3", "B4"}, []),
        ({"B8A", "B14"}, []),
        (set(), []),
    ):
        assert [name for name, sensor in zoo.sensors().items() if sensor.made(names)] == made


def test_the_blur_between_a_finer_image_and_its_source() -> None:
    """Both together blur as the sensor does: exponents of Gaussians add up."""
    assert blur_between(0.25, 2) == pytest.approx(0.35, abs=0.004)
    assert blur_between(0.25, 4) == pytest.approx(0.27, abs=0.004)
    for scale in (1.5, 3.0):
        finer = 0.25 ** (1 / scale**2)  # at the source's Nyquist frequency
        assert finer * blur_between(0.25, scale) == pytest.approx(0.25)


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(InputError, match=r"sensor=spot-7, expected one of sentinel-2, .* mtf="):
        zoo.sensor("spot-7")
