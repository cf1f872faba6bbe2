"""Draw the samples of one cell and one band group: from source pixels to digital numbers.

Each sample takes the same steps: convert digital numbers to network values, fill holes, run the
network, convert back to digital numbers, correct the sample so that it downsamples to the source,
and keep it within its limits. :func:`draw_samples` returns the mean of the samples and the expected
error.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from rs_superres.grid import AxisSupport, Window, WindowAxis
from rs_superres.image.consistency import Projection
from rs_superres.image.limits import Limiter
from rs_superres.image.noise import normal_field
from rs_superres.image.radiometry import DOUBLE, FILL_RADIUS, fill_holes, limits
from rs_superres.image.resampling import cubic
from rs_superres.image.statistics import RunningStatistics, smoothed
from rs_superres.scene.bands import BandGroup, as_triplet
from rs_superres.scene.halo import HaloWindow
from rs_superres.scene.inference import CellInput, Drawn, Inference, Noise
from rs_superres.scene.recipe import UNCERTAINTY_REACH, UNCERTAINTY_WIDTH, CellRecipe
from rs_superres.types import Doubles, Valid

LARGEST_INPUT = 1e6
"""Largest network value that networks receive, for rasters that need double precision."""

WITHOUT_BORDER = np.s_[:, FILL_RADIUS:-FILL_RADIUS, FILL_RADIUS:-FILL_RADIUS]
"""Index that crops a halo to what the networks see: it drops the border that only fills holes."""


class Samples(NamedTuple):
    """The samples of one band group before the consistency correction, in digital numbers."""

    source: Doubles
    """(band, y, x) source pixels that the networks see, with holes filled."""
    valid: Valid
    """(band, y, x), True where ``source`` holds a pixel of the source, False where it is filled."""
    samples: Iterator[Doubles]
    """One (band, y, x) array for each sample: the cell and its valid margin."""
    variance: Doubles | None
    """(band, y, x) the predicted variance of the prior's error there; None if none is predicted."""


class Statistics(NamedTuple):
    """The result of one band group in a cell, in digital numbers that are not rounded."""

    mean: Doubles
    """(band, y, x) mean of the samples."""
    error: Doubles | None
    """(band, y, x) expected error: the standard deviation of the prior's error, as the model
    predicts it, or that of the samples if it predicts none, times the recipe's factor. None if no
    uncertainty is written."""


def draw_samples(recipe: CellRecipe, halo: HaloWindow, group_index: int) -> Statistics:
    """Draw all samples of one band group for a cell.

    Args:
        recipe: everything that determines the pixels, except the source's values.
        halo: the source pixels of the cell and around it.
        group_index: index of the group in ``recipe.groups``. The noise depends on it.

    Returns:
        Mean and, if the uncertainty is written, expected error of the cell. Its square is averaged
        over :data:`rs_superres.scene.recipe.UNCERTAINTY_WIDTH`.
    """
    group, cell = recipe.groups[group_index], halo.cell
    margin, averaged = recipe.inference.valid_margin, recipe.averaged_margin
    draw = _draw_in_double if recipe.dtype in DOUBLE else _draw_in_single
    source, valid, samples, variance = draw(recipe, halo, group_index)
    correct = _Correction(recipe, halo, group)
    rows = slice(margin - averaged, margin + cell.height + averaged)
    columns = slice(margin - averaged, margin + cell.width + averaged)
    statistics = RunningStatistics()
    for sample in samples:
        correct(sample, source, valid)
        statistics.add(sample[:, rows, columns])
    mean = statistics.mean
    if recipe.uncertainty_factor is None:
        return Statistics(mean, None)
    variance = statistics.variance() if variance is None else variance[:, rows, columns]
    if averaged:
        inside = np.s_[:, averaged:-averaged, averaged:-averaged]
        widths = [
            UNCERTAINTY_WIDTH / step for step in (recipe.zoom.rows.step, recipe.zoom.columns.step)
        ]
        mean, variance = mean[inside], smoothed(variance, widths, UNCERTAINTY_REACH)[inside]
    return Statistics(mean, recipe.uncertainty_factor * np.sqrt(variance))


class _Correction:
    """Brings the samples of one band group in a cell to their source, and into their limits.

    Args:
        recipe: everything that determines the pixels, except the source's values.
        halo: the source pixels of the cell and around it.
        group: the band group.
    """

    def __init__(self, recipe: CellRecipe, halo: HaloWindow, group: BandGroup) -> None:
        axes, kernel = _window_axes(recipe, halo), recipe.kernel(group)
        self._project = Projection(kernel, *axes) if recipe.corrects(group) else None
        self._limits = recipe.limits
        self._limit = None if recipe.limits is None else Limiter(kernel, *axes)
        self._tolerance = recipe.tolerance(group)
        self._ends = [limits(recipe.dtype, recipe.bands[i].bits) for i in group.bands]

    def __call__(self, sample: Doubles, source: Doubles, valid: Valid) -> None:
        """Correct a sample in place.

        Args:
            sample: (band, y, x) digital numbers of the cell and its valid margin; overwritten.
            source: (band, y, x) source pixels that the networks see.
            valid: (band, y, x), True where ``source`` is not filled.
        """
        exact = self._project is not None and not self._tolerance
        for y, x, known, ends in zip(sample, source, valid, self._ends, strict=True):
            if self._project is not None:
                # The result is clipped to its dtype when it is rounded. A saturated sample is
                # clipped here too: otherwise the correction would rely on values that the dtype
                # cannot hold, and the result would downsample less closely to its source.
                self._project(np.clip(y, *ends, out=y), x, self._tolerance)
            if self._limit is not None and self._limits is not None:
                self._limit(y, x, known, self._limits.within(*ends), consistent=exact)


