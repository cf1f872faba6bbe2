"""Measure on a scene without a truth what a model gains, by Wald's protocol.

The scene itself is the truth. It is downsampled by the blur of its sensor, upscaled again, and
compared with what it was (Wald, Ranchin and Mangolini 1997, "Fusion of satellite images of
different spatial resolutions").
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rs_superres.config import ConsistencyConfig, kernel_words
from rs_superres.errors import InputError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, interpolate, make_case
from rs_superres.evaluation.scores import PERFECT_PSNR
from rs_superres.evaluation.tiles import LEAST_LOW_SIDE, best_windows
from rs_superres.image.degradation import kernel_matrix
from rs_superres.image.radiometry import quantise
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, colour_of, number_of, open_source
from rs_superres.scene.bands import decide
from rs_superres.scene.image import LowResolution, upscale_onto_grid
from rs_superres.scene.recipe import ModelSettings, source_kernel
from rs_superres.scene.settings import model_settings
from rs_superres.system.progress import ProgressOption, shown_progress
from rs_superres.types import Doubles, Valid, Values
from rs_superres.zoo.sensors import blur_between

logger = logging.getLogger(__name__)

ACCEPTED = (
    "scale", "model", "steps", "texture", "seed", "samples", "consistency", "sensor", "mtf",
    "noise", "bidx", "rgb", "nearest", "classes", "nodata", "value_range", "device", "precision",
)  # fmt: skip
"""The options of a run that apply to the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How close cubic interpolation and the model come to the scene."""

    psnr_cubic: float
    """PSNR of cubic interpolation, dB. Its peak is the width of the value range."""
    psnr: float
    """PSNR of the model, dB."""
    rmse_cubic: float
    """Root mean square error of cubic interpolation, digital numbers."""
    rmse: float
    """Root mean square error of the model, digital numbers."""

    @property
    def gain(self) -> float:
        """The gain of the model over cubic interpolation, dB; negative if the model is worse."""
        return self.psnr - self.psnr_cubic

    def facts(self) -> dict[str, float]:
        """Return the numbers by name, for JSON."""
        rounded = {name: float(f"{value:.6g}") for name, value in asdict(self).items()}
        return {**rounded, "gain": round(self.gain, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BandAccuracy:
    """How close cubic interpolation and the model come to one band of the scene."""

    number: int
    """The band's number in the scene, from 1."""
    description: str
    """The band's description; empty if it has none."""
    kernel: ConsistencyConfig
    """The kernel that downsampled the band."""
    accuracy: Accuracy
    """How close the results come to the band."""

    @property
    def kernel_words(self) -> str:
        """The kernel in words."""
        return kernel_words(self.kernel.kernel, f"{self.kernel.mtf:.2g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldReport:
    """What a model gains on a scene."""

    scene: str
    """The path of the scene."""
    scale: float
    """The factor by which the scene was downsampled and upscaled again."""
    model: str
    """The name of the model."""
    steps: int
    """Diffusion steps; 0 for the operator alone."""
    noise: float | None
    """The standard deviation of the noise that the low resolution has, digital numbers; None if the
    caller gives none."""
    tiles: int
    """Number of tiles of the scene that were compared."""
    pixels: int
    """Number of pixels that were compared, in each band."""
    bands: tuple[BandAccuracy, ...]
    """The bands that go through the network."""
    overall: Accuracy
    """All bands together."""

    def facts(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return {
            "scene": self.scene,
            "scale": self.scale,
            "model": self.model,
            "steps": self.steps,
            "noise": self.noise,
            "tiles": self.tiles,
            "pixels": self.pixels,
            "bands": [
                {
                    "band": band.number,
                    "description": band.description,
                    "kernel": band.kernel_words,
                    **band.accuracy.facts(),
                }
                for band in self.bands
            ],
            "all": self.overall.facts(),
        }


def wald(scene: str | Path, options: PixelOptions, progress: ProgressOption = None) -> WaldReport:
    """Measure what ``upscale`` gains over cubic interpolation on a scene that has no truth.

    The scene is downsampled by the kernel that the sensor, or the MTF, puts between the two
    resolutions; without both, by the kernel on the model's card. The model upscales it with the
    same knowledge. White noise brings the low resolution to the noise that the caller gives,
    because downsampling averages noise.

    Args:
        scene: the path of the scene.
        options: the options of the run to judge. ``scale`` is needed; see :data:`ACCEPTED`.
        progress: called after each tile, or whether to show a bar. None shows one in a Jupyter
            notebook.

    Raises:
        InputError: an option does not apply, or the scene is too small or has too few valid pixels.
        RasterError: the scene cannot be read.
        ModelError: the model cannot be used.
    """
    _check(options)
    scale = float(Fraction(str(options.scale)))
    with open_source(scene) as source:
        roles = decide(source.description, options)
        _check_sizes(roles.selection.of(source.description).bands)
        settings = model_settings(options, source.description)
    with open_source(scene, roles.selection) as source:
        bands = Bands.of(source, options.value_range, roles)
        windows = best_windows(source, bands)
        side = min(min(window.height, window.width) for window in windows)
        if side / scale < LEAST_LOW_SIDE:
            raise InputError(
                f"{scene} has {side} pixels on a side to compare, expected at least "
                f"{math.ceil(LEAST_LOW_SIDE * scale)} for scale={scale:g}"
            )
        kernels = _kernels(bands, scale, settings)
        squares, pixels = np.zeros((2, len(bands.index))), 0
        noise = np.random.default_rng(options.seed)
        with shown_progress(progress, "wald", unit="tile", total=len(windows)) as shown:
            for done, window in enumerate(windows, start=1):
                case = _case(bands, bands.read(source, window), scale, kernels)
                if settings.noise is not None:
                    case = _with_noise(case, kernels, settings.noise, noise)
                results = interpolate(case), upscale_onto_grid(case.low, case.zoom, settings)[0]
                squares += [_squared_errors(image, case) for image in results]
                pixels += int(case.valid.sum())
                if shown is not None:
                    shown(done, len(windows))
    if not pixels:
        raise InputError(f"{scene} has no pixel to compare: all are near holes at scale={scale:g}")
    if not squares[0].any():
        raise InputError(
            f"{scene} has nothing to compare: each band has the same value in all of its tiles; if "
            "it marks missing pixels, say so with nodata=V"
        )
    numbers = range(1, len(bands.index) + 1) if roles.selection.expand else roles.selection.bands
    return WaldReport(
        scene=str(scene),
        scale=scale,
        model=settings.model.name,
        steps=settings.steps,
        noise=settings.noise,
        tiles=len(windows),
        pixels=pixels,
        bands=tuple(
            BandAccuracy(
                number=numbers[index],
                description=band.description or "",
                kernel=kernel,
                accuracy=_accuracy(squares[:, [i]] / pixels, bands.widths[[i]]),
            )
            for i, (index, band, kernel) in enumerate(
                zip(bands.index, bands.bands, kernels, strict=True)
            )
        ),
        overall=_accuracy(squares / pixels, bands.widths),
    )


def _check(options: PixelOptions) -> None:
    """Refuse options that the protocol does not apply, or that contradict each other.

    Raises:
        InputError: an option cannot be used.
    """
    if options.scale is None:
        raise InputError("scale= is needed, such as that of the run to judge")
    for entry in fields(PixelOptions):
        if entry.name not in ACCEPTED and getattr(options, entry.name) != entry.default:
            raise InputError(
                f"{entry.name}= does not apply to Wald's protocol, expected some of "
                f"{', '.join(ACCEPTED)}"
            )
    if options.mtf is not None and options.mtf >= 1:
        raise InputError(
            f"mtf={options.mtf:g}, expected a number below 1: Wald's protocol blurs the scene"
        )
    options.check()


def _check_sizes(bands: Sequence[Band]) -> None:
    """Refuse bands whose pixels are larger than those of the scene's grid.

    Raises:
        InputError: there is one.
    """
    larger = [band.description or "?" for band in bands if band.factor > 1 and not band.nearest]
    if larger:
        raise InputError(
            f"band {', '.join(larger)} has larger pixels than the scene's finest bands, expected "
            "bands of one pixel size; leave it out with bidx=, or measure its file alone"
        )


def _kernels(bands: Bands, scale: float, settings: ModelSettings) -> list[ConsistencyConfig]:
    """Return the kernel of each band between the scene and its low resolution."""
    card, sensor = settings.model.config.consistency, settings.sensor
    mtfs = [
        settings.mtf
        if sensor is None
        else blur_between(sensor.mtf(number_of(band), colour_of(band)), scale)
        for band in bands.bands
    ]
    return [source_kernel(card, mtf) for mtf in mtfs]


def _case(
    bands: Bands, image: tuple[Values, Valid], scale: float, kernels: Sequence[ConsistencyConfig]
) -> Case:
    """Downsample each band of an image by its own kernel.

    Args:
        bands: the image's bands.
        image: digital numbers and validity, (band, y, x) each.
        scale: the factor between low resolution and image.
        kernels: the kernel of each band.
    """
    values, valid = image
    cases = [
        make_case("", bands.only(i), (values[[i]], valid[[i]]), scale, kernel)
        for i, kernel in enumerate(kernels)
    ]
    return replace(
        cases[0],
        low=LowResolution(
            values=np.concatenate([case.low.values for case in cases]),
            valid=np.concatenate([case.low.valid for case in cases]),
            bands=bands.bands,
            groups=bands.groups,
        ),
        truth=np.concatenate([case.truth for case in cases]),
        valid=np.logical_and.reduce([case.valid for case in cases]),
        triplet=bands.triplet,
        lows=bands.lows,
        widths=bands.widths,
    )


def _with_noise(
    case: Case, kernels: Sequence[ConsistencyConfig], noise: float, random: np.random.Generator
) -> Case:
    """Add white noise, so that the low resolution is as noisy as the scene.

    Args:
        case: the scene and its low resolution.
        kernels: the kernel of each band, which averages the scene's own noise.
        noise: the standard deviation of the scene's noise, digital numbers.
        random: the source of the noise.
    """
    low_shape, shape = case.low.values.shape[1:], case.truth.shape[1:]
    values = case.low.values.astype(np.float64)
    for i, kernel in enumerate(kernels):
        matrices = [
            kernel_matrix(kernel.kernel, low, high, mtf=kernel.mtf)
            for low, high in zip(low_shape, shape, strict=True)
        ]
        kept = math.prod(float((weights**2).sum(axis=1).mean()) for weights in matrices)
        values[i] += random.normal(0.0, noise * math.sqrt(max(0.0, 1 - kept)), low_shape)
    noisy = quantise(values, case.low.values.dtype.name, None)
    return replace(case, low=replace(case.low, values=noisy))


def _squared_errors(image: Values, case: Case) -> Doubles:
    """Return the sum of the squared errors of a result over the compared pixels, (band,)."""
    compared, truth = (v[:, case.valid].astype(np.float64) for v in (image, case.truth))
    squares: Doubles = ((compared - truth) ** 2).sum(axis=1)
    return squares


def _accuracy(errors: Doubles, widths: Doubles) -> Accuracy:
    """Return the accuracy over some bands.

    Args:
        errors: mean squared errors, (2, band), digital numbers; those of cubic first.
        widths: (band,) widths of the value ranges, digital numbers.
    """
    cubic, model = errors
    return Accuracy(
        psnr_cubic=_psnr(cubic, widths),
        psnr=_psnr(model, widths),
        rmse_cubic=math.sqrt(cubic.mean()),
        rmse=math.sqrt(model.mean()),
    )


def _psnr(errors: Doubles, widths: Doubles) -> float:
    """Return the PSNR over some bands, dB; see :func:`_accuracy`."""
    share = float((errors / widths**2).mean())
    return PERFECT_PSNR if share == 0 else min(PERFECT_PSNR, -10 * math.log10(share))
