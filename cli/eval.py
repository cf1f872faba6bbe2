"""``rs-sr eval``: how good models are, beside bicubic, as a table and a report."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rs_superres.config import Kernel
from rs_superres.evaluation.figures import FIGURES

from . import options, process
from .progress import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rs_superres.evaluation.figures import Figure
    from rs_superres.evaluation.results import Evaluation


class Scales(click.ParamType[tuple[float, ...]]):
    """Scales with commas between them."""

    name = "scales"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Text to a tuple, rising, each once."""
        if isinstance(value, tuple):
            return value
        try:
            scales = sorted({float(part) for part in str(value).split(",")})
        except ValueError:
            scales = []
        if not scales or not 1 < scales[0] <= scales[-1] <= 1000:
            self.fail(f"{value!r}, expected numbers above 1 as in 2,3,6.5", param, ctx)
        return tuple(scales)


class Degradation(click.ParamType[tuple[str, float]]):
    """A kernel's name, of a Gaussian with its modulation transfer."""

    name = "kernel"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Text to kernel and MTF."""
        if isinstance(value, tuple):
            return value
        kernel, _, transfer = str(value).partition(":")
        try:
            mtf = float(transfer or 0.25)
        except ValueError:
            mtf = 0.0
        kernels = get_args(Kernel)
        if kernel not in kernels or not 0 < mtf < 1 or (transfer and kernel != "gaussian"):
            self.fail(f"{value!r}, expected {', '.join(kernels)} or gaussian:MTF as in "
                      "gaussian:0.3", param, ctx)  # fmt: skip
        return kernel, mtf


@click.command()
@click.option(
    "--data",
    type=options.FILE,
    multiple=True,
    help="Folder of rasters, searched to any depth, or a raster; may be repeated.",
)
@click.option(
    "--pairs",
    type=options.FILE,
    nargs=2,
    metavar="LOW HIGH",
    help="Instead: two folders of rasters that go by the same names.",
)
@click.option("--scales", type=Scales(), default="2,3,4,6.5,8", show_default=True, metavar="S[,S]")
@click.option(
    "-m",
    "--model",
    "models",
    metavar="MODEL[,MODEL]",
    multiple=True,
    help="Shipped models, or model folders; may repeat.",
)
@click.option("-o", "--out", type=options.FILE, required=True, metavar="REPORT", help="Its folder.")
@click.option(
    "--degradation",
    type=Degradation(),
    help="How low resolution is made: bicubic, area, gaussian[:MTF].  [default: the card's]",
)
@options.steps
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Noise fields tried."
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Results that are averaged; more than 1 adds how reliable their spread is.",
)
@click.option(
    "--consistency/--no-consistency",
    default=True,
    show_default=True,
    help="As of rs-sr upscale.",
)
@options.value_range
@click.option("--limit", type=click.IntRange(min=1), help="Files at most, evenly spread.")
@click.option(
    "--lpips-backbone",
    "lpips",
    type=options.FILE,
    metavar="FILE.pth",
    help="SqueezeNet 1.1's features, which LPIPS needs.",
)
@options.device
@options.precision
@click.option("--overwrite", is_flag=True, help="Replace a report of that name.")
@options.as_json
@options.quiet
@process.ours
def command(
    data: tuple[Path, ...],
    pairs: tuple[Path, Path] | None,
    models: tuple[str, ...],
    out: Path,
    degradation: tuple[Any, float] | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Measure models: shrink rasters, enlarge them again, and compare, always beside bicubic.

    REPORT becomes a folder with report.html, scores.csv and scores.json.

    \b
    rs-sr eval --data images/ --scales 2,4 -o report
    rs-sr eval --pairs sentinel/ aerial/ -o report
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    # Not at the top: torch and rasterio take seconds, which --help must not wait for.
    from rs_superres import zoo
    from rs_superres.config import ConsistencyConfig
    from rs_superres.evaluation import files, plans, run

    files.check_out(out, overwrite=overwrite)
    kernel = None
    if degradation is not None:
        kernel = ConsistencyConfig(kernel=degradation[0], mtf=degradation[1])
    decided = plans.plan(
        plans.EvaluationOptions(
            data=data,
            pairs=pairs,
            models=tuple(",".join(models or (zoo.DEFAULT,)).split(",")),
            degradation=kernel,
            **asked,
        )
    )
    for skipped in decided.skipped:
        click.echo(f"rs-sr: left out: {skipped.reason}", err=True)
    with shown("eval", megapixels=decided.pixels / 1e6, quiet=quiet) as progress:
        found = run.run(decided, progress)
    files.write(found, out)
    if as_json:
        click.echo(json.dumps(files.facts(found), indent=1))
    else:
        tell(found)
        click.echo(f"report: {out / files.PAGE}")


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
