"""Work out how a result's pixels lie on its source, and check CRS and extent.

The mapping comes from transforms, control points or RPCs. Without any of them, the result is
assumed to cover the entire source.
"""

from __future__ import annotations

import numpy as np
from affine import Affine

from rs_superres.errors import InputError
from rs_superres.grid import SNAP, AxisMapping, Grid, Zoom
from rs_superres.raster import Description, longitude_turns, same_crs
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import RULES

SLACK = 1e-3
"""Output pixels that transforms may differ by over a scene, because files store few digits."""

Line = tuple[float, float]
"""Ratio and offset: result coordinate = ratio * source coordinate + offset."""


def map_grids(before: Description, after: Description) -> tuple[Zoom | None, str]:
    """Map the result's pixels to the source's.

    Args:
        before: the source.
        after: the result.

    Returns:
        The mapping, or None if the grids cannot be compared; and what is wrong with the result's
        georeference, empty if nothing is.
    """
    source, result = before.grid, after.grid
    fault = ""
    if source.transform is not None:
        if result.transform is not None:
            return _by_transforms(before, after)
        fault = "the source has a transform, the result has none"
    elif before.control_points or before.rational is not None:
        zoom, fault = _by_points(before, after)
        if zoom is not None:
            return zoom, ""
    if result.shape.height <= source.shape.height or result.shape.width <= source.shape.width:
        return None, fault or "the result's sides are no longer than the source's"
    return Zoom.onto(source, result.shape), fault


def _by_transforms(before: Description, after: Description) -> tuple[Zoom | None, str]:
    """Map the grids by their transforms; the CRS is a check of its own."""
    source, result = before.grid, after.grid
    assert source.transform is not None and result.transform is not None  # noqa: PT018, S101 (mypy)
    moved = Affine.translation(_turn(source, result), 0) @ result.transform
    to_source = ~source.transform @ moved
    longest_side = max(result.shape.width, result.shape.height)
    if max(abs(to_source.b), abs(to_source.d)) * longest_side > SLACK:
        return None, "the result's grid is rotated against the source's"
    if to_source.a <= 0 or to_source.e <= 0:
        return None, "the result's rows or columns run in the opposite direction to the source's"
    if to_source.a >= 1 or to_source.e >= 1:
        size = f"{to_source.a:.4g} x {to_source.e:.4g}"
        return None, f"the result's pixels are {size} source pixels, expected smaller than 1 x 1"
    rows = _axis(source.shape.height, result.shape.height, to_source.e, to_source.f)
    columns = _axis(source.shape.width, result.shape.width, to_source.a, to_source.c)
    for axis in (rows, columns):
        if axis.edge(0.0) >= axis.size or axis.edge(float(axis.source)) <= 0:
            return None, "the result lies outside the source"
    return Zoom(source=source, output=result, rows=rows, columns=columns), ""


def _turn(source: Grid, result: Grid) -> float:
    """Return how far around the Earth a result's longitudes must move to lie on the source's.

    The unit is the CRS's. The result is 0 unless longitudes run from -180 to 180 degrees in one
    raster, and from 0 to 360, or beyond 180, in the other.
    """
    west, _, east, _ = source.bounds
    left, _, right, _ = result.bounds
    return max(
        longitude_turns(source.crs),
        key=lambda turn: min(east, right + turn) - max(west, left + turn),
    )


def _axis(source_size: int, size: int, step: float, start: float) -> AxisMapping:
    """Map one axis; if the result covers the source to within ``SLACK``, it does so exactly.

    Args:
        source_size: source pixels.
        size: output pixels.
        step: size of an output pixel, source pixels.
        start: position of the first output pixel's edge, source pixels.
    """
    end = (start + size * step - source_size) / step
    if max(abs(start / step), abs(end)) < SLACK:
        return AxisMapping.over_extent(source_size, size)
    return AxisMapping.stepping(source_size, size, step=step, start=start)


