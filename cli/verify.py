"""``rs-sr verify``: an audit of an upscaled raster, ours or another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options, process
from .progress import shown

if TYPE_CHECKING:
    from rs_superres.verify import Audit, Finding


@click.command()
@click.argument("out")
@click.option(
    "--source", "sources", multiple=True, required=True, help="What OUT was made from; may repeat."
)
@click.option(
    "-b",
    "--bidx",
    type=options.Bands(),
    metavar="N,N...",
    default=(),
    help="Bands of SOURCE that OUT holds, in its order.",
)
@options.as_json
@options.quiet
@process.ours
def command(
    out: str, sources: tuple[str, ...], bidx: tuple[int, ...], as_json: bool, quiet: bool
) -> None:
    """Audit OUT, any upscaled raster, against its source.

    Exits with 1 where a threshold is missed; each is told with what missing it means.

    \b
    rs-sr verify out.tif --source scene.tif
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    # Not at the top: it brings rasterio and scipy, which --help must not wait for.
    from rs_superres.errors import InputError
    from rs_superres.raster import read_grid
    from rs_superres.verify import verify

    shape = read_grid(out).shape
    megapixels = shape.height * shape.width / 1e6
    with shown(Path(out).name, megapixels=megapixels, quiet=quiet or as_json) as progress:
        audit = verify(out, sources if len(sources) > 1 else sources[0], bidx=bidx,
                       progress=progress)  # fmt: skip
    if as_json:
        click.echo(json.dumps(audit.facts(), indent=2))
    else:
        _tell(audit)
    if audit.failed:
        names = ", ".join(f.name for f in audit.failed)
        raise InputError(
            f"{out} fails {len(audit.failed)} of {len(audit.findings)} checks: {names}"
        )


def _tell(audit: Audit) -> None:
    """The findings as a table; below it what those mean that failed."""
    width, height = audit.size
    scale = "" if audit.scale is None else f", x{audit.scale:.4g}"
    click.echo(f"{audit.out}: {width} x {height} pixels{scale}, against {audit.source}")
    click.echo(f"{'check':15} {'measured':>10} {'allowed':>10}  verdict")
    for finding in audit.findings:
        click.echo(_row(finding).rstrip())
    for finding in audit.failed:
        rule = finding.rule
        click.echo(f"\n{finding.name}: {rule.measured}, {_number(finding.measured)}; allowed is "
                   f"{_number(finding.allowed)}: {rule.reason}.")  # fmt: skip
        click.echo(f"  It means: {rule.failure}.")
        click.echo(f"  To do: {rule.remedy}.")


def _row(finding: Finding) -> str:
    """One line of the table."""
    verdict = finding.verdict.upper() if finding.verdict == "fail" else finding.verdict
    return (
        f"{finding.name:15} {_number(finding.measured):>10} {_number(finding.allowed):>10}  "
        f"{verdict:12}  {finding.detail}"
    )


def _number(value: float | None) -> str:
    """A figure, short."""
    return "-" if value is None else f"{value:.3g}"
