"""Low resolution in memory, enlarged by the same computation as the tool's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.consistency import surroundings
from rs_superres.grid import Grid, Shape, Zoom
from rs_superres.groups import Group
from rs_superres.inference import Manner, Precision, prepare
from rs_superres.radiometry import Floats, Valid, ValueRange
from rs_superres.raster import Band
from rs_superres.reader import ArrayReader
from rs_superres.recipe import Recipe
from rs_superres.scene import compute_cell
from rs_superres.tiles import Lattice
from rs_superres.zoo import Model

Values = npt.NDArray[np.generic]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a model enlarges."""

    model: Model
    steps: int
    """Evaluations of the denoiser."""
    seed: int = 0
    """Names the noise field."""
    samples: int = 1
    """Results that are drawn and averaged."""
    consistency: bool = True
    """Whether the result, brought back, shall equal the low resolution."""
    precision: Precision = "fp32"


def enlarged(low: Low, zoom: Zoom, way: Way) -> tuple[Values, Floats | None]:
    """Super-resolve onto a zoom's output grid.

    Returns:
        (band, Y, X) in the dtype of ``low``; and, where there are several samples, their standard
        deviation in digital numbers.
    """
    recipe = _recipe(low, zoom, way)
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


def _recipe(low: Low, zoom: Zoom, way: Way) -> Recipe:
    """The recipe of the tool for this image."""
    config, network = way.model.config, way.model.network
    manner = Manner(
        steps=way.steps,
        device=next(network.parameters()).device,
        precision=way.precision,
        beside=surroundings(zoom) if way.consistency else 0,
    )
    return Recipe(
        zoom=zoom,
        lattice=Lattice.over(zoom.output.shape, config.tiles.size),
        bands=low.bands,
        groups=low.groups,
        inference=prepare(config, network, zoom, manner),
        seed=way.seed,
        masked=False,
        consistency=config.consistency if way.consistency else None,
        samples=way.samples,
        # As drawn: what factor the card should name is what an evaluation finds out.
        spread=1.0 if way.samples > 1 else None,
    )


def enlarge(
    image: Values,
    shape: tuple[int, int],
    model: Model,
    *,
    steps: int,
    seed: int = 0,
    value_range: ValueRange = EIGHT_BITS,
) -> Values:
    """Super-resolve one group of bands onto a shape over the same extent.

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
    return enlarged(low, zoom, Way(model=model, steps=steps, seed=seed))[0]
