"""``rs-sr train``: train a model on scenes, or tune one to a sensor."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import messages, options, process, sections
from .parameters import Parameter

if TYPE_CHECKING:
    from rs_superres.training.run import TrainReport
    from rs_superres.training.validation import Score


class Duration(Parameter[float]):
    """A duration such as 90s, 15m, 2h or 1.5h; seconds without a unit."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert the text to seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r}, expected a time as in 90s, 15m or 2h", param, ctx)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


@click.command(
    cls=sections.Command,
    sections=sections.TRAIN,
    examples=[
        "rs-sr train --data scenes/ -m aerial --max-time 15m -o mine",
        "rs-sr train --data scenes/ -c config.toml --max-time 8h -o run",
        "rs-sr train --data scenes/ --resume -o run",
    ],
)
@click.option(
    "--data",
    type=options.FILE,
    multiple=True,
    required=True,
    help="A raster, or a folder of rasters, searched to any depth; repeatable.",
)
@click.option(
    "--val",
    type=options.FILE,
    multiple=True,
    help="Folder of validation rasters. Without it, some places of --data are held out.",
)
@click.option("-c", "--config", type=options.FILE, help="Configuration file (TOML).")
@options.model_start
@click.option(
    "-o", "--out", type=options.FILE, required=True, help="Folder of the run and the model."
)
@click.option("--resume", is_flag=True, help="Continue the run in OUT.")
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Largest number of iterations in each phase.",
)
@click.option(
    "--max-time", type=Duration(), help="Time limit of the run, scoring included: 15m, 2h."
)
@options.device
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto uses bf16 if the device supports it.",
)
@options.quiet
@process.own_stderr
def command(
    data: tuple[Path, ...],
    val: tuple[Path, ...],
    config: Path | None,
    start: str | None,
    out: Path,
    resume: bool,
    max_steps: int | None,
    max_time: float | None,
    device: str,
    precision: Any,
    quiet: bool,
) -> None:
    """Train a model on the rasters of a folder, or tune a shipped one to them.

    OUT becomes a model folder for `-m OUT`. It also holds the run's configuration, log, loss curve
    and a sheet of restored validation windows.
    """
    # Imported here: torch and rasterio take seconds to import, and --help must be fast.
    from rs_superres.training.config import read_train_config
    from rs_superres.training.distributed import is_main_process
    from rs_superres.training.run import TrainOptions, train

    report = train(
        TrainOptions(
            data=data,
            val=val,
            out=out,
            config=None if config is None else read_train_config(config),
            start=start,
            resume=resume,
            max_steps=max_steps,
            max_seconds=max_time,
            device=device,
            precision=precision,
        ),
        _Printer(quiet=quiet),
    )
    if not quiet and is_main_process():
        messages.echo(*_summary(report).split("\n"), err=True)
    if report.ended == "signal":
        if is_main_process():
            messages.say(
                f"stopped by a signal; the model so far is in {out}, resume=True continues the run"
            )
        raise click.exceptions.Exit(1)


def _summary(report: TrainReport) -> str:
    """Summarise a run in two lines: what was trained, and what was scored."""
    first, second = report.steps
    trained = (
        f"{report.out}: {first} iterations of the prior, {second} of the denoiser, "
        f"{report.seconds:.0f} s, {len(report.skipped)} files skipped"
    )
    if not report.scores and report.windows_chosen:
        return f"{trained}\nnot scored: --max-time left no time for it"
    if not report.scores:
        return f"{trained}\nnot scored: there is no validation window that is large enough"
    gains = ", ".join(f"x{s.scale:g} {s.prior - s.bicubic:+.2f} dB" for s in report.scores)
    windows = f"{report.windows} windows"
    if report.windows < report.windows_chosen:
        windows = f"{report.windows} of {report.windows_chosen} windows (no time for more)"
    return f"{trained}\nprior minus bicubic on {windows}: {gains}"


class _Printer:
    """A listener that prints log lines as JSON to stdout, and messages to stderr.

    Args:
        quiet: print nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, text: str) -> None:
        """Print a message."""
        if not self._quiet:
            messages.echo(*messages.in_flags(text).split("\n"), err=True)

    def log_line(self, line: dict[str, Any]) -> None:
        """Print a line of the log."""
        if not self._quiet:
            click.echo(json.dumps(line))

    def validation(self, phase: str, step: int, scores: Sequence[Score]) -> None:
        """Print the scores of a validation as a table."""
        from rs_superres.training.validation import table

        self.note("\n".join([f"{phase}, iteration {step}:", *table(scores)]))
