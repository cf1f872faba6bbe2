"""``rs-sr eval``: how good models are, beside bicubic, as a table and a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click

from rs_superres.config import Kernel

from . import options, stderr
from .eval_table import tell
from .progress import shown


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
@stderr.ours
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
        plans.Options(
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
