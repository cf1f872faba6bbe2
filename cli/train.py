"""``rs-sr train``: make a model from scenes, or tune one to a sensor."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from rs_superres.training.validation import Score


class Duration(click.ParamType[float]):
    """A time: 90s, 15m, 2h, 1.5h; seconds without a unit."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Text to seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r}, expected a time as in 90s, 15m or 2h", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


@click.command()
@click.option(
    "--data",
    type=options.FILE,
    multiple=True,
    required=True,
    help="Folder of rasters, searched to any depth; may be repeated.",
)
@click.option(
    "--val",
    type=options.FILE,
    multiple=True,
    help="Folder of validation rasters; without it some places of --data are held out.",
)
@click.option("-c", "--config", type=options.FILE, help="Configuration of the run, TOML.")
@options.model_start
@click.option("-o", "--out", type=options.FILE, required=True, help="The run's folder: the model.")
@click.option("--resume", is_flag=True, help="Go on with the run that stands in OUT.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Iterations of each phase, at most.")
@click.option("--max-time", type=Duration(), help="Time of the whole run, as in 15m or 2h.")
@options.device
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 where the device computes in it.",
)
@options.quiet
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

    OUT becomes a model folder that `-m OUT` takes, with the run's configuration, log, loss curve
    and a sheet of restored validation windows.
    """
    # Not at the top: torch and rasterio take seconds, which --help must not wait for.
    from rs_superres.training.config import read_train_config
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
        _Teller(quiet=quiet),
    )
    first, second = report.steps
    if not quiet:
        click.echo(
            f"{out}: {first} iterations of the prior, {second} of the denoiser, "
            f"{report.seconds:.0f} s, {len(report.skipped)} files skipped",
            err=True,
        )
    if report.ended == "signal":
        click.echo(
            f"rs-sr: stopped when asked; the model so far stands in {out}, --resume goes on",
            err=True,
        )
        raise click.exceptions.Exit(1)


class _Teller:
    """Tells how a run goes: a line of JSON an interval on stdout, all else on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, text: str) -> None:
        """Something that a person should know."""
        if not self._quiet:
            click.echo(text, err=True)

    def interval(self, line: dict[str, Any]) -> None:
        """A line of the log."""
        if not self._quiet:
            click.echo(json.dumps(line))

    def validated(self, phase: str, step: int, scores: Sequence[Score]) -> None:
        """The scores on the way."""
        from rs_superres.training.validation import table

        self.note("\n".join([f"{phase}, iteration {step}:", *table(scores)]))
