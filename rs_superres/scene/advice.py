"""What a user should know about a source: whether it suits the model, and which bands are colours.

``upscale`` and ``info`` say the same, because both ask here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rs_superres.config import TrainedConfig
from rs_superres.grid import Grid
from rs_superres.raster import Band, pixel_size
from rs_superres.scene.bands import BandRoles

PIXEL_SIZE_TOLERANCE = 2.0
"""Factor by which pixel sizes may lie outside a model's training range without a warning."""

COLOURS = ("red", "green", "blue")

_NUMBERED = re.compile(r"(?:^|[^a-z0-9])b(?:and)?[ _-]?0?(\d+a?)\b")


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


def colour_hint(bands: Sequence[Band], roles: BandRoles) -> str | None:
    """Return a hint if the names of grey bands say which of them are red, green and blue.

    The names never decide: B2 is blue in a Sentinel-2 scene and green in one of Landsat 7.

    Args:
        bands: the bands of the result.
        roles: their roles.
    """
    if roles.triplet or len(roles.single) < len(COLOURS):
        return None
    grey = {i: (bands[i].description or "").lower() for i in roles.single}
    named = [[i for i, text in grey.items() if _is_colour(text, colour)] for colour in COLOURS]
    if all(len(members) == 1 for members in named):
        return _hint(
            roles, [members[0] for members in named], "are described as red, green and blue"
        )
    numbers: dict[str, list[int]] = {}
    for i, text in grey.items():
        for number in _NUMBERED.findall(text):
            numbers.setdefault(number, []).append(i)
    members = [numbers.get(number, []) for number in ("4", "3", "2")]
    if not all(len(found) == 1 for found in members):
        return None
    scenes = "a Sentinel-2 scene"
    if "8a" not in numbers:  # Landsat has no B8A
        scenes += " and in one of Landsat 8 or 9, but not of Landsat 4 to 7"
    what = f"are named B4, B3 and B2, which are red, green and blue in {scenes}"
    return _hint(roles, [found[0] for found in members], what)


def _is_colour(text: str, colour: str) -> bool:
    """Return whether a description names a colour; the red edge is none."""
    words = re.findall(r"[a-z]+", text)
    return colour in words and "edge" not in words


def _hint(roles: BandRoles, indices: Sequence[int], what: str) -> str:
    """Return a hint about bands, given by their index in the result."""
    numbers = ",".join(str(roles.selection.bands[i]) for i in indices)
    return (
        f"bands {numbers} {what}; each goes through the network alone, as grey, but "
        f"rgb={numbers} sharpens them together"
    )
