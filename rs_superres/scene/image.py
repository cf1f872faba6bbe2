"""Low resolution in memory, enlarged by the same computation as the tool's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rs_superres.grid import Grid, Shape, Zoom
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.cell import compute_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import ModelSettings
from rs_superres.types import Floats, Valid, Values
from rs_superres.zoo import Model

EIGHT_BITS = ValueRange(0.0, 255.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Low:
    """An image of low resolution."""

    values: Values
    """(band, y, x), the bands that go through the network."""
    valid: Valid
    """(band, y, x)."""
    bands: tuple[Band, ...]
    groups: tuple[BandGroup, ...]


def enlarged(low: Low, zoom: Zoom, way: ModelSettings) -> tuple[Values, Floats | None]:
    """Super-resolve onto a zoom's output grid.

    Returns:
        (band, Y, X) in the dtype of ``low``; and, where there are several samples, their standard
        deviation in digital numbers.
    """
    # A factor of 1: an evaluation measures the factor that the model's card should state.
    factor = 1.0 if way.samples > 1 else None
    recipe = replace(way.recipe(zoom, low.bands), groups=low.groups, uncertainty_factor=factor)
    reader = ArrayReader(low.values, low.valid)
    values, _, std = compute_window(recipe, reader, zoom.output.window)
    return values, std


def enlarge(
    image: Values,
    shape: tuple[int, int],
    model: Model,
    *,
    steps: int,
    seed: int = 0,
    value_range: ValueRange = EIGHT_BITS,
) -> Values:
    """Super-resolve one group of bands onto a shape over the same extent, in single precision.

    Args:
        image: (3, y, x) of an RGB triplet, or (1, y, x); all valid.
        shape: (Y, X) of the result.
        model: as loaded.
        steps: evaluations of the denoiser.
        seed: names the noise field.
        value_range: the digital numbers that map to the network's -1 and 1.

    Returns:
        (3 or 1, Y, X) in the dtype of ``image``.
    """
    low = Low(
        values=image,
        valid=np.ones(image.shape, dtype=np.bool_),
        bands=(Band(dtype=image.dtype.name),) * len(image),
        groups=(BandGroup(tuple(range(len(image))), value_range),),
    )
    zoom = Zoom.onto(Grid(Shape(*image.shape[1:]), None), Shape(*shape))
    device = next(model.network.parameters()).device
    way = ModelSettings(model=model, steps=steps, seed=seed, precision="fp32", device=device)
    return enlarged(low, zoom, way)[0]
