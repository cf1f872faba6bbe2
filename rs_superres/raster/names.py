"""Read what names and metadata say of a band: its number in its sensor's products, its colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rs_superres.errors import InputError
from rs_superres.raster.metadata import Band

COLOURS = ("red", "green", "blue")
"""The colours that are sharpened together."""

WAVELENGTHS = {"blue": (450, 510), "green": (510, 590), "red": (620, 690), "nir": (750, 900)}
"""Centre wavelengths of colours, nm: from the first, to below the second."""

_OTHERS = {"aerosol", "coastal", "deep", "edge", "pan", "panchromatic", "rededge", "ultra"}
"""Words that make a colour another one, such as the red edge."""

_NUMBER = re.compile(r"(?:^|[^a-z0-9])b(?:and)?[ _-]?0?(\d+a?)(?![a-z0-9])")

_STATED = re.compile(
    r"""
    (?:(?<![\w.])(?P<low>\d+(?:\.\d+)?)\s*(?:-|\u2013|to)\s*)?  # 620 - 690 nm is no centre
    (?<![\w.])(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>nm|nanomet|[u\u00b5\u03bc]m\b|micro(?:met|n))
    """,
    re.VERBOSE,
)

_SHORTEST = 300
"""Least number of nanometres that is a wavelength: smaller ones are widths of bands."""


def number_of(band: Band) -> str:
    """Return the name that a sensor's products give a band, such as B8A; empty if unknown.

    It is read from descriptions such as B08A, "Band 8A" and SR_B8A.
    """
    found = {f"B{number.upper()}" for number in _NUMBER.findall(_description(band))}
    return found.pop() if len(found) == 1 else ""


def colour_of(band: Band, *, exact: bool = False) -> str:
    """Return the colour of a band; empty if nothing says it clearly.

    The colour interpretation comes first, see also :func:`described_colour`.
    """
    if band.interpretation in {"gray", "undefined"}:
        return described_colour(band, exact=exact)
    return band.interpretation


def described_colour(band: Band, *, exact: bool = False) -> str:
    """Return the colour that a band's names and wavelengths say, whatever its interpretation.

    Args:
        band: the band.
        exact: whether a name has to be the colour's, without any other word.

    Returns:
        Red, green, blue or nir; empty if none is said, or several are.
    """
    names = {_description(band), _tag(band, "common_name")}
    if exact:
        found = names & WAVELENGTHS.keys()
    else:
        words = set(re.findall(r"[a-z]+", " ".join(names)))
        if words & _OTHERS:
            return ""
        found = words & WAVELENGTHS.keys()
        if {"near", "infrared"} <= words:
            found.add("nir")
        found |= {_colour_at(wavelength) for wavelength in _wavelengths(band)}
    return found.pop() if len(found) == 1 else ""


def numbers_of(
    bands: Sequence[Band], chosen: Sequence[int | str], option: str, path: str
) -> tuple[int, ...]:
    """Return the numbers of the bands that a caller chooses by numbers and names.

    A name is a band's description, or its name in a sensor's products: B4 is B04 too.

    Args:
        bands: the bands of the source.
        chosen: numbers from 1, names, or only the word "all".
        option: the option that chooses them, for messages.
        path: the source, for messages.

    Raises:
        InputError: there is no such band, there are several, or one is chosen twice.
    """
    if [str(band).lower() for band in chosen] == ["all"]:
        return tuple(range(1, len(bands) + 1))
    found = [
        band if isinstance(band, int) else _number_named(bands, band, option, path)
        for band in chosen
    ]
    for band, number in zip(chosen, found, strict=True):
        if not 1 <= number <= len(bands):
            raise InputError(f"{option} lists band {band}, {path} has bands 1 to {len(bands)}")
        if found.count(number) > 1:
            raise InputError(f"{option} lists band {number} of {path} twice, expected each once")
    return tuple(found)


def _number_named(bands: Sequence[Band], name: str, option: str, path: str) -> int:
    """Return the number of the only band of a name; see :func:`numbers_of`."""
    wanted = name.lower()
    found = [i for i, band in enumerate(bands, start=1) if _description(band) == wanted]
    if not found:
        number = number_of(Band(dtype="uint8", description=name))
        found = [i for i, band in enumerate(bands, start=1) if number and number_of(band) == number]
    if len(found) == 1:
        return found[0]
    known = ", ".join(band.description or str(i) for i, band in enumerate(bands, start=1))
    problem = "several bands have that name" if found else "expected one of its bands"
    raise InputError(f"{option} names band {name} of {path}: {problem} {known}")


def _wavelengths(band: Band) -> Iterator[float]:
    """Yield the centre wavelengths that a band's metadata and description say, nm."""
    for match in _STATED.finditer(_description(band)):
        low, value = float(match["low"] or 0), float(match["value"])
        if low < value / 3:  # else a range; "Band 4 - 665 nm" is none
            yield from _nanometres(value, match["unit"])
    stated = [
        (_tag(band, "wavelength"), _tag(band, "wavelength_units", "wavelength_unit")),  # ENVI's
        (_tag(band, "center_wavelength"), ""),  # STAC's
        (band.domains.get("IMAGERY", {}).get("CENTRAL_WAVELENGTH_UM", ""), "um"),  # GDAL's
    ]
    for text, unit in stated:
        if re.fullmatch(r"\d+(\.\d*)?", text):
            yield from _nanometres(float(text), unit)


def _nanometres(value: float, unit: str) -> Iterator[float]:
    """Yield a wavelength in nm, if it is one; without a unit, small numbers are micrometres."""
    if not unit:
        unit = "nm" if value >= _SHORTEST else "um"
    if re.match(r"[u\u00b5\u03bc]m|micro", unit):
        value, unit = 1000 * value, "nm"
    if re.match("nm|nano", unit) and value >= _SHORTEST:
        yield value


def _colour_at(wavelength: float) -> str:
    """Return the colour at a wavelength, nm; empty if it has no name here."""
    ranges = WAVELENGTHS.items()
    return next((colour for colour, (low, high) in ranges if low <= wavelength < high), "")


def _description(band: Band) -> str:
    """Return a band's description in small letters; empty without one."""
    return (band.description or "").strip().lower()


def _tag(band: Band, *keys: str) -> str:
    """Return the value of a band's first tag with one of some keys, in small letters.

    A key may begin with STAC's ``eo:``. GDAL takes what follows its colon as a part of the value.
    """
    for key, value in band.tags.items():
        name, _, text = re.sub("^eo[:=]", "", f"{key}={value}".lower()).partition("=")
        if name in keys:
            return text.strip()
    return ""