def _window_axes(recipe: CellRecipe, halo: HaloWindow) -> tuple[WindowAxis, WindowAxis]:
    """Return the rows and columns of a cell and its valid margin."""
    margin, cell, zoom = recipe.inference.valid_margin, halo.cell, recipe.zoom
    rows, columns = (
        WindowAxis(
            mapping,
            range(start - margin, start + size + margin),
            range(support.start, support.start + support.count),
        )
        for mapping, start, size, support in (
            (zoom.rows, cell.row, cell.height, halo.rows),
            (zoom.columns, cell.column, cell.width, halo.columns),
        )
    )
    return rows, columns


def _draw_in_single(recipe: CellRecipe, halo: HaloWindow, group_index: int) -> Samples:
    """Draw samples of a dtype that float32 holds exactly: the networks compute the values."""
    group, inference = recipe.groups[group_index], recipe.inference
    value_range, index = group.value_range, list(group.bands)
    filled = fill_holes(value_range.to_network(halo.values[index]), halo.visible[index])
    kept, noises = _kept(inference), _noises(recipe, halo.cell, group_index)
    cell = CellInput(
        as_triplet(filled)[WITHOUT_BORDER], halo.rows, halo.columns, noises, recipe.seen(group)
    )
    drawn = inference(cell)
    valid = halo.visible[index][WITHOUT_BORDER]
    return Samples(
        source=np.where(
            valid,
            halo.values[index][WITHOUT_BORDER],
            value_range.from_network(filled[WITHOUT_BORDER]),
        ),
        valid=valid,
        samples=(
            _merge(group, value_range.from_network(output[:, kept, kept]))
            for output in drawn.samples
        ),
        variance=_variance(group, drawn, kept),
    )


def _draw_in_double(recipe: CellRecipe, halo: HaloWindow, group_index: int) -> Samples:
    """Draw samples of a dtype that float32 would round.

    The base is a cubic interpolation in float64. The networks compute only what they add to the
    cubic interpolation of their input.
    """
    group, inference = recipe.groups[group_index], recipe.inference
    value_range, index = group.value_range, list(group.bands)
    centred = halo.values[index].astype(np.float64) - value_range.centre
    exact = fill_holes(centred, halo.visible[index])
    # In float32, values far outside the range would become infinite. The cubic base keeps them.
    filled = (exact / value_range.half).clip(-LARGEST_INPUT, LARGEST_INPUT).astype(np.float32)
    kept, noises = _kept(inference), _noises(recipe, halo.cell, group_index)
    rows, columns = (_bordered(axis, kept) for axis in (halo.rows, halo.columns))
    base = value_range.centre + cubic(exact, rows, columns)
    cell = CellInput(
        as_triplet(filled)[WITHOUT_BORDER], halo.rows, halo.columns, noises, recipe.seen(group)
    )
    drawn = inference.residual(cell)
    return Samples(
        source=value_range.centre + exact[WITHOUT_BORDER],
        valid=halo.visible[index][WITHOUT_BORDER],
        samples=(
            base + value_range.half * _merge(group, residual[:, kept, kept].astype(np.float64))
            for residual in drawn.samples
        ),
        variance=_variance(group, drawn, kept),
    )


def _noises(recipe: CellRecipe, cell: Window, group_index: int) -> list[Noise]:
    """Return a function for each sample that draws its noise, for the cell and its margin."""
    margin = recipe.inference.margin
    return [
        partial(
            normal_field,
            (recipe.seed, sample, 0, group_index),  # 0: all noise belongs to the first step
            row=cell.row - margin,
            column=cell.column - margin,
            shape=(3, cell.height + 2 * margin, cell.width + 2 * margin),
        )
        for sample in range(recipe.samples)
    ]


def _merge(group: BandGroup, output: Doubles) -> Doubles:
    """Turn a network's output, (3, y, x), into a group's bands; a single band is the mean."""
    return output if len(group.bands) == 3 else output.mean(axis=0, keepdims=True)


def _variance(group: BandGroup, drawn: Drawn, kept: slice) -> Doubles | None:
    """Return the predicted variance of a group's bands in digital numbers; None if there is none.

    Bands of a single one are three equal ones for the network; their variances are averaged.
    """
    if drawn.deviation is None:
        return None
    return _merge(
        group, (group.value_range.half * drawn.deviation[:, kept, kept].astype(np.float64)) ** 2
    )


def _kept(inference: Inference) -> slice:
    """Return the rows (or columns) of a network's output in the cell and its valid margin."""
    dropped = inference.margin - inference.valid_margin
    return slice(dropped, -dropped or None)


def _bordered(support: AxisSupport, kept: slice) -> AxisSupport:
    """Extend an axis by the border that only fills holes; keep the positions in ``kept``."""
    return AxisSupport(
        support.start - FILL_RADIUS, support.count + 2 * FILL_RADIUS, support.positions[kept]
    )
