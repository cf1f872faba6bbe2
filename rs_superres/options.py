"""The options of a run, declared once for Python, the command line and the documentation.

Each field of :class:`Options` is a keyword of :func:`rs_superres.upscale` and an option of ``rs-sr
upscale``: it declares the type, the default, the help text, and the values that are accepted. The
command line imports this module for ``--help``, so the module imports nothing that is slow to load.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from rs_superres.errors import InputError

if TYPE_CHECKING:
    from rs_superres.zoo import Model

Classes = Literal["expand", "nearest"]
"""How classes become pixels: the colours of their colour table, or their nearest neighbour."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""The number format that the networks compute in."""

Format = Literal["cog", "gtiff"]
"""The file format of a result."""

LimitsOption = Literal["none", "local"] | tuple[float, float]
"""How far a result may leave the range of its source; see :mod:`rs_superres.image.limits`."""

NoColours = Literal["none"]
"""Says that no bands are red, green and blue."""

RgbOption = NoColours | tuple[int | str, ...]
"""Numbers of the red, green and blue band; empty to find them."""

ENSEMBLES = (1, 2, 4, 8)
"""How many orientations of an image the neural operator may see: halves of all eight, and so on."""

LARGEST_MTF = 8.0
"""Modulation transfer of the sharpest source; models are trained up to 7.4."""

LARGEST_SEED = 2**63 - 1
"""The noise is a hash of signed 64-bit integers."""

Accept = Callable[[str, Any], Any]
"""Normalises the value of the named option, or raises :class:`InputError`."""


def option(default: Any, text: str, accept: Accept, *, unset: str = "") -> Any:
    """Declare an option as the field of a dataclass.

    Args:
        default: the default value. An option whose default is None also accepts None.
        text: the help text, plain English.
        accept: normalises and checks a value.
        unset: what happens without the option, if the default does not say it.
    """
    return field(default=default, metadata={"help": text, "accept": accept, "unset": unset})


def refusal(name: str, value: Any, expected: str) -> InputError:
    """Return the error for a value that an option does not accept."""
    given = " ".join(repr(value).split())  # an array's repr has several lines
    return InputError(f"{name}={given:.80}, expected {expected}")


def memory_bytes(text: str) -> int | None:
    """Parse an amount of memory such as 2GB, 800MB or 1.5 GiB; None if it is not one."""
    match = re.fullmatch(r"(\d+\.?\d*) *([KMGT])(i?)B?", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        return None
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** (1 + "KMGT".index(match[2].upper())))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(name: str, value: Any) -> float:
    """Accept a number."""
    if not _is_number(value):
        raise refusal(name, value, "a number")
    return float(value)


def _scale(name: str, value: Any) -> str | float:
    """Accept a number or its decimal text as given: 2.3 means 23/10; x4 and 4x are 4."""
    scale: str | float = value
    if isinstance(value, str):
        scale = re.sub(r"\s*x$|^x\s*", "", value.strip(), count=1, flags=re.IGNORECASE)
    elif not _is_number(value):
        raise refusal(name, value, "a number above 1")
    try:
        above = Fraction(str(scale)) > 1
    except (ValueError, ZeroDivisionError):
        above = False
    if not above:
        raise refusal(name, value, "a number above 1")
    return scale


def _numbers(*counts: int) -> Accept:
    """Accept so many numbers; a single number where one is enough."""
    expected = f"{' or '.join(map(str, counts))} numbers"

    def accept(name: str, value: Any) -> tuple[float, ...]:
        members = (value,) if _is_number(value) and 1 in counts else value
        if isinstance(members, str) or not isinstance(members, Iterable):
            raise refusal(name, value, expected)
        numbers = tuple(members)
        if len(numbers) not in counts or not all(map(_is_number, numbers)):
            raise refusal(name, value, expected)
        return tuple(map(float, numbers))

    return accept


def _resolution(name: str, value: Any) -> tuple[float, float]:
    """Accept a pixel size, or one for x and one for y."""
    sizes = _numbers(1, 2)(name, value)
    if not all(0 < size < math.inf for size in sizes):
        raise refusal(name, value, "a pixel size above 0")
    return sizes[0], sizes[-1]


