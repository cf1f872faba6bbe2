"""Options that more than one command takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
"""A path, as a Path; whether it is there is for the library to say."""


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self.count = count

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Text to a tuple."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self.count:
            self.fail(f"{value!r}, expected {self.count} numbers as in 0,255", param, ctx)
        return numbers


class Bands(click.ParamType[tuple[int, ...]]):
    """Band numbers with commas between them, from 1."""

    name = "bands"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Text to a tuple."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}, expected band numbers as in 4,3,2", param, ctx)


class Bytes(click.ParamType[int]):
    """An amount of memory: a number with a unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+\.?\d*) *([KMGT])(i?)B?", str(value), re.IGNORECASE)
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r}, expected an amount of memory as in 2GB or 800MB", param, ctx)
        base = 1024 if found[3] else 1000
        return int(float(found[1]) * base ** (1 + "KMGT".index(found[2].upper())))


class Resolution(click.ParamType[tuple[float, float]]):
    """A pixel size: one number, or X,Y."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        """Text to (x, y)."""
        if isinstance(value, tuple):
            return value
        try:
            sizes = [float(part) for part in str(value).split(",")]
        except ValueError:
            sizes = []
        if len(sizes) not in (1, 2):
            self.fail(f"{value!r}, expected a pixel size as in 2.5 or 2.5,2.5", param, ctx)
        return sizes[0], sizes[-1]


model = click.option("-m", "--model", help="A shipped model's name, or a model folder.")
model_start = click.option(
    "-m", "--model", "start", help="Start from a shipped model, or from a model folder."
)
steps = click.option(
    "--steps",
    type=click.IntRange(min=0),
    help="Diffusion steps; 0 is the neural operator alone.  [default: the model's]",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Names the noise."
)
device = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."
)
precision = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="What the networks compute in; auto: bf16 where the device computes in it.",
)
value_range = click.option(
    "--value-range", type=Numbers(2), metavar="LO,HI", help="Values that map to -1 and 1."
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
as_json = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
scheduler = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Compute on a dask cluster: tcp://HOST:PORT, a scheduler file, or local:N.",
)
