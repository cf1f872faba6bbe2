"""The list of all metrics: their names, units and formats in tables and charts.

:mod:`rs_superres.evaluation.scores` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The name of a metric, and how tables and charts show it."""

    name: str
    """Name in files; for a single band, the band's number is appended, as in ``psnr_1``."""
    title: str
    """Title of its chart."""
    head: str
    """Heading of its column in the report."""
    short: str
    """Heading of its column on the terminal, at most six characters."""
    unit: str = ""
    """Unit in the report."""
    digits: int
    """Decimal places."""
    rising: bool = False
    """True if larger values are better."""
    target: float | None = None
    """The best value, if neither large nor small values are better."""
    judged: bool = True
    """True if the best value is shown in bold.

    Omission and hallucination mean nothing alone: bicubic omits all detail and hallucinates none.
    """
    detail: bool = False
    """True if the terminal shows it in its second table, of detail and texture."""

    @property
    def direction(self) -> str:
        """An arrow that shows which values are better."""
        if self.target is not None:
            return f"→ {self.target:g}"
        return "↑" if self.rising else "↓"


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="psnr",
            title="PSNR, dB",
            head="PSNR",
            short="PSNR",
            unit="dB",
            digits=2,
            rising=True,
        ),
        Metric(name="ssim", title="SSIM", head="SSIM", short="SSIM", digits=4, rising=True),
        Metric(
            name="sam",
            title="spectral angle, degrees",
            head="SAM",
            short="SAM",
            unit="°",
            digits=2,
        ),
        Metric(name="ergas", title="ERGAS", head="ERGAS", short="ERGAS", digits=2),
        Metric(name="lpips", title="LPIPS (squeeze)", head="LPIPS", short="LPIPS", digits=3),
        Metric(
            name="consistency",
            title="difference from the low resolution, % of range",
            head="consistency",
            short="cons.%",
            unit="% of range",
            digits=2,
        ),
        Metric(
            name="shift",
            title="shift, pixels",
            head="shift",
            short="shift",
            unit="px",
            digits=3,
        ),
        Metric(
            name="improvement",
            title="detail improved, %",
            head="improved",
            short="impr.%",
            unit="%",
            digits=1,
            rising=True,
            detail=True,
        ),
        Metric(
            name="omission",
            title="detail omitted, %",
            head="omitted",
            short="omit.%",
            unit="%",
            digits=1,
            judged=False,
            detail=True,
        ),
        Metric(
            name="hallucination",
            title="detail hallucinated, %",
            head="hallucinated",
            short="hall.%",
            unit="%",
            digits=1,
            judged=False,
            detail=True,
        ),
        Metric(
            name="power",
            title="power above 1/4 cycle per pixel, share of the truth's",
            head="power",
            short="power",
            digits=3,
            target=1.0,
            judged=False,
            detail=True,
        ),
        Metric(
            name="colour",
            title="fine colour differences, share of the truth's",
            head="colour",
            short="colour",
            digits=3,
            target=1.0,
            judged=False,
            detail=True,
        ),
        Metric(
            name="flat",
            title="fine differences on flat ground, share of the truth's",
            head="flat ground",
            short="flat",
            digits=3,
            target=1.0,
            judged=False,
            detail=True,
        ),
        Metric(
            name="overshoot",
            title="overshoot of the truth's local range, % of range",
            head="overshoot",
            short="over.%",
            unit="% of range",
            digits=3,
            detail=True,
        ),
        Metric(
            name="correlation",
            title="correlation above the source's Nyquist frequency",
            head="correlation",
            short="corr.",
            digits=3,
            rising=True,
            detail=True,
        ),
    )
}
"""The metrics by name, in the order of tables."""


def metric_of(name: str) -> Metric:
    """Return the metric for a name in files; ``psnr_1``, of a single band, gives ``psnr``."""
    return METRICS[name.partition("_")[0]]
