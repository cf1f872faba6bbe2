"""``rs-sr verify``: audit an upscaled raster against its source, or measure a model on a scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from rs_superres.options import Classes

from . import messages, options, process, sections
from .progress import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rs_superres.evaluation.wald import WaldReport
    from rs_superres.options import Options
    from rs_superres.verify import Audit, Finding


EQUAL = 0.005
"""A gain that prints as 0.00 dB."""

WALD = (
    options.run_option("scale", "-s", "--scale", metavar="S"),
    options.model,
    options.steps,
    options.texture,
    options.run_option("sensor", metavar="NAME", shell_complete=options.complete_sensors),
    options.run_option("mtf", type=float, metavar="M"),
    options.run_option("noise", type=float, metavar="N"),
    options.run_option("rgb", type=options.RgbParam(), metavar="R,G,B|none"),
    options.run_option("nearest", type=options.BandsParam(), metavar="B,B..."),
    options.run_option("classes", type=click.Choice(get_args(Classes))),
    options.run_option("nodata", type=float, metavar="V"),
    options.value_range,
    options.device,
    options.precision,
)
"""The options of ``rs-sr upscale`` that go with ``--wald``."""


def wald_options(command: options.F) -> options.F:
    """Give a command all of :data:`WALD`."""
    for option in reversed(WALD):
        command = option(command)
    return command


@click.command(
    cls=sections.Command,
    sections=sections.VERIFY,
    examples=[
        "rs-sr verify out.tif scene.tif",
        "rs-sr verify out.tif S2B_T33UUB.SAFE --bands B04,B8A",
        "rs-sr verify --wald scene.tif --scale 2 --sensor sentinel-2",
    ],
)
@click.argument("out")
@options.sources
@options.bands_held(
    "Bands of SOURCE that OUT holds, in the order of OUT; with --wald, bands to compare."
)
@click.option(
    "--aoi",
    type=options.FILE,
    metavar="FILE[|layer=NAME]",
    help="The polygons that OUT was cut to, so that pixels outside do not count as lost.",
)
@click.option(
    "--wald",
    is_flag=True,
    help="Instead, measure the gain over cubic on a scene: shrink it by --scale and the sensor's "
    "blur, and upscale it again.",
)
@wald_options
@options.as_json
@options.quiet
@process.own_stderr
def command(
    out: str,
    source: tuple[str, ...],
    sources: tuple[str, ...],
    bidx: tuple[int | str, ...],
    aoi: Path | None,
    wald: bool,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Audit OUT, any upscaled raster, against the SOURCE that it was made from.

    Give several SOURCEs if their bands were stacked. The exit status is 1 if a check fails; every
    failed check says what the failure means and what to do.

    With --wald, give one scene: it is the truth, and no SOURCE is needed.
    """
    source = options.sources_given(source, sources)
    if wald:
        if source:
            raise click.UsageError("--wald takes one scene, which is the truth: leave out SOURCE")
        if aoi is not None:
            raise click.UsageError("--wald compares the entire scene: leave out --aoi")
        if chosen["scale"] is None:
            raise click.UsageError("--wald needs --scale, such as that of the run to judge")
        _measure(out, options.of_run(bidx=bidx, **chosen), as_json=as_json, quiet=quiet)
        return
    _check_audit(chosen)
    options.check_source(source)
    # Not at the top: these import rasterio and scipy, and --help must not wait for them.
    from rs_superres.errors import InputError
    from rs_superres.raster import read_grid
    from rs_superres.verify import verify

    shape = read_grid(out).shape
    megapixels = shape.height * shape.width / 1e6
    with shown(Path(out).name, megapixels=megapixels, quiet=quiet or as_json) as progress:
        only = source if len(source) > 1 else source[0]
        audit = verify(out, only, bidx=bidx, aoi=aoi, progress=progress)
    if as_json:
        facts = audit.facts()
        for check in facts["checks"]:
            check["remedy"] = messages.in_flags(check["remedy"])
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(audit)
    if audit.failed:
        raise InputError(
            f"{out} fails {len(audit.failed)} of {len(audit.findings)} checks: {_names(audit)}"
        )


def _check_audit(chosen: Mapping[str, Any]) -> None:
    """Refuse options on the command line that only ``--wald`` uses.

    Raises:
        click.UsageError: one of them is given.
    """
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if option.name in chosen and given:
            raise click.UsageError(f"{max(option.opts, key=len)} needs --wald")