def _range(name: str, value: Any) -> tuple[float, ...]:
    """Accept a low and a high number."""
    low, high = _numbers(2)(name, value)
    if not -math.inf < low < high < math.inf:
        raise refusal(name, value, "the lower number first")
    return low, high


def _integer(value: Any) -> int | None:
    """Return a whole number of any integer type; None for other values, bool among them."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _whole(least: int, most: int | None = None) -> Accept:
    """Accept a whole number in a range."""
    expected = f"a whole number, {least} or more"
    if most is not None:
        expected += f", at most {most}"

    def accept(name: str, value: Any) -> int:
        number = _integer(value)
        if number is None or number < least or (most is not None and number > most):
            raise refusal(name, value, expected)
        return number

    return accept


def _ensemble(name: str, value: Any) -> int:
    """Accept 1, 2, 4 or 8."""
    number = _integer(value)
    if number not in ENSEMBLES:
        raise refusal(name, value, f"one of {', '.join(map(str, ENSEMBLES))}")
    return number


def _band(value: Any) -> int | str | None:
    """Return the number or the name of a band; None for other values, and for a list in a text."""
    if isinstance(value, str):
        name = value.strip()
        return None if re.fullmatch(r"[\d,.\s]*", name) else name
    number = _integer(value)
    return number if number is not None and number >= 1 else None


def _bands(name: str, value: Any) -> tuple[int | str, ...]:
    """Accept numbers and names of bands, or a single one."""
    members = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    bands = [_band(member) for member in members]
    if None in bands:
        raise refusal(name, value, "names of bands, or numbers counted from 1")
    if len({*bands}) < len(bands):
        raise refusal(name, value, "each band once")
    return tuple(band for band in bands if band is not None)


def _three_bands(name: str, value: Any) -> RgbOption:
    """Accept three bands, an empty sequence, or the word none."""
    if isinstance(value, str):
        if value == "none":
            return "none"
        raise refusal(name, value, "three bands, or none")
    numbers = _bands(name, value)
    if len(numbers) not in {0, 3}:
        raise refusal(name, value, "three bands, or none")
    return numbers


def _device(name: str, value: Any) -> str:
    """Accept a device's name; whether this machine has it is checked later."""
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|(cuda|mps)(:\d+)?", value):
        raise refusal(name, value, "auto, cpu, cuda, cuda:1 or mps")
    return value


def _choice(choices: Any) -> Accept:
    """Accept one of the values of a ``Literal``."""
    accepted = get_args(choices)

    def accept(name: str, value: Any) -> Any:
        if not isinstance(value, str) or value not in accepted:
            raise refusal(name, value, f"one of {', '.join(accepted)}")
        return value

    return accept


def _flag(name: str, value: Any) -> bool:
    """Accept True or False."""
    if not isinstance(value, bool):
        raise refusal(name, value, "True or False")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """Accept texts KEY=VALUE; a single one may come alone."""
    members = (value,) if isinstance(value, str) else value
    if isinstance(members, dict) or not isinstance(members, Iterable):
        raise refusal(name, value, "texts KEY=VALUE")
    texts = tuple(members)
    if not all(isinstance(text, str) and text.find("=") > 0 for text in texts):
        raise refusal(name, value, "texts KEY=VALUE")
    return texts


def _path(name: str, value: Any) -> Path:
    """Accept a path."""
    if value == "" or not isinstance(value, str | os.PathLike):
        raise refusal(name, value, "a path")
    return Path(value)


