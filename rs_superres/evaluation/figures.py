"""The figures of an evaluation: what each is called, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What is measured."""

    name: str
    """In files; figures of single bands go by ``psnr_1`` and so on."""
    title: str
    """Over its chart."""
    head: str
    """Over its column in the report."""
    short: str
    """Over its column on the terminal: at most seven letters."""
    unit: str = ""
    digits: int
    """Behind the point."""
    rising: bool = False
    """Whether more is better."""
    judged: bool = True
    """Whether one alone can be the best: bicubic omits everything and hallucinates nothing."""


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(name="psnr", title="PSNR, dB", head="PSNR", short="PSNR",
               unit="dB", digits=2, rising=True),
        Figure(name="ssim", title="SSIM", head="SSIM", short="SSIM", digits=4, rising=True),
        Figure(name="sam", title="spectral angle, degrees", head="SAM", short="SAM",
               unit="°", digits=2),
        Figure(name="ergas", title="ERGAS", head="ERGAS", short="ERGAS", digits=2),
        Figure(name="lpips", title="LPIPS (squeeze)", head="LPIPS", short="LPIPS", digits=3),
        Figure(name="consistency", title="difference to low resolution, % of range",
               head="consistency", short="cons.%", unit="% of range", digits=2),
        Figure(name="shift", title="shift, pixels", head="shift", short="shift",
               unit="px", digits=3),
        Figure(name="improvement", title="detail improved, %", head="improved", short="impr.%",
               unit="%", digits=1, rising=True),
        Figure(name="omission", title="detail omitted, %", head="omitted", short="omit.%",
               unit="%", digits=1, judged=False),
        Figure(name="hallucination", title="detail hallucinated, %", head="hallucinated",
               short="hall.%", unit="%", digits=1, judged=False),
    )
}  # fmt: skip
"""By name, in the order of tables."""


def of(name: str) -> Figure:
    """That of a name in a file, of a single band's too."""
    return FIGURES[name.partition("_")[0]]
