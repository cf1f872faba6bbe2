"""``rs-sr verify``: audit an upscaled raster, from any tool, against its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import messages, options, process
from .progress import shown

if TYPE_CHECKING:
    from rs_superres.verify import Audit, Finding


@click.command()
@click.argument("out")
@click.argument("source", nargs=-1)
@click.option(
    "--source", "sources", multiple=True, metavar="SOURCE", help="Another way to give SOURCE."
)
@click.option(
    "-b",
    "--bidx",
    type=options.BandsParam(),
    metavar="N,N...",
    default=(),
    help="Bands of SOURCE that OUT holds, in the order of OUT.",
)
@options.as_json
@options.quiet
@process.own_stderr
def command(
    out: str,
    source: tuple[str, ...],
    sources: tuple[str, ...],
    bidx: tuple[int, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Audit OUT, any upscaled raster, against the SOURCE that it was made from.

    Give several SOURCEs if their bands were stacked. The exit status is 1 if a check fails; every
    failed check says what the failure means and what to do.

    \b
    rs-sr verify out.tif scene.tif
    """  # noqa: D301 (\b is click's mark for lines that it must not wrap)
    if source and sources:
        raise click.UsageError(
            "SOURCE was given twice: as an argument and as --source; use one of them"
        )
    source = source or sources
    if not source:
        raise click.UsageError("Missing argument 'SOURCE', the raster that OUT was made from.")
    # Not at the top: these import rasterio and scipy, and --help must not wait for them.
    from rs_superres.errors import InputError
    from rs_superres.raster import read_grid
    from rs_superres.verify import verify

    shape = read_grid(out).shape
    megapixels = shape.height * shape.width / 1e6
    with shown(Path(out).name, megapixels=megapixels, quiet=quiet or as_json) as progress:
        audit = verify(out, source if len(source) > 1 else source[0], bidx=bidx, progress=progress)
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
    messages.echo(*([""] if audit.failed else []), _verdict(audit))


def _row(finding: Finding) -> str:
    """Return the table's row for a check."""
    verdict = finding.verdict.upper() if finding.verdict == "fail" else finding.verdict
    return (
        f"{finding.name:15} {_number(finding.measured):>10} {_number(finding.allowed):>10}  "
        f"{verdict:12}  {finding.detail}"
    )


def _verdict(audit: Audit) -> str:
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
