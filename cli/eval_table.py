"""What ``rs-sr eval`` tells on the terminal."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import click

from rs_superres.evaluation.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rs_superres.evaluation.figures import Figure
    from rs_superres.evaluation.results import Evaluation


def tell(found: Evaluation) -> None:
    """Means by scale and method; of PSNR the spread and the interval of the gain too."""
    made, pairs = found.settings["degradation"], found.settings["protocol"] == "pairs"
    count = f"{found.images} {'pair' if pairs else 'image'}{'' if found.images == 1 else 's'}"
    if pairs:
        click.echo(f"{count}; differences to the low resolution by {made}")
    else:
        click.echo(f"{count}, low resolution by {made}")
    shown = [
        figure
        for name, figure in FIGURES.items()
        if any(not isnan(row.scores[name]) for row in found.rows)
    ]
    width = max(len(m) for m in found.methods)
    heads = " ".join(f"{figure.short:>7}" for figure in shown)
    click.echo(f"scale {'method':{width}} {heads}  sd dB  gain dB (95 %)")
    for scale in found.scales:
        for method in found.methods:
            click.echo(_line(found, method, scale, shown, width).rstrip())
    for (method, scale), r in sorted(found.reliability.items()):
        click.echo(
            f"x{scale:g} {method}: Spearman of spread and error {r.spearman:.3f}, of the prior's "
            f"gradient {r.spearman_gradient:.3f}; factor {r.factor:.3f}"
        )


def _line(found: Evaluation, method: str, scale: float, shown: Sequence[Figure], width: int) -> str:
    """One row."""
    means = [found.summary(method, scale, figure.name) for figure in shown]
    cells = " ".join(
        f"{'-':>7}" if s is None else f"{s.mean:7.{figure.digits}f}"
        for figure, s in zip(shown, means, strict=True)
    )
    spread, gain = found.summary(method, scale, "psnr"), found.gain(method, scale, "psnr")
    line = f"{scale:5g} {method:{width}} {cells}"
    if spread is not None:
        line += f"  {spread.deviation:5.2f}"
    if gain is not None and method != found.methods[0]:
        ends = gain.interval("+.2f")
        line += f"  {gain.mean:+.2f}" + (f" ({ends})" if ends else "")
    if spread is not None and spread.between_seeds is not None:
        line += f", seeds ±{spread.between_seeds:.3f}"
    return line
