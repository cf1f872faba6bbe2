"""The pixels of a part of the map: source, cubic interpolation, result and uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rs_superres.grid import Shape, Window, Zoom
from rs_superres.grid.lattice import axis_support
from rs_superres.image.radiometry import limits, weigh_colours
from rs_superres.image.resampling import cubic_over_holes
from rs_superres.raster import Band, Source, opacity, visible
from rs_superres.types import Valid, Values
from rs_superres.view.pair import ViewedPair

SOURCE, CUBIC, RESULT, UNCERTAINTY = "source", "cubic", "result", "uncertainty"

HALO = 6
"""Source pixels read around a part: for the cubic kernel, and for the reach of holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The pixels that one raster has in a part of the map."""

    values: Values
    """(band, y, x) digital numbers."""
    valid: Valid
    """(band, y, x) validity; False where transparent."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom edge, in the result's pixel coordinates."""


def full_layers(pair: ViewedPair, window: Window) -> Mapping[str, Layer]:
    """Read all layers of a window of the result, pixel by pixel.

    Raises:
        RasterError: a raster cannot be read.
    """
    box = _box(window)
    under = source_under(pair.zoom, window)
    layers = {
        SOURCE: _read(pair, pair.source, under, _source_box(pair.zoom, under)),
        CUBIC: _cubic(pair, window),
        RESULT: _read(pair, pair.result, window, box),
    }
    if pair.uncertainty is not None:
        values, valid = pair.uncertainty.read(window)
        layers[UNCERTAINTY] = Layer(values=values, valid=valid, box=box)
    return layers


def reduced_layers(pair: ViewedPair, shape: Shape) -> Mapping[str, Layer]:
    """Read the entire result, and the source under it, at reduced size.

    Args:
        pair: the rasters.
        shape: height and width of the result's layer.

    Raises:
        RasterError: a raster cannot be read.
    """
    whole = pair.zoom.output.window
    box, under = _box(whole), source_under(pair.zoom, whole)
    # Of a source with larger pixels than those of the overview, all pixels are read.
    smaller = Shape(min(shape.height, under.height), min(shape.width, under.width))
    source_box = _source_box(pair.zoom, under)
    layers = {
        SOURCE: _read(pair, pair.source, under, source_box, smaller),
        RESULT: _read(pair, pair.result, whole, box, shape),
    }
    if pair.uncertainty is not None:
        values, valid = pair.uncertainty.read_reduced(whole, shape)
        layers[UNCERTAINTY] = Layer(values=values, valid=valid, box=box)
    return layers


def source_under(zoom: Zoom, window: Window) -> Window:
    """Return the source pixels that contain the centres of a window's output pixels."""
    rows = zoom.rows.under(window.row, window.height)[[0, -1]].clip(0, zoom.rows.source - 1)
    columns = zoom.columns.under(window.column, window.width)[[0, -1]]
    columns = columns.clip(0, zoom.columns.source - 1)
    (top, bottom), (left, right) = rows.tolist(), columns.tolist()
    return Window(top, left, bottom - top + 1, right - left + 1)


def _box(window: Window) -> tuple[float, float, float, float]:
    """Return the edges of a window of the result."""
    return (
        float(window.column),
        float(window.row),
        float(window.column + window.width),
        float(window.row + window.height),
    )


def _source_box(zoom: Zoom, window: Window) -> tuple[float, float, float, float]:
    """Return the edges of a window of the source, in the result's pixel coordinates."""
    left, right = (zoom.columns.edge(e) for e in (window.column, window.column + window.width))
    top, bottom = (zoom.rows.edge(e) for e in (window.row, window.row + window.height))
    return left, top, right, bottom


def _read(
    pair: ViewedPair,
    source: Source,
    window: Window,
    box: tuple[float, float, float, float],
    shape: Shape | None = None,
) -> Layer:
    """Read the bands that are shown; of a reduced size if a shape is given."""
    values, valid = source.read(window) if shape is None else source.read_reduced(window, shape)
    valid = visible(source.description.bands, values, valid)
    count = len(pair.numbers)
    return Layer(values=values[:count], valid=valid[:count], box=box)


def _cubic(pair: ViewedPair, window: Window) -> Layer:
    """Interpolate the source on the pixels of a window, each band from its own pixels."""
    bands = pair.source.description.bands[: len(pair.numbers)]
    by_factor = {factor: _coarser(pair, factor) for factor in {band.factor for band in bands}}
    values, valid = [], []
    parts = {factor: _SourcePart(*own, window) for factor, own in by_factor.items()}
    for index, band in enumerate(bands):
        part = parts[band.factor]
        values.append(part.interpolated(index, band))
        valid.append(part.valid_under(index))
    return Layer(values=np.stack(values), valid=np.stack(valid), box=_box(window))


def _coarser(pair: ViewedPair, factor: int) -> tuple[Source, Zoom]:
    """Return the source and the mapping of the bands whose pixels have a size."""
    if factor == 1:
        return pair.source, pair.zoom
    return pair.source.coarser(factor), pair.zoom.coarser(factor)


class _SourcePart:
    """The source pixels around a window of the result.

    Args:
        source: the source.
        zoom: the mapping between its grid and that of the result.
        window: the window, in output pixels.
    """

    def __init__(self, source: Source, zoom: Zoom, window: Window) -> None:
        self._rows, self._columns = (
            axis_support(axis, start, count, margin=0, halo=HALO)
            for axis, start, count in (
                (zoom.rows, window.row, window.height),
                (zoom.columns, window.column, window.width),
            )
        )
        bands = source.description.bands
        values, valid = source.read_mirrored(
            Window(self._rows.start, self._columns.start, self._rows.count, self._columns.count)
        )
        self._valid = visible(bands, values, valid)
        alpha = np.where(self._valid, opacity(bands, values), 0.0)
        self._values = weigh_colours(values, alpha)
        rows = zoom.rows.under(window.row, window.height)
        columns = zoom.columns.under(window.column, window.width)
        self._inside = np.logical_and.outer(
            (rows >= 0) & (rows < zoom.rows.source),
            (columns >= 0) & (columns < zoom.columns.source),
        )
        self._under = np.ix_(rows - self._rows.start, columns - self._columns.start)

    def valid_under(self, band: int) -> Valid:
        """Return which output pixels have a valid source pixel under their centre, (y, x)."""
        valid: Valid = self._valid[band][self._under] & self._inside
        return valid

    def interpolated(self, index: int, band: Band) -> Values:
        """Return a band on the output pixels, (y, x), rounded to its dtype; classes as they are."""
        if band.nearest or band.is_palette:
            classes: Values = self._values[index][self._under].astype(band.dtype)
            return classes
        out = cubic_over_holes(
            self._values[index], self._valid[index], self._rows, self._columns, HALO
        )
        rounded = np.rint(out) if np.dtype(band.dtype).kind in "iu" else out
        return np.clip(rounded, *limits(band.dtype)).astype(band.dtype)
