"""``rs-sr eval``: compare models with bicubic interpolation, in a table and a report."""

from __future__ import annotations

import json
from itertools import product
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rs_superres.config import Kernel
from rs_superres.errors import InputError
from rs_superres.evaluation.metrics import METRICS
from rs_superres.evaluation.sources import SpoiledSource, parse_sources

from . import messages, options, process, sections
from .parameters import Parameter
from .progress import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rs_superres.evaluation.metrics import Metric
    from rs_superres.evaluation.results import Evaluation


class Scales(Parameter[tuple[float, ...]]):
    """Scales separated by commas."""

    name = "scales"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse scales into a rising tuple without duplicates."""
        if isinstance(value, tuple):
            return value
        try:
            scales = sorted({float(part) for part in str(value).split(",")})
        except ValueError:
            scales = []
        if not scales or not 1 < scales[0] <= scales[-1] <= 1000:
            self.fail(f"{value!r}, expected numbers above 1 as in 2,3,6.5", param, ctx)
        return tuple(scales)


class DegradationParam(Parameter[tuple[str, float]]):
    """A kernel's name; for a Gaussian also its modulation transfer (MTF) at Nyquist."""

    name = "kernel"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Parse a kernel and its MTF."""
        if isinstance(value, tuple):
            return value
        kernel, _, transfer = str(value).partition(":")
        try:
            mtf = float(transfer or 0.25)
        except ValueError:
            mtf = 0.0
        kernels = get_args(Kernel)
        if kernel not in kernels or not 0 < mtf < 1 or (transfer and kernel != "gaussian"):
            accepted = f"{', '.join(kernels)} or gaussian:MTF as in gaussian:0.3"
            self.fail(f"{value!r}, expected {accepted}", param, ctx)
        return kernel, mtf


class SpoiledSources(Parameter[tuple[SpoiledSource, ...]]):
    """Spoiled sources separated by commas."""

    name = "sources"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[SpoiledSource, ...]:
        """Parse the sources."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_sources(str(value))
        except InputError as error:
            self.fail(str(error).removeprefix("spoil="), param, ctx)