def _measure(scene: str, requested: Options, *, as_json: bool, quiet: bool) -> None:
    """Measure what a run would gain on a scene, and print it."""
    # Not at the top, as in the command; this imports torch too.
    with process.heavy_imports():
        from rs_superres.evaluation.wald import wald
        from rs_superres.raster import read_grid

    shape = read_grid(scene).shape
    megapixels = shape.height * shape.width / 1e6
    with shown(Path(scene).name, megapixels=megapixels, quiet=quiet or as_json) as progress:
        report = wald(scene, requested, progress)
    if as_json:
        click.echo(json.dumps(report.facts(), indent=2))
    else:
        _print_gain(report)


def _print_gain(report: WaldReport) -> None:
    """Print the gain in each band and in all of them, and in words."""
    mode = f"{report.steps} steps" if report.steps > 1 else "1 step"
    tiles = f"{report.tiles} tiles" if report.tiles > 1 else "1 tile"
    noise = "" if report.noise is None else f", with noise of {report.noise:g}"
    messages.echo(
        f"{report.scene}: shrunk by {report.scale:g}{noise}, upscaled again by {report.model} "
        f"({mode if report.steps else 'the operator alone'})",
        f"{report.pixels} pixels of each band compared, in {tiles}",
    )
    names = [f"{band.number} {band.description}".strip() for band in report.bands] + ["all"]
    width = max(map(len, names))
    heads = ("cubic dB", "model dB", "gain dB", "cubic RMSE", "model RMSE")
    messages.echo(f"{'band':{width}}  {'  '.join(f'{head:>10}' for head in heads)}  kernel")
    kernels = [band.kernel_words for band in report.bands] + [""]
    accuracies = [band.accuracy for band in report.bands] + [report.overall]
    for name, accuracy, kernel in zip(names, accuracies, kernels, strict=True):
        numbers = (
            f"{accuracy.psnr_cubic:.2f}",
            f"{accuracy.psnr:.2f}",
            f"{accuracy.gain:+.2f}",
            f"{accuracy.rmse_cubic:.4g}",
            f"{accuracy.rmse:.4g}",
        )
        cells = "  ".join(f"{number:>10}" for number in numbers)
        messages.echo(f"{name:{width}}  {cells}  {kernel}".rstrip())
    messages.echo(_gain_in_words(report))


def _gain_in_words(report: WaldReport) -> str:
    """Return whether the model is better than cubic here, and in which bands it is not."""
    gain = report.overall.gain
    if abs(gain) < EQUAL:
        return f"{report.model} is as close to the scene as cubic here"
    if gain < 0:
        return f"{report.model} is worse than cubic here, by {-gain:.2f} dB"
    worse = [str(band.number) for band in report.bands if band.accuracy.gain <= -EQUAL]
    but = f", but worse in band {', '.join(worse)}" if worse else ""
    return f"{report.model} is better than cubic here, by {gain:.2f} dB{but}"


def _print(audit: Audit) -> None:
    """Print a table of the checks, an explanation of each failed check, and the verdict."""
    width, height = audit.size
    scale = "" if audit.scale is None else f", x{audit.scale:.4g}"
    messages.echo(f"{audit.out}: {width} x {height} pixels{scale}, against {audit.source}")
    messages.echo(f"{'check':15} {'measured':>10} {'allowed':>10}  verdict")
    for finding in audit.findings:
        messages.echo(_row(finding).rstrip())
    for finding in audit.failed:
        rule = finding.rule
        messages.echo(
            "",
            f"{finding.name}: {rule.measured}, {_number(finding.measured)}; allowed is "
            f"{_number(finding.allowed)}: {rule.reason}.",
        )
        messages.echo(f"  It means: {rule.failure}.")
        messages.echo(f"  To do: {messages.in_flags(rule.remedy)}.")
    messages.echo(*([""] if audit.failed else []), verdict(audit))


def _row(finding: Finding) -> str:
    """Return the table's row for a check."""
    verdict = finding.verdict.upper() if finding.verdict == "fail" else finding.verdict
    return (
        f"{finding.name:15} {_number(finding.measured):>10} {_number(finding.allowed):>10}  "
        f"{verdict:12}  {finding.detail}"
    )


def verdict(audit: Audit) -> str:
    """Return the last line: PASS or FAIL, with the number of checks."""
    count = len(audit.findings)
    skipped = sum(finding.verdict == "not measured" for finding in audit.findings)
    if audit.failed:
        line = f"FAIL: {len(audit.failed)} of {count} checks ({_names(audit)})"
    else:
        line = f"PASS: {count - skipped} of {count} checks"
    return f"{line}, {skipped} not measured" if skipped else line


def _names(audit: Audit) -> str:
    """Return the names of the failed checks."""
    return ", ".join(finding.name for finding in audit.failed)


def _number(value: float | None) -> str:
    """Format a number with three digits; "-" for None."""
    return "-" if value is None else f"{value:.3g}"
