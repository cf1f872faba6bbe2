"""``rs-sr batch``: super-resolve many rasters; one that fails does not stop the others."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs_superres.errors import InputError, MissingPackageError

from . import messages, options, process, sections
from .progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rs_superres.batch.job import Job, SceneOutcome
    from rs_superres.batch.sequence import BatchProgress, State


@click.command(
    cls=sections.Command,
    examples=[
        "rs-sr batch scenes/ --scale 2 -o finer/ --report finer.html",
        "rs-sr batch a.tif b.jp2 list.txt --scale 2 -o finer/",
        "rs-sr batch 'scenes/**/*_RGB.tif' --scale 2 -o finer/ --skip-existing",
    ],
)
@click.argument("scenes", nargs=-1, required=True, metavar="SCENES...")
@click.option("-o", "--out", type=options.FILE, required=True, help="Folder for the results.")
@options.upscaling
@options.scheduler
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes on this machine.  [default: one per GPU, else by cores and memory]",
)
@click.option(
    "--skip-existing",
    is_flag=True,
    help="Skip results that are complete and made with the same settings.",
)
@click.option(
    "--uncertainty",
    type=options.FILE,
    metavar="DIR",
    help="Also write the expected errors, into this folder.",
)
@click.option(
    "--preview",
    type=options.FILE,
    metavar="DIR",
    help="Also write a PNG file of source, cubic and result, side by side, into this folder.",
)
@click.option(
    "--report",
    type=options.FILE,
    metavar="R.html",
    help="Write a report, and the same as JSON (R.json).",
)
@options.as_json
@options.quiet
@process.own_stderr
def command(
    scenes: tuple[str, ...],
    out: Path,
    scheduler: str | None,
    tls: dict[str, Path | None],
    workers: int | None,
    skip_existing: bool,
    uncertainty: Path | None,
    preview: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Super-resolve many rasters: folders, files, patterns, and lists with one path a line.

    SCENES are folders, which are searched to any depth, rasters, patterns in quotes, or text files
    LIST.txt. The results get the names and subfolders of their sources. A scene that fails does not
    stop the others; the exit status is 1 if any failed.
    """
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers is for a cluster on this machine: leave out --scheduler")
    requested = options.of_run(**chosen, uncertainty=uncertainty, preview=preview)
    # Not at the top: dask, torch and rasterio take seconds, which --help must not wait for.
    with process.heavy_imports():
        from rs_superres.batch import report as reports
        from rs_superres.batch.folder import scenes as find
        from rs_superres.batch.sequence import jobs
        from rs_superres.raster import lines_about

    _check_folders(out, preview, uncertainty)
    _check_report(report, overwrite=chosen["overwrite"] or skip_existing)
    found = find(scenes, out, without=[path for path in (uncertainty, preview) if path is not None])
    for text in lines_about(found.passed_over):
        messages.note(f"{text} (-v says why)")
    work = jobs(
        found.files,
        out,
        requested,
        skip_existing=skip_existing,
        pictures=report is not None,
    )
    started = time.monotonic()
    with (
        _runner(scheduler, workers, tls=tls, quiet=quiet) as run,
        ProgressLine(quiet=quiet) as line,
    ):
        outcomes = run(work, lambda state: _show(line, state))
    seconds = time.monotonic() - started
    outcomes = [_in_flags(outcome) for outcome in outcomes]
    done = reports.BatchReport(
        outcomes=outcomes,
        seconds=seconds,
        model=str(requested.model),
        command=process.command_line(),
        passed_over=found.passed_over,
        results=found.results,
    )
    if as_json:
        click.echo(json.dumps(done.facts(), indent=2))
    elif not quiet:
        _print_table(outcomes)
    if report is not None:
        reports.write(report, done)
    _report_failures(outcomes)


@contextmanager
def _runner(
    scheduler: str | None, workers: int | None, *, tls: dict[str, Path | None], quiet: bool
) -> Iterator[Callable[[list[Job], BatchProgress], list[SceneOutcome]]]:
    """Yield what runs the scenes: a cluster; without dask's packages, this process."""
    try:
        from rs_superres.batch.run import run_batch
    except MissingPackageError as error:
        if scheduler is not None or workers is not None or any(tls.values()):
            raise
        from rs_superres.batch.sequence import run_here

        if not quiet:
            messages.note(f"one scene at a time, because {error}")
        yield run_here
        return
    with process.cluster(scheduler, workers, tls=tls, quiet=quiet) as client:
        yield partial(run_batch, client)


def _check_folders(*paths: Path | None) -> None:
    """Refuse a file where a folder is needed."""
    for path in paths:
        if path is not None and path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, expected a folder")


def _check_report(report: Path | None, *, overwrite: bool) -> None:
    """Refuse, before the batch starts, a report that could not be written at its end."""
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--report {report}, expected a name that ends in .html")
    from rs_superres.system.names import check_folder, check_replaced

    for path in (report, report.with_suffix(".json")):
        check_folder(path)
        check_replaced(path, (), overwrite=overwrite)


def _show(line: ProgressLine, state: State) -> None:
    """Show how far a batch is."""
    megapixels, done = state.pixels / 1e6, len(state.outcomes)
    # Scenes in progress count for their part, so the share may round to 1 before the last ends.
    share = 1.0 if done == state.scenes else min(state.share, 0.999)
    line.show(f"{done} of {state.scenes} scenes, {megapixels:.2f} Mpx", share, megapixels)


def _in_flags(outcome: SceneOutcome) -> SceneOutcome:
    """Name flags in place of keywords in what is said of a scene."""
    return replace(
        outcome,
        error=outcome.error and messages.in_flags(outcome.error),
        warnings=tuple(map(messages.in_flags, outcome.warnings)),
    )


def _print_table(outcomes: list[SceneOutcome]) -> None:
    """Print a line for each scene."""
    width = max(len(outcome.name) for outcome in outcomes)
    for outcome in outcomes:
        # Names of files need not be UTF-8.
        name = outcome.name.encode("utf-8", "replace").decode()
        size = "" if outcome.size is None else f"{outcome.size[0]} x {outcome.size[1]}"
        messages.echo(f"{outcome.status:8} {name:{width}}  {size:>15}  {outcome.seconds:7.1f} s")


def _report_failures(outcomes: list[SceneOutcome]) -> None:
    """Print the scenes that failed, and exit with 1 if there are any."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed:
        messages.say(f"{outcome.name}: {outcome.error}")
    if failed:
        messages.say(f"{len(failed)} of {len(outcomes)} scenes failed")
        raise click.exceptions.Exit(1)
