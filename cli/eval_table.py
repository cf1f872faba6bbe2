"""What ``rs-sr eval`` tells on the terminal."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rs_superres.evaluation.results import Evaluation

HEADS = {
    "psnr": ("PSNR", 2),
    "ssim": ("SSIM", 4),
    "sam": ("SAM", 2),
    "ergas": ("ERGAS", 2),
    "lpips": ("LPIPS", 3),
    "consistency": ("cons.%", 2),
    "shift": ("shift", 3),
    "improvement": ("impr.%", 1),
    "omission": ("omit.%", 1),
    "hallucination": ("hall.%", 1),
}
"""What the table calls metrics, and their digits."""


def tell(found: Evaluation) -> None:
    """Means by scale and method; of PSNR the spread and the interval of the gain too."""
    made, pairs = found.settings["degradation"], found.settings["protocol"] == "pairs"
    count = f"{found.images} {'pair' if pairs else 'image'}{'' if found.images == 1 else 's'}"
    if pairs:
        click.echo(f"{count}; differences to the low resolution by {made}")
    else:
        click.echo(f"{count}, low resolution by {made}")
    shown = {
        metric: head
        for metric, head in HEADS.items()
        if any(not isnan(row.scores[metric]) for row in found.rows)
    }
    width = max(len(m) for m in found.methods)
    heads = " ".join(f"{head:>7}" for head, _ in shown.values())
    click.echo(f"scale {'method':{width}} {heads}  sd dB  gain dB (95 %)")
    for scale in found.scales:
        for method in found.methods:
            click.echo(_line(found, method, scale, shown, width).rstrip())
    for (method, scale), r in sorted(found.reliability.items()):
        click.echo(
            f"x{scale:g} {method}: Spearman of spread and error {r.spearman:.3f}, of the prior's "
            f"gradient {r.spearman_gradient:.3f}; factor {r.factor:.3f}"
        )


def _line(
    found: Evaluation, method: str, scale: float, shown: dict[str, tuple[str, int]], width: int
) -> str:
    """One row."""
    figures = {metric: found.summary(method, scale, metric) for metric in shown}
    cells = " ".join(
        f"{'-':>7}" if s is None else f"{s.mean:7.{shown[metric][1]}f}"
        for metric, s in figures.items()
    )
    spread, gain = figures.get("psnr"), found.gain(method, scale, "psnr")
    line = f"{scale:5g} {method:{width}} {cells}"
    if spread is not None:
        line += f"  {spread.deviation:5.2f}"
    if gain is not None and method != found.methods[0]:
        ends = gain.interval("+.2f")
        line += f"  {gain.mean:+.2f}" + (f" ({ends})" if ends else "")
    if spread is not None and spread.between_seeds is not None:
        line += f", seeds ±{spread.between_seeds:.3f}"
    return line
