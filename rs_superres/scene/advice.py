"""What a user should know about a source: whether it suits the model, and which bands are colours.

``upscale`` and ``info`` say the same, because both ask here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rs_superres import zoo
from rs_superres.config import TrainedConfig
from rs_superres.grid import Grid
from rs_superres.raster import COLOURS, Band, Sampled, number_of, pixel_size
from rs_superres.scene.bands import BandRoles, loses_colours
from rs_superres.scene.colours import one_each, sensor_of

WRAPPED = 60_000
"""Digital number of 16 bits above which a value may be a negative one that wrapped around."""

MOST_WRAPPED = 0.2
"""Largest share of such values: more of them are bright ground."""

PIXEL_SIZE_TOLERANCE = 2.0
"""Factor by which pixel sizes may lie outside a model's training range without a warning."""


MOSAICKERS = {"pix4d": "Pix4D", "agisoft": "Metashape", "odm": "OpenDroneMap"}
"""Programs that make orthophotos of drone photographs, by how their ``TIFFTAG_SOFTWARE`` begins."""


def pixel_size_warning(grid: Grid, model: str, trained: TrainedConfig) -> str | None:
    """Return a warning if a source's pixels are far from those that a model was trained on.

    Args:
        grid: the grid of the source, in any CRS; its size on the ground counts.
        model: the name of the model.
        trained: what the model was trained on.
    """
    size = pixel_size(grid)
    if trained.pixel_size is None or size is None:
        return None
    low, high = trained.pixel_size
    if low / PIXEL_SIZE_TOLERANCE <= size <= high * PIXEL_SIZE_TOLERANCE:
        return None
    return (
        f"{size:.3g} m pixels are outside the training range of the model {model} ({low:.3g} to "
        f"{high:.3g} m): expect less added detail, or tune a model to this sensor (rs-sr train)"
    )


def colour_note(bands: Sequence[Band], roles: BandRoles, sensor: str | None = None) -> str | None:
    """Return what a user should know about the colours of bands if no option says which they are.

    That is what their names or wavelengths said, or else how to tell the colours.

    Args:
        bands: the bands of the result.
        roles: their roles.
        sensor: the name of the sensor that the caller gives; None if unknown.
    """
    if roles.described:
        numbers = _numbers(roles, roles.triplet)
        note = (
            f"bands {numbers} {roles.described}: sharpened together; rgb='none' treats each alone"
        )
        named_by = sensor_of(bands) if sensor is None else None
        return note if named_by is None else f"{note}, sensor={named_by.lower()!r} undoes the blur"
    if roles.triplet or len(roles.single) < len(COLOURS):
        return None
    alone = "each goes through the network alone, as grey"
    names: tuple[str, ...] = ("B4", "B3", "B2")
    where = "a Sentinel-2 scene and in one of Landsat 8 or 9, but not of Landsat 4 to 7"
    if sensor is not None:
        names, where = zoo.sensor(sensor).rgb, f"a scene of {sensor.lower()}"
    found = one_each(roles.single, names, lambda i: number_of(bands[i]))
    if found:
        numbers, (red, green, blue) = _numbers(roles, found), names
        return (
            f"bands {numbers} are named {red}, {green} and {blue}, which are red, green and blue "
            f"in {where}; {alone}, but rgb={numbers} sharpens them together"
        )
    if loses_colours(bands, roles) or any(bands[i].description for i in roles.single):
        return None
    numbers = _numbers(roles, roles.single[: len(COLOURS)])
    return (
        f"the {len(roles.single)} bands have no names or colours; {alone}, but rgb= sharpens red, "
        f"green and blue together: rgb={numbers} if these are the first three"
    )


def drone_note(tags: Mapping[str, str]) -> str | None:
    """Return a note if a program for drone photographs has made a raster.

    Nothing in the file says whether the photographs or the orthophoto were sharpened.

    Args:
        tags: the tags of the raster.
    """
    software = tags.get("TIFFTAG_SOFTWARE", "").strip()
    begins = software.lower()
    name = next((name for start, name in MOSAICKERS.items() if begins.startswith(start)), None)
    if name is None:
        return None
    return (
        f"an orthophoto by {name} ({software}): if its edges have bright and dark rims, it was "
        "sharpened; mtf=3 keeps the rims from being sharpened too"
    )


def wrapped_note(bands: Sequence[Band], samples: Sequence[Sampled]) -> str | None:
    """Return a note if a few values lie near the end of a 16-bit dtype, far from all others.

    Such values are negative numbers that wrapped around, as if -3 were stored as 65,533 after an
    offset was subtracted; or they mark saturation. They stand next to the darkest pixels, where a
    network would see bright dots.

    Args:
        bands: the bands.
        samples: digital numbers and validity, (band, y, x) each, of windows of the source.
    """
    found = []
    for i, band in enumerate(bands):
        if band.dtype != "uint16" or band.nearest or band.is_alpha:
            continue
        values = np.concatenate([v[i][valid[i]] for v, valid in samples] or [np.empty(0)])
        far = values > WRAPPED
        if far.any() and far.mean() < MOST_WRAPPED and values[~far].max() < WRAPPED / 2:
            found.append(f"{i + 1} ({far.mean():.2g} of the pixels)")
    if not found:
        return None
    return (
        f"band {', '.join(found)} holds values above {WRAPPED:,} and no others above "
        f"{WRAPPED // 2:,}: negative numbers that wrapped around, or marks of saturation; store "
        "the raster as int16, or mark them with nodata= before"
    )


def _numbers(roles: BandRoles, indices: Sequence[int]) -> str:
    """Return the numbers in the source of bands, given by their index in the result."""
    return ",".join(str(roles.selection.bands[i]) for i in indices)
