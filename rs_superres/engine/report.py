"""The report of a run, which a notebook shows as a table and pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rs_superres.engine.planning import Plan
from rs_superres.engine.preview import views
from rs_superres.engine.residual import Residual
from rs_superres.grid import Window, Zoom
from rs_superres.image.pictures import encode_png
from rs_superres.raster import Selection
from rs_superres.system.markup import plain

logger = logging.getLogger(__name__)

SIDE = 320
"""Upper limit of the pictures' sides: pixels of the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a run upscaled, and how: what a report shows of a plan, without its networks."""

    sources: tuple[str, ...]
    """The paths of the source."""
    selection: Selection
    """The bands that were read."""
    colours: tuple[int, ...]
    """Indices of red, green and blue among them; empty if there are none."""
    zoom: Zoom
    """The grids of source and output, and the mapping between them."""
    window: Window
    """The part of the output grid that the result holds, output pixels."""
    model: str
    """The name of the model."""
    steps: int
    """Diffusion steps; 0 for the neural operator alone."""
    warnings: tuple[str, ...]
    """What a user should know before using the result."""

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Describe what a plan upscales."""
        pixels = plan.pixels
        return cls(
            sources=plan.sources,
            selection=pixels.roles.selection,
            colours=pixels.roles.triplet,
            zoom=pixels.zoom,
            window=plan.window,
            model=pixels.model.name,
            steps=pixels.steps,
            warnings=tuple(plan.warnings()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did; a notebook shows it as a table, with pictures of source and result."""

    out: Path
    """The name of the result."""
    cells: int
    """Number of cells that make up the result."""
    resumed: int
    """Number of those cells that an earlier run had finished."""
    blank: int
    """Number of those cells that hold nothing valid; they do not go through the network."""
    residual: Residual
    """The downsampled result minus the source."""
    dropped: str | None
    """Why the cells of an earlier run were deleted; None if none were."""
    seconds: float
    """Duration of the run, seconds."""
    subject: Subject = field(repr=False)
    """What was upscaled, and how."""

    def _repr_html_(self) -> str:
        """Return the table and the pictures, for notebooks."""
        rows = "".join(
            f"<tr><th scope='row'>{plain(name)}</th>"
            f"<td style='text-align:left'>{plain(value)}</td></tr>"
            for name, value in _rows(self)
        )
        return f"<table>{rows}</table>{_pictures(self)}"


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the table."""
    subject = report.subject
    source, result = subject.zoom.source.shape, subject.window
    yield "result", str(report.out)
    yield "source", ", ".join(subject.sources)
    yield "size", f"{result.width} x {result.height} pixels"
    yield "size of the source", f"{source.width} x {source.height} pixels"
    yield "scale", f"{subject.zoom.scale:.6g}"
    steps = f"{subject.steps} {'step' if subject.steps == 1 else 'steps'}"
    yield "model", f"{subject.model}, {steps if subject.steps else 'the operator alone'}"
    apart = f", {report.resumed} of them of an earlier run" if report.resumed else ""
    cells = f"{report.cells} {'cell' if report.cells == 1 else 'cells'}{apart}"
    yield "time", f"{report.seconds:.3g} s for {cells}"
    yield "residual", str(report.residual)
    for warning in subject.warnings:
        yield "warning", warning


def _pictures(report: Report) -> str:
    """Draw the middle of source, cubic and result next to each other, stretched alike."""
    subject = report.subject
    try:
        pictures = views(
            subject.sources,
            subject.selection,
            report.out,
            subject.zoom,
            subject.window,
            subject.colours,
            side=SIDE,
        )
        encoded = [encode_png(picture) for picture in pictures]
    except Exception as error:  # noqa: BLE001 (whatever happened to the files, the table is shown)
        logger.debug("no picture of %s: %s", report.out, error)
        return "<p>No picture: source or result cannot be read any more.</p>"
    return "".join(
        "<figure style='display:inline-block; margin:8px 8px 0 0'>"
        f"<img alt='' src='data:image/png;base64,{png}'><figcaption>{name}</figcaption></figure>"
        for name, png in zip(pictures._fields, encoded, strict=True)
    )
