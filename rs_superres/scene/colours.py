"""Find the red, green and blue band of a raster by what its bands say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from rs_superres import zoo
from rs_superres.raster import COLOURS, Band, colour_of, number_of


@dataclass(frozen=True, slots=True)
class Colours:
    """The bands that go through the network together."""

    triplet: tuple[int, ...] = ()
    """Indices of the red, green and blue band; empty if there are none."""
    described: str = ""
    """How names or wavelengths say so, in words; empty if they did not decide."""


def find_colours(
    bands: Sequence[Band], *, nearest: Sequence[int] = (), sensor: str | None = None
) -> Colours:
    """Find the only red, green and blue band by colour interpretation, then names and wavelengths.

    The names of a sensor's products count only if the sensor is known: B2 is blue in a Sentinel-2
    scene and green in one of Landsat 7.

    Args:
        bands: the bands of the result.
        nearest: indices of the bands that are resampled by nearest neighbour, which are no colours.
        sensor: the name of the sensor; None if unknown.

    Raises:
        InputError: there is no such sensor.
    """
    grey = [i for i, band in enumerate(bands) if i not in nearest and not band.is_alpha]
    marked = one_each(grey, COLOURS, lambda i: bands[i].interpretation)
    if marked:
        return Colours(marked)
    # "green" alone is the green band of a stack that has a "green_i" too.
    named = one_each(grey, COLOURS, lambda i: colour_of(bands[i], exact=True))
    named = named or one_each(grey, COLOURS, lambda i: colour_of(bands[i]))
    if named:
        return Colours(named, "are described as red, green and blue")
    if sensor is None:
        return Colours()
    red, green, blue = names = zoo.sensor(sensor).rgb
    numbered = one_each(grey, names, lambda i: number_of(bands[i]))
    how = f"are named {red}, {green} and {blue}, the red, green and blue of {sensor.lower()}"
    return Colours(numbered, how) if numbered else Colours()


def one_each(
    members: Sequence[int], values: Sequence[Hashable], value_of: Callable[[int], Hashable]
) -> tuple[int, ...]:
    """Return the only member with each of some values, in the order of the values.

    Args:
        members: the members.
        values: the values to find.
        value_of: returns the value of a member.

    Returns:
        Empty if no member has one of the values, or several have.
    """
    found = {i: value_of(i) for i in members}
    hits = [[i for i, value in found.items() if value == wanted] for wanted in values]
    return tuple(i for [i] in hits) if all(len(hit) == 1 for hit in hits) else ()


def sensor_of(source: Sequence[Band], given: str | None = None) -> str | None:
    """Return the name of the sensor whose products name the bands of a source.

    Args:
        source: all bands of the source.
        given: the name of the sensor that the caller gives; None to tell it by the bands' names.

    Returns:
        None if the names could be those of several sensors, or only count the bands.
    """
    if given is not None:
        return None if _counted(source, "band") else given
    names = {number_of(band) for band in source} - {""}
    found = [name for name, sensor in zoo.sensors().items() if sensor.made(names)]
    return found[0] if len(found) == 1 and not _counted(source) else None


def _counted(source: Sequence[Band], word: str = "") -> bool:
    """Return whether the bands are only counted, as in b1, b2 or in Band 1, Band 2.

    Args:
        source: all bands of the source.
        word: what the names have to hold too, in small letters.
    """
    numbers = {i: number_of(band) for i, band in enumerate(source, start=1)}
    return all(
        number == f"B{i}" and word in (source[i - 1].description or "").lower()
        for i, number in numbers.items()
        if number
    )
