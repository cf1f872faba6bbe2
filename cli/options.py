"""Options that several commands share, among them all options of a run.

The options of a run take their defaults and help texts from :class:`rs_superres.options.Options`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.shell_completion import CompletionItem

from rs_superres import zoo
from rs_superres.errors import InputError
from rs_superres.options import ENSEMBLES, Classes, Format, Options, Precision, memory_bytes

from . import messages
from .parameters import Parameter

F = TypeVar("F", bound=Callable[..., Any])
Number = TypeVar("Number", int, float)

FIELDS = {entry.name: entry for entry in fields(Options)}
"""The declared options of a run by name."""

DEVICES = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps")
"""Devices that the shell completes; others are accepted too."""

FILE = click.Path(path_type=Path)
"""A path as a Path; the library checks whether it exists."""


class _Commas(Parameter[tuple[Number, ...]]):
    """Numbers separated by commas, as a tuple."""

    name = "numbers"

    def __init__(self, kind: type[Number], expected: str, counts: Sequence[int] = ()) -> None:
        """Describe the numbers.

        Args:
            kind: int or float.
            expected: completes "..., expected" in the error message.
            counts: how many numbers are accepted; any number if empty.
        """
        self.kind: type[Number] = kind
        self.expected, self.counts = expected, counts

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Number, ...]:
        """Convert a text; a default is a tuple already."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or (self.counts and len(numbers) not in self.counts):
            self.fail(f"{value!r}, expected {self.expected}", param, ctx)
        return numbers


class Numbers(_Commas[float]):
    """So many numbers separated by commas."""

    def __init__(self, count: int) -> None:
        super().__init__(float, f"{count} numbers as in 0,255", (count,))


class LimitsParam(Numbers):
    """The words none and local, or two numbers separated by a comma."""

    name = "limits"

    def __init__(self) -> None:
        super().__init__(2)
        self.expected = "none, local, or two numbers as in 0,100"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a text; a word stays a word."""
        return value if value in {"none", "local"} else super().convert(value, param, ctx)


class BandsParam(Parameter[tuple[int | str, ...]]):
    """Numbers and names of bands separated by commas, or the word all."""

    name = "bands"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | str, ...]:
        """Convert a text; a default is a tuple already."""
        del param, ctx
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        return tuple(int(part) if part.isdecimal() else part for part in parts)


class RgbParam(BandsParam):
    """Three bands separated by commas, or the word none."""

    name = "rgb"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a text; a word stays a word."""
        return value if value == "none" else super().convert(value, param, ctx)


class Resolution(_Commas[float]):
    """A pixel size: one number, or X,Y."""

    name = "size"

    def __init__(self) -> None:
        super().__init__(float, "a pixel size as in 2.5 or 2.5,2.5", (1, 2))


class Bytes(Parameter[int]):
    """An amount of memory: a number with a unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert a text to bytes."""
        amount = value if isinstance(value, int) else memory_bytes(str(value))
        if amount is None:
            self.fail(f"{value!r}, expected an amount of memory as in 2GB or 800MB", param, ctx)
        return amount


def complete_models(ctx: click.Context, param: click.Parameter, text: str) -> list[CompletionItem]:
    """Complete a model for the shell: a name, or a folder."""
    del ctx, param
    names = [CompletionItem(name) for name in zoo.names() if name.startswith(text)]
    return [CompletionItem(text, type="dir"), *names]  # bash forgets what comes before "dir"


def complete_sensors(ctx: click.Context, param: click.Parameter, text: str) -> list[CompletionItem]:
    """Complete a sensor for the shell."""
    del ctx, param
    return [CompletionItem(name) for name in zoo.sensors() if name.startswith(text)]


def complete_devices(ctx: click.Context, param: click.Parameter, text: str) -> list[CompletionItem]:
    """Complete a device for the shell."""
    del ctx, param
    return [CompletionItem(name) for name in DEVICES if name.startswith(text)]


