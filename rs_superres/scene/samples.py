"""The samples that are drawn of a cell, group by group: from source pixels to digital numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from rs_superres.grid import AxisSupport, Window
from rs_superres.image.consistency import Projection
from rs_superres.image.noise import normal_field
from rs_superres.image.radiometry import DOUBLE, FILL_RADIUS, fill_holes, limits
from rs_superres.image.resampling import cubic
from rs_superres.image.statistics import RunningStatistics
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.halo import HaloWindow
from rs_superres.scene.inference import Inference, Noise
from rs_superres.scene.recipe import CellRecipe
from rs_superres.types import Doubles, Floats

FARTHEST = 1e6
"""Network values that the networks are shown at most, of rasters in double precision."""

INSIDE = np.s_[:, FILL_RADIUS:-FILL_RADIUS, FILL_RADIUS:-FILL_RADIUS]
"""What of the surroundings the networks are shown: not the border that holes are filled from."""

Samples = tuple[Doubles, Iterator[Doubles]]
"""The source of one group, holes filled, (band, y, x) of the patch; and the samples, one at a time,
(band, y, x) of the cell and what is sound around it. Digital numbers, both."""


def draw_samples(recipe: CellRecipe, around: HaloWindow, number: int) -> RunningStatistics:
    """All samples of one group: (band, y, x) of the cell, digital numbers."""
    valid_margin = recipe.inference.valid_margin
    width = 2 * recipe.groups[number].value_range.half
    of_dtype = _double if recipe.dtype in DOUBLE else _single
    source, samples = of_dtype(recipe, around, number)
    inner = np.s_[
        :,
        valid_margin : valid_margin + around.cell.height,
        valid_margin : valid_margin + around.cell.width,
    ]
    found = RunningStatistics()
    project = _projection(recipe, around)
    ends = [limits(recipe.dtype, recipe.bands[i].bits) for i in recipe.groups[number].bands]
    least, most = np.array(ends, dtype=np.float64).T[..., None, None]
    for sample in samples:
        # Clipped before the correction too: what is clipped after it is lost to it.
        made = sample if project is None else project(sample.clip(least, most), source, width)
        found.add(made[inner])
    return found


def _projection(recipe: CellRecipe, around: HaloWindow) -> Projection | None:
    """What brings a cell and what is sound around it to the source; None where nothing shall."""
    if recipe.consistency is None:
        return None
    valid_margin, cell, zoom = recipe.inference.valid_margin, around.cell, recipe.zoom
    return Projection(
        recipe.consistency,
        (zoom.rows, zoom.columns),
        (
            range(cell.row - valid_margin, cell.row + cell.height + valid_margin),
            range(cell.column - valid_margin, cell.column + cell.width + valid_margin),
        ),
        (
            range(around.rows.start, around.rows.start + around.rows.count),
            range(around.columns.start, around.columns.start + around.columns.count),
        ),
    )


def _single(recipe: CellRecipe, around: HaloWindow, number: int) -> Samples:
    """Samples of a dtype that single precision carries whole: the networks give the values."""
    group, inference = recipe.groups[number], recipe.inference
    found, index = group.value_range, list(group.bands)
    filled = fill_holes(found.to_network(around.values[index]), around.valid[index])
    kept, noises = _kept(inference), _noises(recipe, around.cell, number)
    results = inference(_image(filled), around.rows, around.columns, noises)
    return (
        found.from_network(filled[INSIDE]),
        (_merged(group, found.from_network(one[:, kept, kept])) for one in results),
    )


def _double(recipe: CellRecipe, around: HaloWindow, number: int) -> Samples:
    """Samples of the other dtypes: the networks supply what the cubic base lacks, no more."""
    group, inference = recipe.groups[number], recipe.inference
    found, index = group.value_range, list(group.bands)
    exact = fill_holes(around.values[index].astype(np.float64) - found.centre, around.valid[index])
    # Beyond these the base alone carries a value: single precision would make it infinite.
    filled = (exact / found.half).clip(-FARTHEST, FARTHEST).astype(np.float32)
    kept, noises = _kept(inference), _noises(recipe, around.cell, number)
    base = found.centre + cubic(exact, *(_bordered(p, kept) for p in (around.rows, around.columns)))
    residuals = inference.residual(_image(filled), around.rows, around.columns, noises)
    return (
        found.centre + exact[INSIDE],
        (
            base + found.half * _merged(group, one[:, kept, kept].astype(np.float64))
            for one in residuals
        ),
    )


def _image(filled: Floats) -> Floats:
    """What the networks are shown of network values, (3, y, x): a single band three times."""
    return np.broadcast_to(filled, (3, *filled.shape[1:]))[INSIDE]


def _noises(recipe: CellRecipe, cell: Window, number: int) -> list[Noise]:
    """What draws the noise of each sample of a group, over the cell and its margin."""
    margin = recipe.inference.margin
    return [
        partial(
            normal_field,
            (recipe.seed, sample, 0, number),  # step 0
            row=cell.row - margin,
            column=cell.column - margin,
            shape=(3, cell.height + 2 * margin, cell.width + 2 * margin),
        )
        for sample in range(recipe.samples)
    ]


def _merged(group: BandGroup, made: Doubles) -> Doubles:
    """What the network made of a group, (3, y, x): of a single band's three results the mean."""
    return made if len(group.bands) == 3 else made.mean(axis=0, keepdims=True)


def _kept(inference: Inference) -> slice:
    """Rows, or columns, of what the networks compute that are in the cell or sound around it."""
    dropped = inference.margin - inference.valid_margin
    return slice(dropped, -dropped or None)


def _bordered(along: AxisSupport, kept: slice) -> AxisSupport:
    """A patch with the border that holes are filled from, and those positions that are kept."""
    return AxisSupport(
        along.start - FILL_RADIUS, along.count + 2 * FILL_RADIUS, along.positions[kept]
    )
