"""Spoil the low resolution of a case, and say how blurred and noisy it is."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case
from rs_superres.evaluation.sources import SpoiledSource
from rs_superres.image.degradation import jpeg, kernel_mtf, sharpened, sharpened_mtf
from rs_superres.image.radiometry import quantise
from rs_superres.scene.recipe import ModelSettings
from rs_superres.types import Values

SHARPENING_RADIUS = 1.0
"""Standard deviation of the unsharp mask's Gaussian, low-resolution pixels."""

ROUNDING = 1 / math.sqrt(12)
"""Standard deviation of the error of rounding to whole digital numbers."""


def check_bands(source: SpoiledSource, path: object, bands: Bands) -> None:
    """Refuse bands that a source cannot be made of.

    Args:
        source: how the low resolution is spoiled.
        path: the raster.
        bands: its bands that are compared.

    Raises:
        InputError: JPEG cannot hold the bands.
    """
    dtypes, count = {band.dtype for band in bands.bands}, len(bands.bands)
    if source.jpeg is None or (dtypes == {"uint8"} and (count == 1 or len(bands.triplet) == count)):
        return
    found = f"{count} band{'s' * (count > 1)} of dtype {', '.join(sorted(dtypes))}"
    if count == 3 and dtypes == {"uint8"}:
        found += " that are not marked as red, green and blue"
    raise InputError(
        f"spoil={source.name} needs 8-bit RGB or grey rasters, but {path} has {found}; leave out "
        "jpeg, or the file"
    )


def spoil(case: Case, source: SpoiledSource) -> Case:
    """Spoil the low resolution of a case; its kernel has blurred it already.

    Noise, sharpening and compression are applied in this order, with rounding and clipping to the
    dtype before compression and at the end. The noise depends only on the names of case and source,
    and on the size of the low resolution.

    Args:
        case: a case whose low resolution was made with the source's kernel.
        source: how it is spoiled.
    """
    low = case.low
    values = low.values.astype(np.float64)
    if source.noise is not None:
        names = (case.name, source.name)
        key = [zlib.crc32(name.encode("utf-8", "surrogateescape")) for name in names]
        values += source.noise * np.random.default_rng(key).standard_normal(values.shape)
    if source.sharpen is not None:
        values = sharpened(values, source.sharpen, SHARPENING_RADIUS)
    stored = quantise(values, low.values.dtype.name, None)
    if source.jpeg is not None:
        stored = _compressed(stored, case.triplet, source.jpeg)
    return replace(case, low=replace(low, values=stored))


def _compressed(values: Values, triplet: tuple[int, ...], quality: float) -> Values:
    """Compress 8-bit RGB or grey, and decompress it.

    Args:
        values: (band, y, x) digital numbers.
        triplet: the indices of red, green and blue; empty for grey.
        quality: the quality of the JPEG.
    """
    order = list(triplet or range(len(values)))
    result = np.empty_like(values)
    result[order] = jpeg(values[order].astype(np.float64), quality)
    return result


def with_quality(settings: ModelSettings, case: Case, source: SpoiledSource) -> ModelSettings:
    """Return the settings of a model that is given the blur and noise of a source.

    They are what the model was trained to be given: the modulation transfer of the Gaussian that
    passes as much as kernel and sharpening together, and the standard deviation of noise and
    rounding together. What compression does is unknown, and what sharpening makes of noise; such a
    source gives nothing.

    Args:
        settings: the model.
        case: the case of the source.
        source: how its low resolution is spoiled.
    """
    if source.jpeg is not None or (source.sharpen is not None and source.noise):
        return settings
    rounding = ROUNDING if case.low.values.dtype.kind in "iu" else 0.0
    (height, width), (low_height, low_width) = case.truth.shape[1:], case.low.values.shape[1:]
    mtf = kernel_mtf(case.kernel, math.sqrt(height * width / (low_height * low_width)))
    mtf = sharpened_mtf(mtf, source.sharpen or 0.0, SHARPENING_RADIUS)
    return replace(settings, mtf=mtf, noise=math.hypot(source.noise or 0.0, rounding))