@click.command(
    cls=sections.Command,
    sections=sections.EVAL,
    examples=[
        "rs-sr eval --data images/ --scales 2,4 -o report",
        "rs-sr eval --data images/ --scales 2,4 --spoil noise=8,jpeg=75 -o report",
        "rs-sr eval --pairs sentinel/ aerial/ -o report",
    ],
)
@click.option(
    "--data",
    type=options.FILE,
    multiple=True,
    help="A raster, or a folder of rasters and its subfolders; repeat for several.",
)
@click.option(
    "--pairs",
    type=options.FILE,
    nargs=2,
    metavar="LOW HIGH",
    help="In place of --data: two folders with rasters of the same names.",
)
@click.option(
    "--scales",
    type=Scales(),
    default="2,3,4,6.5,8",
    show_default=True,
    metavar="S[,S]",
    help="Scales to evaluate.",
)
@click.option(
    "-m",
    "--model",
    "models",
    metavar="MODEL[,MODEL]",
    multiple=True,
    shell_complete=options.complete_models,
    help="Names of models, or model folders; repeat for several.",
)
@click.option(
    "-o", "--out", type=options.FILE, required=True, metavar="REPORT", help="Folder for the report."
)
@click.option(
    "--degradation",
    type=DegradationParam(),
    help="Kernel that makes the low resolution: bicubic, area, gaussian[:MTF].  [default: the "
    "model card's]",
)
@click.option(
    "--spoil",
    type=SpoiledSources(),
    default=(),
    metavar="SOURCE[,SOURCE]",
    help="Also evaluate spoiled sources: noise=N, jpeg=Q, sharpen=A, mtf=M, or several with + in "
    "between, as in noise=8,mtf=0.25+noise=3.",
)
@click.option(
    "--given",
    is_flag=True,
    help="Give the models the true blur and noise of each source, as by --mtf and --noise.",
)
@options.steps
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of random seeds to evaluate with.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Random results to average; with 2 or more, also rate their uncertainty if the model "
    "predicts none.",
)
@options.ensemble
@click.option(
    "--consistency/--no-consistency",
    default=True,
    show_default=True,
    help="As for rs-sr upscale.",
)
@options.value_range
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Evaluate at most this many files, evenly chosen.",
)
@click.option(
    "--lpips",
    is_flag=True,
    help="Also measure LPIPS; downloads its backbone (4.7 MB) at the first use.",
)
@click.option(
    "--lpips-backbone",
    type=options.FILE,
    metavar="FILE.pth",
    help="Also measure LPIPS, with this file of SqueezeNet 1.1's weights; nothing is downloaded.",
)
@options.device
@options.precision
@click.option("--overwrite", is_flag=True, help="Replace an existing report.")
@options.as_json
@options.quiet
@process.own_stderr
def command(
    data: tuple[Path, ...],
    pairs: tuple[Path, Path] | None,
    models: tuple[str, ...],
    out: Path,
    degradation: tuple[Any, float] | None,
    lpips: bool,
    lpips_backbone: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Compare models with bicubic: shrink rasters, enlarge them again, and score the results.

    REPORT becomes a folder with report.html, scores.csv and scores.json.
    """
    if bool(data) == (pairs is not None):
        raise click.UsageError("one of --data and --pairs is needed, and no more than one")
    for name in ("spoil", "given"):
        if pairs is not None and chosen[name]:
            raise click.UsageError(
                f"--{name} has no effect on --pairs, which come as they are: leave it out"
            )
    for name in ("seeds", "samples"):
        if chosen["steps"] == 0 and chosen[name] > 1:
            raise click.UsageError(f"--{name} has no effect with --steps 0: leave it out")
    # Not at the top: torch and rasterio take seconds, which --help must not wait for.
    with process.heavy_imports():
        from rs_superres import zoo
        from rs_superres.config import ConsistencyConfig
        from rs_superres.evaluation import files, plans, run
        from rs_superres.raster import lines_about

    files.check_out(out, overwrite=overwrite)
    if lpips and lpips_backbone is None:
        lpips_backbone = _download_lpips()
    kernel = None
    if degradation is not None:
        kernel = ConsistencyConfig(kernel=degradation[0], mtf=degradation[1])
    plan = plans.plan(
        plans.EvaluationOptions(
            data=data,
            pairs=pairs,
            models=tuple(",".join(models or (zoo.DEFAULT,)).split(",")),
            degradation=kernel,
            lpips=lpips_backbone,
            **chosen,
        )
    )
    for line in lines_about(plan.skipped):
        messages.say(line)
    with shown("eval", megapixels=plan.pixels / 1e6, quiet=quiet) as progress:
        evaluation = run.run(plan, progress)
    files.write(evaluation, out)
    if as_json:
        click.echo(json.dumps(files.facts(evaluation), indent=1))
    else:
        _print(evaluation)
        messages.echo(f"report: {out / files.PAGE}")


def _download_lpips() -> Path:
    """Return the backbone of LPIPS; say so before it is downloaded."""
    from rs_superres.evaluation.lpips import URL, backbone, download_backbone

    path = backbone()
    if not path.is_file():
        messages.say(f"downloading the LPIPS backbone (4.7 MB) from {URL} to {path}")
    return download_backbone()


def _print(evaluation: Evaluation) -> None:
    """Print the means by scale, source and method, then the ratings of uncertainty."""
    messages.echo(_head(evaluation))
    metrics = [
        metric
        for name, metric in METRICS.items()
        if any(not isnan(row.scores[name]) for row in evaluation.rows)
    ]
    accuracy = [metric for metric in metrics if not metric.detail]
    for line in _table(evaluation, accuracy, "  sd dB  gain dB (95 %)", _psnr):
        messages.echo(line)
    detail = [metric for metric in metrics if metric.detail]
    if detail:
        messages.echo("detail and texture; the truth has 1 in power, colour and flat")
        for line in _table(evaluation, detail):
            messages.echo(line)
    for (method, scale, source), rating in sorted(evaluation.reliability.items()):
        about = f" from {source}" if len(evaluation.sources) > 1 else ""
        messages.echo(
            f"x{scale:g} {method}{about}: rank correlation with the error {rating.spearman:.3f} "
            f"for the uncertainty, {rating.spearman_gradient:.3f} for the prior's gradient; factor "
            f"{rating.factor:.3f}"
        )


def _head(evaluation: Evaluation) -> str:
    """Return the line above the table: how many images, and where the low resolution is from."""
    pairs, kernel = evaluation.settings["protocol"] == "pairs", evaluation.settings["degradation"]
    noun = "pair" if pairs else "image"
    count = f"{evaluation.images} {noun}{'' if evaluation.images == 1 else 's'}"
    if pairs:
        return f"{count}; differences to the low resolution by {kernel}"
    given = "; blur and noise are given" if evaluation.settings["given"] else ""
    return f"{count}, low resolution by {kernel}{given}"


def _table(
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    last_heads: str = "",
    last_cells: Callable[[Evaluation, str, float, str], str] | None = None,
) -> Iterator[str]:
    """Yield the lines of a table of means by scale, source and method.

    Args:
        evaluation: the scores.
        metrics: the columns.
        last_heads: the headings of further columns.
        last_cells: returns the further columns for a method, a scale and a source.
    """
    methods, sources = evaluation.methods, evaluation.sources
    width = max(map(len, methods))
    source_width = max(map(len, ("source", *sources))) if len(sources) > 1 else 0

    def line(scale: str, source: str, method: str, cells: str) -> str:
        named = f"{source:{source_width}} " if source_width else ""
        return f"{scale:>5} {named}{method:{width}} {cells}".rstrip()

    heads = " ".join(f"{metric.short:>6}" for metric in metrics)
    yield line("scale", "source", "method", heads + last_heads)
    for scale, source, method in product(evaluation.scales, sources, methods):
        means = [evaluation.summary(method, scale, metric.name, source) for metric in metrics]
        cells = " ".join(
            f"{'-':>6}" if mean is None else f"{mean.mean:6.{metric.digits}f}"
            for metric, mean in zip(metrics, means, strict=True)
        )
        last = "" if last_cells is None else last_cells(evaluation, method, scale, source)
        yield line(f"{scale:g}", source, method, cells + last)


def _psnr(evaluation: Evaluation, method: str, scale: float, source: str) -> str:
    """Return what a row says of PSNR in addition to its mean.

    That is the standard deviation between images, the gain over bicubic with its 95 % interval, and
    the standard deviation between seeds.
    """
    psnr, gain = (of(method, scale, "psnr", source) for of in (evaluation.summary, evaluation.gain))
    line = ""
    if psnr is not None:
        line += f"  {psnr.deviation:5.2f}"
    if gain is not None and method != evaluation.methods[0]:
        interval = gain.interval("+.2f")
        line += f"  {gain.mean:+.2f}" + (f" ({interval})" if interval else "")
    if psnr is not None and psnr.between_seeds is not None:
        line += f", seeds ±{psnr.between_seeds:.3f}"
    return line
