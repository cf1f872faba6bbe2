"""Which pixels a raster's alpha band shows, and how opaque they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rs_superres.raster.metadata import Band
from rs_superres.types import Doubles, Valid, Values


def with_alpha(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Return the bands of one raster, each with the index of the raster's alpha band."""
    alpha = next((i for i, band in enumerate(bands) if band.is_alpha), None)
    return tuple(band if band.is_alpha else replace(band, alpha=alpha) for band in bands)


def opacity(bands: Sequence[Band], values: Values) -> Doubles:
    """Return the alpha of each band's pixels, 0 if they are transparent.

    Args:
        bands: the bands of ``values``.
        values: (band, y, x) digital numbers.

    Returns:
        (band, y, x) digital numbers of the alpha bands, never negative; 1 for bands without alpha.
    """
    out = np.ones(values.shape)
    for i, band in enumerate(bands):
        if band.alpha is not None:
            out[i] = np.where(_shown(values[band.alpha]), values[band.alpha], 0.0)
    return out


def visible(bands: Sequence[Band], values: Values, valid: Valid) -> Valid:
    """Return which valid pixels are not fully transparent.

    Args:
        bands: the bands of ``values``.
        values: (band, y, x) digital numbers.
        valid: (band, y, x) validity.

    Returns:
        (band, y, x); ``valid`` itself if no band has an alpha band.
    """
    if all(band.alpha is None for band in bands):
        return valid
    out = valid.copy()
    for i, band in enumerate(bands):
        if band.alpha is not None:
            out[i] &= _shown(values[band.alpha])
    return out


def _shown(alpha: Values) -> Valid:
    """Return where an alpha band is neither transparent nor damaged."""
    numbers = alpha.astype(np.float64)
    shown: Valid = (numbers > 0) & np.isfinite(numbers)
    return shown
