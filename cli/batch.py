"""``rs-sr batch``: many rasters in, each finer, whatever becomes of the others."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs_superres.errors import InputError
from rs_superres.options import Options

from . import options, process
from .process import cluster, loading
from .progress import INTERVAL, pace

if TYPE_CHECKING:
    from rs_superres.batch.job import SceneOutcome
    from rs_superres.batch.run import State


@click.command()
@click.argument("scenes", metavar="DIR|GLOB|LIST.txt")
@click.option("-o", "--out", type=options.FILE, required=True, help="Folder of the results.")
@options.upscaling
@options.scheduler
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine.  [default: one a GPU, else by cores and memory]",
)
@click.option(
    "--skip-existing", is_flag=True, help="Leave results that are whole and made the same way."
)
@click.option(
    "--uncertainty",
    type=options.FILE,
    metavar="DIR",
    help="Folder for the samples' standard deviations.",
)
@click.option("--preview", type=options.FILE, metavar="DIR", help="Folder for pictures (PNG).")
@click.option(
    "--report", type=options.FILE, metavar="R.html", help="Write a report, and R.json beside it."
)
@options.as_json
@options.quiet
@process.ours
def command(
    scenes: str,
    out: Path,
    scheduler: str | None,
    workers: int | None,
    skip_existing: bool,
    uncertainty: Path | None,
    preview: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Super-resolve the rasters of a folder, a pattern or a list, one a line.

    Results keep their place in the folder. A scene that fails stops no other; the exit status is 1
    if any did.

    \b
    rs-sr batch scenes/ --scale 2 -o finer/ --report finer.html
    rs-sr batch 'scenes/**/*_RGB.tif' --scale 2 -o finer/ --skip-existing
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    # Not at the top: dask, torch and rasterio take seconds, which --help must not wait for.
    with loading():
        from rs_superres.batch import report as reports
        from rs_superres.batch.folder import scenes as find
        from rs_superres.batch.run import jobs, run_batch

    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers is for this machine's own cluster, not for --scheduler")
    _check_folders(out, preview, uncertainty)
    _check_report(report, overwrite=chosen["overwrite"] or skip_existing)
    wanted = Options(**chosen, uncertainty=uncertainty, preview=preview)
    work = jobs(
        find(scenes, out),
        out,
        wanted,
        skip_existing=skip_existing,
        thumbnails=report is not None,
    )
    started = time.monotonic()
    with cluster(scheduler, workers, quiet=quiet) as client:
        outcomes = run_batch(client, work, _Teller(quiet=quiet))
    seconds = time.monotonic() - started
    if as_json:
        click.echo(json.dumps(reports.facts(outcomes, seconds), indent=2))
    elif not quiet:
        _table(outcomes)
    if report is not None:
        reports.write(report, outcomes, seconds)
    _complain(outcomes)


def _check_folders(*paths: Path | None) -> None:
    """Refuse files where folders are written to."""
    for path in paths:
        if path is not None and path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, expected a folder")


def _check_report(report: Path | None, *, overwrite: bool) -> None:
    """Refuse, before the batch, a report that could not be written after it."""
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--report {report}, expected a name that ends in .html")
    from rs_superres.engine.outputs import check_folder, check_replaced

    for path in (report, report.with_suffix(".json")):
        check_folder(path)
        check_replaced(path, (), overwrite=overwrite)


def _complain(outcomes: list[SceneOutcome]) -> None:
    """Name the scenes that failed, and fail."""
    failed = [o for o in outcomes if o.status == "failed"]
    for outcome in failed:
        click.echo(f"rs-sr: {outcome.name}: {outcome.error}", err=True)
    if failed:
        click.echo(f"rs-sr: {len(failed)} of {len(outcomes)} scenes failed", err=True)
        raise click.exceptions.Exit(1)


def _table(outcomes: list[SceneOutcome]) -> None:
    """A line a scene."""
    width = max(len(o.name) for o in outcomes)
    for o in outcomes:
        size = "" if o.size is None else f"{o.size[0]} x {o.size[1]}"
        click.echo(f"{o.status:8} {o.name:{width}}  {size:>15}  {o.seconds:7.1f} s")


class _Teller:
    """Tells how a batch goes on: in one line that is redrawn, or in lines now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._started = self._last = time.monotonic()
        self._finished = 0

    def __call__(self, state: State) -> None:
        """Say it, if it is time."""
        now, done = time.monotonic(), len(state.outcomes)
        terminal = sys.stderr.isatty()
        whole = done == state.scenes and done > self._finished
        if self._quiet or not (whole or now - self._last >= (0.5 if terminal else INTERVAL)):
            return
        self._last, self._finished = now, done
        megapixels = state.pixels / 1e6
        line = f"{done} of {state.scenes} scenes, {megapixels:.1f} Mpx"
        if 0 < state.share < 1:
            line += f", {pace(now - self._started, state.share, megapixels, about='about ')}"
        if terminal:
            click.echo(f"\r\x1b[K{line}", nl=whole, err=True)
        else:
            click.echo(line, err=True)
