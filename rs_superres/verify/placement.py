"""How a result lies on its source: by transforms, control points, RPCs, or as the whole of it."""

from __future__ import annotations

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import SNAP, AxisMapping, Zoom
from rs_superres.raster import Description, same_crs
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import RULES

SLACK = 1e-3
"""Result pixels that transforms, written with few digits, may differ by over a whole scene."""


def placed(source: Description, out: Description) -> tuple[Zoom | None, str]:
    """The result's pixels among the source's cells, and what is wrong with its georeference.

    Returns:
        None where the grids cannot be compared; a fault in words, empty where there is none.
    """
    here, there = source.grid, out.grid
    fault = ""
    if here.transform is not None:
        if there.transform is not None:
            return _by_transforms(source, out)
        fault = "the source has a transform, the result has none"
    elif source.control_points or source.rational is not None:
        zoom, fault = _by_points(source, out)
        if zoom is not None:
            return zoom, ""
    if there.shape.height <= here.shape.height or there.shape.width <= here.shape.width:
        return None, fault or "the result's sides are no longer than the source's"
    whole = Zoom.onto(here, there.shape)
    return whole, fault


def _by_transforms(source: Description, out: Description) -> tuple[Zoom | None, str]:
    """Both transforms say it; CRSs are compared apart."""
    here, there = source.grid, out.grid
    assert here.transform is not None and there.transform is not None  # noqa: PT018, S101 (mypy)
    between = ~here.transform @ there.transform
    turned = max(abs(between.b), abs(between.d)) * max(there.shape.width, there.shape.height)
    if turned > SLACK:
        return None, "the result's grid is rotated against the source's"
    if between.a <= 0 or between.e <= 0:
        return None, "the result's rows or columns run the other way than the source's"
    if between.a >= 1 or between.e >= 1:
        return None, f"its pixels are {between.a:.4g} x {between.e:.4g} source pixels, not finer"
    rows = _axis(here.shape.height, there.shape.height, between.e, between.f)
    columns = _axis(here.shape.width, there.shape.width, between.a, between.c)
    for axis in (rows, columns):
        if axis.edge(0.0) >= axis.size or axis.edge(float(axis.source)) <= 0:
            return None, "the result lies beside the source"
    return Zoom(source=here, output=there, rows=rows, columns=columns), ""


def _axis(cells: int, size: int, step: float, start: float) -> AxisMapping:
    """An axis; the whole extent exactly where a transform's digits say nearly that."""
    end = (start + size * step - cells) / step
    if max(abs(start / step), abs(end)) < SLACK:
        return AxisMapping.over_extent(cells, size)
    return AxisMapping.stepping(cells, size, step=step, start=start)


def _by_points(source: Description, out: Description) -> tuple[Zoom | None, str]:
    """Control points, or else RPCs, of both say it."""
    name = "control points" if source.control_points else "RPCs"
    try:
        rows, columns = _lines(source, out)
    except InputError as error:
        return None, str(error)
    shape = out.grid.shape
    axes = []
    for (ratio, offset), cells, size in (
        (rows, source.grid.shape.height, shape.height),
        (columns, source.grid.shape.width, shape.width),
    ):
        if ratio <= 1:
            return None, f"the result's {name} were not moved to its pixels"
        axes.append(_axis(cells, size, 1 / ratio, -offset / ratio))
    return Zoom(source=source.grid, output=out.grid, rows=axes[0], columns=axes[1]), ""


Line = tuple[float, float]
"""Ratio and offset: result coordinate = ratio x source coordinate + offset."""


def _lines(source: Description, out: Description) -> tuple[Line, Line]:
    """How pixel coordinates went from source to result, rows and columns."""
    if source.control_points:
        old, new = source.control_points, out.control_points
        if [(p.x, p.y) for p in old] != [(p.x, p.y) for p in new]:
            raise InputError("the result lacks the source's control points")
        return (
            _fitted([p.row for p in old], [p.row for p in new]),
            _fitted([p.col for p in old], [p.col for p in new]),
        )
    before, after = source.rational, out.rational
    if before is None or after is None:
        raise InputError("the source has RPCs, the result has none")
    lines = []
    for axis in ("line", "samp"):
        ratio = getattr(after, f"{axis}_scale") / getattr(before, f"{axis}_scale")
        old_off, new_off = getattr(before, f"{axis}_off"), getattr(after, f"{axis}_off")
        lines.append((ratio, new_off + 0.5 - ratio * (old_off + 0.5)))  # centres at integers
    return lines[0], lines[1]


def _fitted(old: list[float], new: list[float]) -> Line:
    """The line through pairs of coordinates."""
    if np.ptp(old) < 1:
        raise InputError("the control points do not span the scene")
    ratio, offset = np.polyfit(old, new, 1)
    if np.abs(ratio * np.array(old) + offset - new).max() > 1e-2:
        raise InputError("the result's control points are not the source's, scaled")
    return float(ratio), float(offset)


def crs_finding(source: Description, out: Description) -> Finding:
    """Whether both name one CRS, of the control points too."""
    told = []
    if not same_crs(source.grid, out.grid):
        told.append("another CRS" if out.grid.crs else "the CRS is gone")
        if source.grid.crs is None:
            told[-1] = "a CRS, the source has none"
    return Finding(
        name="crs",
        measured=len(told),
        allowed=RULES["crs"].allowed,
        detail="; ".join(told),
    )


def extent_finding(zoom: Zoom) -> Finding:
    """Which sides end inside the source by less than a window would."""
    told = []
    covered = []
    for axis, first, last in ((zoom.rows, "top", "bottom"), (zoom.columns, "left", "right")):
        gaps = -axis.edge(0.0), axis.edge(float(axis.source)) - axis.size  # result pixels
        for gap, side in zip(gaps, (first, last), strict=True):
            if 0.5 + SLACK + SNAP < gap <= 1 + 1 / axis.step + SLACK:
                told.append(f"{side}: {gap * axis.step:.3g} source pixels are missing")
        span = min(axis.edge(float(axis.source)), axis.size) - max(axis.edge(0.0), 0)
        covered.append(span * axis.step / axis.source)
    share = 100 * covered[0] * covered[1]
    told.append(f"covers {share:.4g} % of the source")
    return Finding(
        name="extent",
        measured=len(told) - 1,
        allowed=RULES["extent"].allowed,
        detail="; ".join(told),
    )
