"""Compare the texture of a result with that of its truth, as pure functions on arrays.

Images are in units of the value range. Luminance is the mean of red, green and blue, or of all
bands if the raster has no such triplet.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter, uniform_filter

from rs_superres.image.radiometry import eroded
from rs_superres.types import Doubles, Valid

Complexes = npt.NDArray[np.complex128]

HIGH_FREQUENCY = 0.25
"""Cycles per pixel above which the power of luminance is compared."""

TAPER = 16
"""Pixels over which the window of a spectrum falls to 0 towards invalid pixels."""

FLAT_SIDE = 9
"""Side of the square, in pixels, whose standard deviation is the local contrast."""

FLAT_SHARE = 0.2
"""Share of the pixels, those of the lowest local contrast, that are flat ground."""

NEGLIGIBLE_POWER = 1e-20
"""Mean square, in units of the value range, that only rounding errors of an image can have."""


def texture(
    image: Doubles, truth: Doubles, valid: Valid, triplet: tuple[int, ...], scale: float
) -> dict[str, float]:
    """Return all metrics of texture; NaN for those that do not apply.

    Args:
        image: the result, (band, y, x).
        truth: the truth, in the same shape.
        valid: (y, x); other pixels have no effect.
        triplet: indices of red, green and blue; empty if there are none.
        scale: the factor between low resolution and truth.
    """
    bands = list(triplet) or list(range(len(truth)))
    one, other = image[bands], truth[bands]
    luminances = one.mean(axis=0), other.mean(axis=0)
    power, correlation = spectral_agreement(*luminances, valid, 0.5 / scale)
    return {
        "power": power,
        "colour": colour_ratio(one, other, valid) if triplet else float("nan"),
        "flat": flat_ratio(*luminances, valid),
        "overshoot": 100 * overshoot(one, other, valid, scale),
        "correlation": correlation,
    }


def spectral_agreement(
    image: Doubles, truth: Doubles, valid: Valid, nyquist: float
) -> tuple[float, float]:
    """Compare the high frequencies of two images.

    Both images, less their means, are multiplied by a Hann window over all pixels, which also falls
    to 0 towards invalid pixels by half a cosine of :data:`TAPER` pixels.

    Args:
        image: (y, x).
        truth: (y, x).
        valid: (y, x); other pixels have no effect.
        nyquist: the low resolution's Nyquist frequency, cycles per pixel.

    Returns:
        The ratio of the power of the image to that of the truth, above :data:`HIGH_FREQUENCY`; and
        the correlation of the two above ``nyquist``. Frequencies are counted in any direction. NaN
        where an image has no power.
    """
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in valid.shape))
    if not valid.all():
        inside = np.minimum(distance_transform_edt(valid) / TAPER, 1)
        window *= np.sin(np.pi / 2 * inside) ** 2
    if not window.any():
        return float("nan"), float("nan")
    spectra = [_spectrum(values, valid, window) for values in (image, truth)]
    frequency = np.hypot(*np.meshgrid(*map(scipy.fft.fftfreq, valid.shape), indexing="ij"))
    least = NEGLIGIBLE_POWER * window.size * float((window**2).sum())
    high, beyond = frequency > HIGH_FREQUENCY, frequency > nyquist
    powers = [float((np.abs(spectrum[high]) ** 2).sum()) for spectrum in spectra]
    one, other = (spectrum[beyond] for spectrum in spectra)
    squares = [float((np.abs(spectrum) ** 2).sum()) for spectrum in (one, other)]
    shared = float((one.conj() * other).real.sum())
    return (
        powers[0] / powers[1] if powers[1] > least else float("nan"),
        shared / math.sqrt(math.prod(squares)) if min(squares) > least else float("nan"),
    )


def _spectrum(image: Doubles, valid: Valid, window: Doubles) -> Complexes:
    """Return the Fourier transform of an image, less its mean, times a window, (y, x) each."""
    mean = np.average(image[valid], weights=window[valid])
    spectrum: Complexes = scipy.fft.fft2(np.where(valid, image - mean, 0.0) * window)
    return spectrum


def colour_ratio(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """Return the RMS of fine colour differences, divided by the truth's.

    A colour difference is a band minus the mean of all bands; fine is what a 3 x 3 mean removes.

    Args:
        image: (band, y, x).
        truth: (band, y, x).
        valid: (y, x); pixels with an invalid one among the 3 x 3 around them do not count.

    Returns:
        NaN if no pixel counts, or if the truth has no fine colour differences.
    """
    one, other = (values - values.mean(axis=0) for values in (image, truth))
    return _fine_ratio(one, other, eroded(valid, 1))


def flat_ratio(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """Return the RMS of fine differences on flat ground, divided by the truth's.

    Fine is what a 3 x 3 mean removes. Flat ground is the :data:`FLAT_SHARE` of the pixels at which
    the truth's standard deviation over :data:`FLAT_SIDE` x :data:`FLAT_SIDE` pixels is lowest.

    Args:
        image: (y, x).
        truth: (y, x).
        valid: (y, x); pixels with an invalid one in the larger square around them do not count.

    Returns:
        NaN if no pixel counts, or if the truth has no fine differences there.
    """
    counted = eroded(valid, FLAT_SIDE // 2)
    if not counted.any():
        return float("nan")
    mean = uniform_filter(truth, FLAT_SIDE)
    variance = uniform_filter((truth - truth[valid].mean()) ** 2, FLAT_SIDE)
    variance -= (mean - truth[valid].mean()) ** 2
    flat = counted & (variance <= np.quantile(variance[counted], FLAT_SHARE))
    return _fine_ratio(image[None], truth[None], flat)


def _fine_ratio(image: Doubles, truth: Doubles, counted: Valid) -> float:
    """Return the RMS of what a 3 x 3 mean removes from an image, divided by the truth's.

    Args:
        image: (band, y, x).
        truth: (band, y, x).
        counted: (y, x): the pixels that count.

    Returns:
        NaN if no pixel counts, or if the mean removes nothing from the truth.
    """
    if not counted.any():
        return float("nan")
    one, other = (
        float(((v - uniform_filter(v, (0, 3, 3)))[:, counted] ** 2).mean()) for v in (image, truth)
    )
    return math.sqrt(one / other) if other > NEGLIGIBLE_POWER else float("nan")


def overshoot(image: Doubles, truth: Doubles, valid: Valid, scale: float) -> float:
    """Return the RMS distance of the values from the local range of the truth.

    The range reaches from the least to the largest valid value of the truth under about 3 x 3
    low-resolution pixels: in a square whose side is the least odd number of 3 x ``scale`` or more.

    Args:
        image: (band, y, x).
        truth: (band, y, x).
        valid: (y, x); other pixels have no effect.
        scale: the factor between low resolution and truth.

    Returns:
        The distance in units of the value range; NaN if no pixel is valid.
    """
    if not valid.any():
        return float("nan")
    side = 2 * (math.ceil(round(3 * scale, 6)) // 2) + 1
    least = minimum_filter(np.where(valid, truth, np.inf), (1, side, side))
    largest = maximum_filter(np.where(valid, truth, -np.inf), (1, side, side))
    beyond = np.maximum(least - image, image - largest)[:, valid].clip(0)
    return float(np.sqrt((beyond**2).mean()))