def _share(name: str, value: Any) -> float:
    """Accept a number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise refusal(name, value, "a number from 0 to 1")
    return float(value)


def _mtf(name: str, value: Any) -> float:
    """Accept a number above 0, at most the largest that networks distinguish."""
    if not _is_number(value) or not 0 < value <= LARGEST_MTF:
        raise refusal(name, value, f"a number above 0, at most {LARGEST_MTF:g}")
    return float(value)


def _text(name: str, value: Any) -> str:
    """Accept a text."""
    if not isinstance(value, str):
        raise refusal(name, value, "a text")
    return value


def _deviation(name: str, value: Any) -> float:
    """Accept a finite number, 0 or more."""
    if not _is_number(value) or not 0 <= value < math.inf:
        raise refusal(name, value, "a finite number, 0 or more")
    return float(value)


def _limits(name: str, value: Any) -> LimitsOption:
    """Accept none, local, or the least and greatest number."""
    if isinstance(value, str) and value in {"none", "local"}:
        return "none" if value == "none" else "local"
    expected = "none, local, or the least and the greatest digital number"
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise refusal(name, value, expected)
    numbers = tuple(value)
    if len(numbers) != 2 or not all(map(_is_number, numbers)) or not numbers[0] < numbers[1]:
        raise refusal(name, value, expected)
    return float(numbers[0]), float(numbers[1])


def check_samples(samples: int, steps: int | None) -> None:
    """Refuse several samples of the neural operator alone.

    Args:
        samples: the number of samples.
        steps: the diffusion steps; None for the model's default, which is not known here.

    Raises:
        InputError: the samples would all be the same.
    """
    if samples > 1 and steps == 0:
        raise InputError(
            f"samples={samples} of the neural operator alone are all the same; leave out "
            "samples=, or use steps=1 or more"
        )


def _model(name: str, value: Any) -> Any:
    """Accept a name, a folder, or a loaded model (its class is too slow to import here)."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, str) and not hasattr(value, "network"):
        raise refusal(name, value, "a model's name, a model folder, or a loaded model")
    return value