def _by_points(before: Description, after: Description) -> tuple[Zoom | None, str]:
    """Map the grids by their control points, or else by their RPCs."""
    name = "control points" if before.control_points else "RPCs"
    try:
        lines = _fit_lines(before, after)
    except InputError as error:
        return None, str(error)
    source, result = before.grid.shape, after.grid.shape
    sizes = (source.height, result.height), (source.width, result.width)
    axes = []
    for (ratio, offset), (source_size, size) in zip(lines, sizes, strict=True):
        if ratio <= 1:
            return None, f"the result's {name} were not scaled to its pixels"
        axes.append(_axis(source_size, size, 1 / ratio, -offset / ratio))
    return Zoom(source=before.grid, output=after.grid, rows=axes[0], columns=axes[1]), ""


def _fit_lines(before: Description, after: Description) -> tuple[Line, Line]:
    """Fit how pixel coordinates changed from source to result, for rows and for columns.

    Raises:
        InputError: the result lacks the source's control points or RPCs.
    """
    if before.control_points:
        old, new = before.control_points, after.control_points
        if [(p.x, p.y) for p in old] != [(p.x, p.y) for p in new]:
            raise InputError("the result lacks the source's control points")
        return (
            _fit_line([p.row for p in old], [p.row for p in new]),
            _fit_line([p.col for p in old], [p.col for p in new]),
        )
    old_rpcs, new_rpcs = before.rational, after.rational
    if old_rpcs is None or new_rpcs is None:
        raise InputError("the source has RPCs, the result has none")
    lines = []
    for axis in ("line", "samp"):
        ratio = getattr(new_rpcs, f"{axis}_scale") / getattr(old_rpcs, f"{axis}_scale")
        old_offset, new_offset = getattr(old_rpcs, f"{axis}_off"), getattr(new_rpcs, f"{axis}_off")
        # RPCs count pixel centres as integers.
        lines.append((ratio, new_offset + 0.5 - ratio * (old_offset + 0.5)))
    return lines[0], lines[1]


def _fit_line(old: list[float], new: list[float]) -> Line:
    """Fit a line through pairs of coordinates.

    Raises:
        InputError: the coordinates do not lie on a line.
    """
    if np.ptp(old) < 1:
        raise InputError("the control points do not span the scene")
    ratio, offset = np.polyfit(old, new, 1)
    if np.abs(ratio * np.array(old) + offset - new).max() > 1e-2:
        raise InputError("the result's control points are not the source's points, scaled")
    return float(ratio), float(offset)


def crs_finding(before: Description, after: Description) -> Finding:
    """Check that both rasters have the same CRS and coordinate epoch."""
    fault = ""
    if not same_crs(before.grid, after.grid):
        if before.grid.crs is None:
            fault = "the result has a CRS, the source has none"
        elif after.grid.crs:
            fault = "the result has a different CRS"
        else:
            fault = "the result has no CRS"
    elif before.epoch != after.epoch:
        fault = f"the source's coordinate epoch is {before.epoch}, the result's {after.epoch}"
    return Finding(
        name="crs",
        measured=int(bool(fault)),
        allowed=RULES["crs"].allowed,
        detail=fault,
    )


def extent_finding(zoom: Zoom) -> Finding:
    """Check that no side ends inside the source by less than a window would."""
    faults = []
    covered = []
    for axis, first, last in ((zoom.rows, "top", "bottom"), (zoom.columns, "left", "right")):
        source_start, source_end = axis.edge(0.0), axis.edge(float(axis.source))  # output pixels
        gaps = {first: -source_start, last: source_end - axis.size}
        for side, gap in gaps.items():
            if 0.5 + SLACK + SNAP < gap <= 1 + 1 / axis.step + SLACK:
                faults.append(f"{side}: {gap * axis.step:.3g} source pixels are missing")
        overlap = min(source_end, axis.size) - max(source_start, 0)
        covered.append(overlap * axis.step / axis.source)
    share = 100 * covered[0] * covered[1]
    return Finding(
        name="extent",
        measured=len(faults),
        allowed=RULES["extent"].allowed,
        detail="; ".join([*faults, f"covers {share:.4g} % of the source"]),
    )
