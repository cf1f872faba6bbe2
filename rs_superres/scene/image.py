"""Upscale arrays in memory by the same computation as files: for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rs_superres.grid import Grid, Shape, Zoom
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band, windows_over
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.cell import compute_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import ModelSettings
from rs_superres.types import Floats, Valid, Values
from rs_superres.zoo import Model

EIGHT_BITS = ValueRange(0.0, 255.0)
"""The value range of all 8-bit digital numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowResolution:
    """A low-resolution image, and how its bands go through the network."""

    values: Values
    """(band, y, x) digital numbers of the bands that go through the network."""
    valid: Valid
    """(band, y, x), True where ``values`` are valid."""
    bands: tuple[Band, ...]
    """A description of each band."""
    groups: tuple[BandGroup, ...]
    """The bands that go through the network together."""


def upscale_onto_grid(
    low: LowResolution, zoom: Zoom, settings: ModelSettings
) -> tuple[Values, Floats | None]:
    """Super-resolve a low-resolution image onto the output grid of a zoom.

    Args:
        low: the image.
        zoom: the image's grid, and the output grid.
        settings: the model, and how it upscales.

    Returns:
        (band, Y, X) digital numbers in the dtype of ``low``, and the expected error in the same
        shape and unit, without the factor on the model's card; None instead if the settings do not
        ask for it.

    Raises:
        InputError: the model does not take the number of steps.
    """
    # A factor of 1: evaluation measures the factor that the model's card should state.
    factor = 1.0 if settings.uncertainty else None
    recipe = settings.recipe(zoom, low.bands)
    reader = ArrayReader(low.values, low.valid)
    windows = windows_over(zoom.source.shape) if recipe.quality.needs_samples else []
    samples = [reader.read(window) for window in windows]
    groups = recipe.quality.apply(low.groups, low.bands, samples)
    recipe = replace(recipe, groups=groups, uncertainty_factor=factor)
    values, _, std = compute_window(recipe, reader, zoom.output.window)
    return values, std


def upscale_image(
    image: Values,
    shape: tuple[int, int],
    model: Model,
    *,
    steps: int,
    seed: int = 0,
    value_range: ValueRange = EIGHT_BITS,
) -> Values:
    """Super-resolve an RGB or grey image to a shape, over the same extent and in float32.

    Args:
        image: (3, y, x) RGB or (1, y, x) grey digital numbers, all valid.
        shape: (Y, X), rows and columns of the result.
        model: the model as it was loaded, on the device that computes.
        steps: evaluations of the denoiser; 0 for the neural operator alone.
        seed: random seed of the diffusion noise.
        value_range: the digital numbers that map to the network's -1 and 1.

    Returns:
        (3 or 1, Y, X) digital numbers in the dtype of ``image``.

    Raises:
        InputError: the model does not take this number of steps.
    """
    low = LowResolution(
        values=image,
        valid=np.ones(image.shape, dtype=np.bool_),
        bands=(Band(dtype=image.dtype.name),) * len(image),
        groups=(BandGroup(tuple(range(len(image))), value_range),),
    )
    zoom = Zoom.onto(Grid(Shape(*image.shape[1:]), None), Shape(*shape))
    device = next(model.network.parameters()).device
    settings = ModelSettings(model=model, steps=steps, seed=seed, precision="fp32", device=device)
    return upscale_onto_grid(low, zoom, settings)[0]