def run_option(name: str, *flags: str, **more: Any) -> Callable[[F], F]:
    """Return a click option for a field of :class:`Options`.

    Args:
        name: the field, whose default and help text the option has.
        flags: the option's flags; ``--NAME`` if none are given.
        more: further arguments of ``click.option``.
    """
    declared = FIELDS[name]
    default = declared.default

    def accepted(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        """Check a value at once, before anything slow is imported: a wrong call exits with 2."""
        if value is None or value == default:
            return value
        try:
            return declared.metadata["accept"](name, value)
        except InputError as error:
            raise click.BadParameter(str(error).removeprefix(f"{name}="), ctx, param) from error

    shown = declared.metadata["unset"] or not (default is None or default is False or default == ())
    settings: dict[str, Any] = {
        "default": default,
        "show_default": shown,
        "help": declared.metadata["help"],
        "callback": accepted,
        **more,
    }
    return click.option(*(flags or (f"--{name.replace('_', '-')}",)), name, **settings)


model = run_option("model", "-m", "--model", metavar="MODEL", shell_complete=complete_models)
model_start = click.option(
    "-m",
    "--model",
    "start",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Start from a model: its name, or its folder.",
)
steps = run_option("steps", type=click.IntRange(min=0), metavar="N")
texture = run_option("texture", type=float, metavar="T")
device = run_option("device", metavar="DEVICE", shell_complete=complete_devices)
precision = run_option("precision", type=click.Choice(get_args(Precision)))
ensemble = run_option("ensemble", type=click.Choice(ENSEMBLES))
value_range = run_option("value_range", type=Numbers(2), metavar="LO,HI")
overwrite = run_option("overwrite", is_flag=True)
as_json = click.option("--json", "as_json", is_flag=True, help="Print a report as JSON.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
CLUSTER = [
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Compute on a dask cluster: tls://HOST:PORT, tcp://HOST:PORT, a scheduler file, or "
        "local:N.",
    ),
    click.option(
        "--tls-ca", type=FILE, metavar="CA.pem", help="The authority that a tls:// cluster trusts."
    ),
    click.option("--tls-cert", type=FILE, metavar="CERT.pem", help="Your certificate for it."),
    click.option("--tls-key", type=FILE, metavar="KEY.pem", help="The key of your certificate."),
]
"""The options that say where a cluster is, and who asks it to compute."""


def scheduler(command: F) -> F:
    """Give a command all of :data:`CLUSTER`; it receives ``scheduler`` and ``tls``, a dictionary.

    The keys of ``tls`` are those of :class:`rs_superres.batch.cluster.TlsFiles`.
    """

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        tls = {name: values.pop(f"tls_{name}") for name in ("ca", "cert", "key")}
        return command(tls=tls, **values)

    decorated: Any = run
    for option in reversed(CLUSTER):
        decorated = option(decorated)
    result: F = decorated
    return result


def sources(command: F) -> F:
    """Give a command the argument SOURCE, and ``--source`` as another way to give it."""
    option = click.option(
        "--source", "sources", multiple=True, metavar="SOURCE", help="Another way to give SOURCE."
    )
    return click.argument("source", nargs=-1)(option(command))


def sources_given(source: tuple[str, ...], sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return what was given in one of the two ways of :func:`sources`.

    Raises:
        click.UsageError: both were used.
    """
    if source and sources:
        raise click.UsageError(
            "SOURCE was given twice: as an argument and as --source; use one of them"
        )
    return source or sources


def check_source(source: tuple[str, ...]) -> None:
    """Refuse to continue without a source.

    Raises:
        click.UsageError: there is none.
    """
    if not source:
        raise click.UsageError("Missing argument 'SOURCE', the raster that OUT was made from.")


def bands_held(text: str) -> Callable[[F], F]:
    """Return the option for the bands of SOURCE that OUT holds.

    Args:
        text: what the help says about it.
    """
    return click.option(
        "-b",
        "--bands",
        "--bidx",
        "bidx",
        type=BandsParam(),
        metavar="B,B...|all",
        default=(),
        help=text,
    )


UPSCALING = [
    run_option("scale", "-s", "--scale", metavar="S"),
    run_option("resolution", "--res", type=Resolution(), metavar="X[,Y]"),
    run_option("like", type=FILE),
    run_option("bounds", type=float, nargs=4, metavar="L B R T"),
    run_option("aoi", type=FILE, metavar="FILE[|layer=NAME]"),
    model,
    steps,
    texture,
    run_option("seed", type=click.IntRange(min=0), metavar="N"),
    run_option("samples", type=click.IntRange(min=1), metavar="N"),
    ensemble,
    run_option("consistency", "--consistency/--no-consistency"),
    run_option("sensor", metavar="NAME", shell_complete=complete_sensors),
    run_option("mtf", type=float, metavar="M"),
    run_option("noise", type=float, metavar="N"),
    run_option("limits", type=LimitsParam(), metavar="none|local|LO,HI"),
    run_option("bidx", "-b", "--bands", "--bidx", type=BandsParam(), metavar="B,B...|all"),
    run_option("rgb", type=RgbParam(), metavar="R,G,B|none"),
    run_option("nearest", type=BandsParam(), metavar="B,B..."),
    run_option("classes", type=click.Choice(get_args(Classes))),
    run_option("nodata", type=float, metavar="V"),
    value_range,
    device,
    precision,
    run_option("stac", is_flag=True),
    run_option("memory", type=Bytes(), metavar="2GB"),
    run_option("format", type=click.Choice(get_args(Format))),
    run_option("creation", "--co", multiple=True, metavar="K=V"),
    overwrite,
    run_option("resume", "--resume/--no-resume"),
    run_option("scratch", type=FILE),
]
"""The options that ``upscale`` and ``batch`` have in common, in the order of their help."""


def of_run(**chosen: Any) -> Options:
    """Return the options of a run that a command was called with.

    Raises:
        click.UsageError: They contradict each other. The command then exits with 2.
    """
    requested = Options(**chosen)
    try:
        requested.check()
    except InputError as error:
        raise click.UsageError(messages.in_flags(str(error))) from error
    return requested


def upscaling(command: F) -> F:
    """Give a command all of :data:`UPSCALING`."""
    for option in reversed(UPSCALING):
        command = option(command)
    return command