def _memory(name: str, value: Any) -> int:
    """Accept bytes, or an amount as in 2GB."""
    amount = memory_bytes(value) if isinstance(value, str) else _integer(value)
    if amount is None or amount <= 0:
        expected = "an amount of memory as in 2GB or 800MB, or a number of bytes above 0"
        raise refusal(name, value, expected)
    return amount


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelOptions:
    """Options that decide the pixels of a result: those of arrays, and of files too.

    Give exactly one of ``scale``, ``resolution`` and ``like``. Values are normalised and checked
    when the options are constructed; what depends on the source is checked when a run is planned.

    Raises:
        InputError: a value that its option does not accept.
    """

    scale: str | float | None = option(
        None,
        "Scale factor between source and result pixels, any number above 1; rounded so that whole "
        "pixels fill the extent exactly.",
        _scale,
    )
    resolution: tuple[float, float] | None = option(
        None, "Target pixel size in CRS units (degrees for EPSG:4326).", _resolution
    )
    """One number, or X and Y."""
    like: Path | None = option(
        None, "Use the grid of this raster: its origin, pixel size and extent.", _path
    )
    bounds: tuple[float, float, float, float] | None = option(
        None,
        "Write only this part: left, bottom, right, top in the CRS (source pixels without one).",
        _numbers(4),
    )
    aoi: Path | None = option(
        None, "Write only what lies inside the polygons of this vector file, in any CRS.", _path
    )
    """``FILE|layer=NAME`` chooses a layer."""
    model: str | Model = option("aerial", "Name of a model, or a model folder.", _model)
    """A model that :func:`rs_superres.load_model` returned is accepted too."""
    steps: int | None = option(
        None,
        "Diffusion steps; 0 is the neural operator alone.",
        _whole(0),
        unset="the model's",
    )
    texture: float | None = option(
        None,
        "Strength of the drawn texture, from 0 (the neural operator alone) to 1 (as strong as on "
        "the ground).",
        _share,
        unset="the model's",
    )
    seed: int = option(
        0, "Random seed; the same seed gives the same pixels.", _whole(0, LARGEST_SEED)
    )
    samples: int = option(
        1, "Number of random results to average (more = smoother, slower).", _whole(1)
    )
    ensemble: int = option(
        1,
        "Orientations of the source that the neural operator sees and averages: 1, 2, 4 or 8 (more "
        "= about 0.1 dB closer to the truth, that many times slower).",
        _ensemble,
    )
    consistency: bool = option(
        True, "Correct the result so that it downsamples to its source.", _flag
    )
    sensor: str | None = option(
        None,
        "Sensor of the source, such as sentinel-2, which sets the blur and says what bands such as "
        "B4 are. The result should look as if the sensor had finer pixels.",
        _text,
        unset="that of the product, if the source is one",
    )
    """``none`` ignores the sensor of a product."""
    mtf: float | None = option(
        None,
        "Blur of the source against the result: its MTF at the source's Nyquist frequency, such as "
        "0.3 for a satellite; above 1 if it was sharpened, such as 4 by a strong unsharp mask.",
        _mtf,
        unset="estimated, if the model can",
    )
    noise: float | None = option(
        None,
        "Noise of the source: its standard deviation, in source units. It is not put back.",
        _deviation,
        unset="estimated, if the model can",
    )
    limits: LimitsOption = option(
        "local",
        "Keep results near the range of the source pixels around them (local), and between two "
        "numbers (LO,HI); or do not (none).",
        _limits,
    )
    bidx: tuple[int | str, ...] = option(
        (),
        "Bands of the source to write, in this order: numbers, names such as B8A, or all.",
        _bands,
        unset="all; of a product, its main ones",
    )
    """Numbers counted from 1, or names, as in ``rgb`` and ``nearest``; or the word ``all``."""
    rgb: RgbOption = option(
        (),
        "Bands of the source to sharpen together, as red, green and blue; or no such bands (none).",
        _three_bands,
        unset="by colour interpretation, names and wavelengths",
    )
    nearest: tuple[int | str, ...] = option(
        (),
        "Bands of the source to resample by nearest neighbour: quality, classes, bit masks.",
        _bands,
    )
    classes: Classes | None = option(
        None,
        "Turn a palette into colours, or resample classes and 1-bit masks by nearest neighbour.",
        _choice(Classes),
    )
    nodata: float | None = option(
        None, "Nodata value of the source; replaces the one in the file.", _number
    )
    value_range: tuple[float, float] | None = option(
        None,
        "Black and white point for the network, in source units (set it for mosaics).",
        _range,
        unset="found per scene",
    )
    device: str = option("auto", "Device to compute on: auto, cpu, cuda, cuda:1 or mps.", _device)
    precision: Precision = option(
        "auto",
        "Number format of the networks; auto is bf16 where the device computes in it.",
        _choice(Precision),
    )

    def __post_init__(self) -> None:
        # Written for subclasses too: in a dataclass with slots, super() fails before Python 3.14.
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None or entry.default is not None:
                accepted = entry.metadata["accept"](entry.name, value)
                object.__setattr__(self, entry.name, accepted)

    def check(self) -> None:
        """Check that the options fit each other, as far as the source and the model do not matter.

        Raises:
            InputError: they set no output grid or more than one, or contradict each other.
        """
        targets = (self.scale, self.resolution, self.like)
        if sum(value is not None for value in targets) != 1:
            raise InputError("one of scale=, resolution= and like= is needed, and no more than one")
        if self.bounds is not None and self.aoi is not None:
            raise InputError("bounds= and aoi= were both given, expected one of them")
        if self.sensor not in {None, "none"} and self.mtf is not None:
            raise InputError("sensor= and mtf= were both given, expected one of them")
        check_samples(self.samples, self.steps)

    def sensor_of(self, product: str | None) -> str | None:
        """Return the name of the source's sensor; None if it is unknown, or not to be used.

        Args:
            product: the sensor that made the source, if the source is a product.
        """
        if self.sensor is None:
            return product if self.mtf is None else None
        return None if self.sensor == "none" else self.sensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(PixelOptions):
    """All options of a run from files to a file.

    Raises:
        InputError: a value that its option does not accept.
    """

    uncertainty: Path | None = option(
        None,
        "Write the expected error, per band and in source units, to this file.",
        _path,
    )
    preview: Path | None = option(
        None, "Write the middle of source, cubic and result, side by side, to a PNG file.", _path
    )
    stac: bool = option(
        False, "Also write a STAC item that describes the result: out.json for out.tif.", _flag
    )
    memory: int | None = option(
        None,
        "Memory that a process may use, as in 2GB; it does not change the pixels.",
        _memory,
        unset="half of the machine's",
    )
    format: Format = option("cog", "Cloud-optimised or plain GeoTIFF.", _choice(Format))
    creation: Sequence[str] = option((), "GDAL creation option, KEY=VALUE.", _texts)
    overwrite: bool = option(False, "Replace existing output files.", _flag)
    resume: bool = option(True, "Continue an interrupted run from its finished cells.", _flag)
    scratch: Path | None = option(
        None, "Folder for unfinished work.", _path, unset="next to the result"
    )
