"""Low resolution in memory, enlarged by the same computation as the tool's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rs_superres.grid import Grid, Shape, Zoom
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.scene.bands import Group
from rs_superres.scene.cell import compute_cell
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import Way
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
    groups: tuple[Group, ...]


def enlarged(low: Low, zoom: Zoom, way: Way) -> tuple[Values, Floats | None]:
    """Super-resolve onto a zoom's output grid.

    Returns:
        (band, Y, X) in the dtype of ``low``; and, where there are several samples, their standard
        deviation in digital numbers.
    """
    # As drawn: what factor the card should name is what an evaluation finds out.
    spread_factor = 1.0 if way.samples > 1 else None
    recipe = replace(way.recipe(zoom, low.bands), groups=low.groups, spread=spread_factor)
    shape = len(low.values), zoom.output.shape.height, zoom.output.shape.width
    out = np.empty(shape, dtype=low.values.dtype)
    spread = None if recipe.spread is None else np.empty(shape, dtype=np.float32)
    reader, whole = ArrayReader(low.values, low.valid), zoom.output.window
    for cell in recipe.lattice.cells():
        shared = cell.intersection(whole)
        if shared is not None:
            made = compute_cell(recipe, reader, cell)
            part = np.s_[:, *shared.relative_to(cell).slices]
            out[:, *shared.slices] = made.values[part]
            if spread is not None and made.spread is not None:
                spread[:, *shared.slices] = made.spread[part]
    return out, spread


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
        groups=(Group(tuple(range(len(image))), value_range),),
    )
    zoom = Zoom.onto(Grid(Shape(*image.shape[1:]), None), Shape(*shape))
    device = next(model.network.parameters()).device
    way = Way(model=model, steps=steps, seed=seed, precision="fp32", device=device)
    return enlarged(low, zoom, way)[0]
