"""The metrics of an evaluation: their names, units and formats in tables and charts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A metric, and how it is shown."""

    name: str
    """Name in files; a single band's metric has the band's number appended, as in ``psnr_1``."""
    title: str
    """Title of its chart."""
    head: str
    """Heading of its column in the report."""
    short: str
    """Heading of its column on the terminal, at most seven characters."""
    unit: str = ""
    """Unit in the report."""
    digits: int
    """Decimal places."""
    rising: bool = False
    """True if larger values are better."""
    judged: bool = True
    """True if the best value is shown in bold.

    Omission and hallucination mean nothing alone: bicubic omits all detail and hallucinates none.
    """


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            name="psnr",
            title="PSNR, dB",
            head="PSNR",
            short="PSNR",
            unit="dB",
            digits=2,
            rising=True,
        ),
        Figure(name="ssim", title="SSIM", head="SSIM", short="SSIM", digits=4, rising=True),
        Figure(
            name="sam",
            title="spectral angle, degrees",
            head="SAM",
            short="SAM",
            unit="°",
            digits=2,
        ),
        Figure(name="ergas", title="ERGAS", head="ERGAS", short="ERGAS", digits=2),
        Figure(name="lpips", title="LPIPS (squeeze)", head="LPIPS", short="LPIPS", digits=3),
        Figure(
            name="consistency",
            title="difference from the low resolution, % of range",
            head="consistency",
            short="cons.%",
            unit="% of range",
            digits=2,
        ),
        Figure(
            name="shift",
            title="shift, pixels",
            head="shift",
            short="shift",
            unit="px",
            digits=3,
        ),
        Figure(
            name="improvement",
            title="detail improved, %",
            head="improved",
            short="impr.%",
            unit="%",
            digits=1,
            rising=True,
        ),
        Figure(
            name="omission",
            title="detail omitted, %",
            head="omitted",
            short="omit.%",
            unit="%",
            digits=1,
            judged=False,
        ),
        Figure(
            name="hallucination",
            title="detail hallucinated, %",
            head="hallucinated",
            short="hall.%",
            unit="%",
            digits=1,
            judged=False,
        ),
    )
}
"""The metrics by name, in the order of tables."""


def figure_of(name: str) -> Figure:
    """Return the metric of a name in files, which may be a single band's, as in ``psnr_1``."""
    return FIGURES[name.partition("_")[0]]
