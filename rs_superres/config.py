"""A model's configuration as frozen dataclasses, and functions that read and write it as TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, assert_never, get_args, get_origin, get_type_hints

from rs_superres.errors import ModelError

Kernel = Literal["bicubic", "area", "gaussian"]
"""The downsampling kernels, which weight high-resolution pixels in a low-resolution pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Sizes of the feature encoder; see :mod:`rs_superres.nets.encoders`."""

    name: Literal["edsr-baseline", "edsr", "rdn"]
    """The architecture. Both EDSR names build the same network; only their usual sizes
    differ."""
    channels: int = 64
    """Number of feature channels."""
    blocks: int = 16
    """Number of residual blocks (EDSR) or residual dense blocks (RDN)."""
    residual_scale: float = 1.0
    """Factor on the output of each residual branch (EDSR)."""
    layers: int = 8
    """Number of convolutions in a dense block (RDN)."""
    growth: int = 64
    """Channels that each convolution of a dense block adds (RDN)."""
    source_aware: bool = False
    """True if the features also depend on the scale, and on the blur and noise of the source
    (EDSR)."""

    def __post_init__(self) -> None:
        if self.source_aware and self.name == "rdn":
            raise ModelError("encoder: source_aware = true needs an EDSR, this one is an RDN")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """Sizes of the neural operator; see :mod:`rs_superres.nets.galerkin`."""

    width: int = 256
    """Number of channels of a lifted query."""
    heads: int = 16
    """Number of attention heads in each block."""
    hidden: int = 256
    """Number of hidden channels in the projection."""
    scales: tuple[float, ...] = ()
    """Scales at which contexts are stored, increasing; empty if contexts come from the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Sizes of the denoising U-Net; see :class:`rs_superres.nets.unet.UNet`."""

    channels: int
    """Number of channels of the finest level."""
    multipliers: tuple[int, ...]
    """Number of channels of each level, as a multiple of the finest level's; finest first."""
    blocks: int = 1
    """Number of residual blocks per level on the way down."""
    norm_groups: int = 16
    """Number of groups of GroupNorm."""
    attention_levels: tuple[int, ...] = ()
    """Indices of the levels with self-attention; 0 is the finest."""
    middle_attention: bool = False
    """True if the first of the two middle blocks has self-attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextureConfig:
    """Sizes of the texture's networks; see :mod:`rs_superres.nets.texture`."""

    channels: int = 128
    """Number of channels of the network that turns noise into detail."""
    blocks: int = 6
    """Number of its residual blocks."""
    spread_channels: int = 64
    """Number of channels of the network that predicts how much detail is missing."""
    spread_blocks: int = 4
    """Number of its residual blocks."""
    patch: int = 4
    """Side in pixels of the squares that become sub-bands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """Defaults of the diffusion sampler; see :mod:`rs_superres.diffusion`."""

    steps: int
    """Number of evaluations of the denoiser."""
    texture: float = 1.0
    """Strength of the drawn texture: 1 for a complete sample, 0 for the operator alone (kind
    ``scene``)."""
    method: Literal["ddim", "dpm-solver"] = "ddim"
    """The sampler (kind ``paper``): DDIM as in the paper, or the second-order DPM-Solver++(2M)."""
    uncertainty_factor: float = 1.0
    """Factor that fits the predicted standard deviation, or that of the samples, to the RMS
    error."""
    timesteps: int = 2000
    """Number of steps T of the noise schedule (kind ``paper``)."""
    beta_start: float = 1e-6
    """First beta of the noise schedule (kind ``paper``)."""
    beta_end: float = 1e-2
    """Last beta of the noise schedule (kind ``paper``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileConfig:
    """Sizes of the lattice of cells; see :mod:`rs_superres.grid.lattice`."""

    size: int = 512
    """Largest side of a cell, in output pixels."""
    margin: int = 64
    """Margin in output pixels that the denoiser computes around a cell and drops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedConfig:
    """The data that the weights were trained on; a run outside these ranges issues a warning."""

    scales: tuple[float, float]
    """Smallest and largest scale."""
    pixel_size: tuple[float, float] | None = None
    """Smallest and largest low-resolution pixel, in metres; None if unknown."""
    degradation: str = "bicubic"
    """Description of the downsampling that made the low-resolution images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyConfig:
    """The downsampling that a result must reproduce; see :mod:`rs_superres.image.consistency`."""

    kernel: Kernel = "bicubic"
    """The kernel that made the low-resolution images in training."""
    mtf: float = 0.25
    """Modulation transfer of a Gaussian kernel at the low resolution's Nyquist frequency, above 0
    and below 1."""
    noise: float = 0.0
    """Difference between downsampled result and source that the correction may leave, as a share of
    the value range."""

    def words(self) -> str:
        """Return a description of the kernel and the noise level, for tags and cards."""
        kernel = kernel_words(self.kernel, f"{self.mtf:g}")
        return kernel + (f", within {self.noise:.2%} of the value range" if self.noise else "")

    @classmethod
    def from_words(cls, words: str) -> ConsistencyConfig | None:
        """Return the kernel that :meth:`words` describes, without its noise level.

        Args:
            words: a description, which more may follow after a comma.

        Returns:
            The kernel; None if ``words`` describe none.
        """
        for kernel in get_args(Kernel):
            match = re.fullmatch(
                kernel_words(kernel, r"(?P<mtf>0\.\d*[1-9]\d*)"), words.split(",", maxsplit=1)[0]
            )
            if match is not None:
                mtf = match.groupdict().get("mtf")
                return cls(kernel=kernel) if mtf is None else cls(kernel=kernel, mtf=float(mtf))
        return None


def kernel_words(kernel: Kernel, mtf: str) -> str:
    """Return the English name of a kernel.

    Args:
        kernel: the kernel.
        mtf: the modulation transfer at Nyquist as text, which a Gaussian's name includes.
    """
    match kernel:
        case "bicubic":
            return "antialiased bicubic"
        case "area":
            return "area mean"
        case "gaussian":
            return f"Gaussian with an MTF of {mtf}"
        case _:
            assert_never(kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuality:
    """Blur and noise of a source, as far as they are known."""

    mtf: float | None = None
    """Modulation transfer from result to source at the source's Nyquist frequency: that of the
    Gaussian which passes as much at half of this frequency. Above 1 for a sharpened source; None
    if unknown."""
    noise: float | None = None
    """Standard deviation of the errors in the source's values, such as sensor noise and compression
    artefacts, network values; None if unknown."""


UNKNOWN = SourceQuality()
"""The quality of a source of which nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The complete configuration of a model, as ``config.toml`` holds it."""

    kind: Literal["scene", "paper"]
    """``scene``: the networks of rs-sr, which are local and use stored contexts. ``paper``: the
    published networks, which compute statistics over each cell."""
    encoder: EncoderConfig
    operator: OperatorConfig
    denoiser: UNetConfig | None
    """The denoising U-Net (kind ``paper``); None for a prior alone."""
    sampler: SamplerConfig
    tiles: TileConfig
    trained: TrainedConfig
    texture: TextureConfig | None = None
    """The networks that draw texture (kind ``scene``); None for a prior alone."""
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)

    def __post_init__(self) -> None:
        if self.texture is not None and self.kind != "scene":
            raise ModelError(
                f'a model of the kind "{self.kind}" cannot have [texture]; remove this table'
            )
        if self.denoiser is not None and self.kind != "paper":
            raise ModelError(
                f'a model of the kind "{self.kind}" cannot have [denoiser], a U-Net that earlier '
                "versions drew detail with; train its texture with rs-sr train"
            )

    @property
    def is_prior_alone(self) -> bool:
        """Whether the model has no network for diffusion."""
        return self.denoiser is None and self.texture is None

    @property
    def predicts_error(self) -> bool:
        """Whether the model predicts the error of its prior."""
        return self.texture is not None

    @property
    def steps(self) -> int:
        """Default number of evaluations of the denoiser; 0 if the model has none."""
        return 0 if self.is_prior_alone else self.sampler.steps

    def prior_alone(self) -> ModelConfig:
        """Return the configuration of the model's prior, without diffusion."""
        return replace(self, denoiser=None, texture=None)


T = TypeVar("T")

DEEPEST = 2**10
"""The largest number of blocks, of layers, and of entries of an array."""

_BOUNDED = (
    EncoderConfig,
    OperatorConfig,
    UNetConfig,
    TextureConfig,
    SamplerConfig,
    TileConfig,
    TrainedConfig,
    ConsistencyConfig,
)
"""The tables of a model, whose numbers become memory, time and divisors."""

_BOUNDS: dict[str, tuple[float, float]] = {
    "blocks": (0, DEEPEST),
    "spread_blocks": (0, DEEPEST),
    "texture": (0, 1),
    "layers": (0, DEEPEST),
    "size": (1, 2**16),
    "margin": (0, 2**12),
    "mtf": (1e-6, 1 - 1e-6),
    "noise": (0, 1),
}
"""The smallest and largest value by key of these tables; :data:`_USUAL` for all other numbers."""

_USUAL = (0, 2**16)


def read_config(path: Path) -> ModelConfig:
    """Read a model's ``config.toml``.

    Raises:
        ModelError: the file is missing or is not TOML, or a key is unknown, missing or has a value
            of the wrong type.
    """
    return from_table(ModelConfig, read_toml(path, "the model's config"), where=path.name)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file.
        what: what the file holds, for the error message.

    Raises:
        ModelError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    # Text that is not UTF-8 or not TOML, or has a number of thousands of digits, is a ValueError.
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot read {what} {path}: {reason}") from error


def from_table(cls: type[T], table: Mapping[str, Any], *, where: str) -> T:
    """Build a dataclass from a TOML table.

    A missing key takes the field's default. A field that may be None and has no default is None.

    Args:
        cls: the dataclass. Fields that are dataclasses are read from nested tables.
        table: the parsed TOML.
        where: where the table is, such as a file name; messages begin with it.

    Raises:
        ModelError: a key is unknown or missing, or has a value of the wrong type.
    """
    hints = get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise ModelError(f"{where}: unknown key {unknown[0]!r}, expected one of {sorted(hints)}")
    values = {
        name: _convert(hints[name], value, f"{where}: {name}") for name, value in table.items()
    }
    for entry in fields(cls):  # type: ignore[arg-type]  # T is any dataclass
        required = entry.default is MISSING and entry.default_factory is MISSING
        if required and entry.name not in values and type(None) in get_args(hints[entry.name]):
            values[entry.name] = None
    if cls in _BOUNDED:
        _check_bounds(values, where)
    try:
        return cls(**values)
    except TypeError as error:
        raise ModelError(f"{where}: {error}") from error


def _check_bounds(values: Mapping[str, Any], where: str) -> None:
    """Refuse numbers that no model has; a configuration may come from a stranger.

    Raises:
        ModelError: a number is NaN or out of its range, or an array is too long.
    """
    for name, value in values.items():
        numbers = value if isinstance(value, tuple) else (value,)
        if len(numbers) > DEEPEST:
            raise ModelError(f"{where}: {name}: {len(numbers)} values, expected at most {DEEPEST}")
        low, high = _BOUNDS.get(name, _USUAL)
        for number in numbers:
            if isinstance(number, int | float) and not low <= number <= high:
                raise ModelError(
                    f"{where}: {name}: {number}, expected a number from {low:g} to {high:g}"
                )


def _convert(hint: Any, value: Any, where: str) -> Any:  # noqa: C901 (one branch for each kind of type)
    """Convert a TOML value to the type that a field declares.

    Raises:
        ModelError: the value has another type; the message begins with ``where``.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ModelError(f"{where}: {value!r} is not a table")
        return from_table(hint, value, where=where)
    if origin is Literal:
        if value not in arguments:
            raise ModelError(f"{where}: {value!r}, expected one of {list(arguments)}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ModelError(f"{where}: {value!r} is not an array")
        kinds = arguments[:1] * len(value) if Ellipsis in arguments else arguments
        if len(kinds) != len(value):
            raise ModelError(f"{where}: {len(value)} values, expected {len(kinds)}")
        return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ModelError(f"{where}: {value!r} is not of type {hint.__name__}")
    return value


def to_toml(config: object) -> str:
    """Return a configuration as TOML text that :func:`read_config` reads back.

    Fields that are None are left out.

    Args:
        config: a dataclass; fields that are dataclasses become tables, after all plain values.
    """
    return "\n".join(_lines(config, ())) + "\n"


def _lines(config: Any, path: tuple[str, ...]) -> list[str]:
    """Return the lines of the table at ``path`` and of the tables within it."""
    values = [(f.name, getattr(config, f.name)) for f in fields(config)]
    lines = [f"\n[{'.'.join(path)}]"] if path else []
    lines += [
        f"{name} = {_literal(value)}"
        for name, value in values
        if value is not None and not is_dataclass(value)
    ]
    for name, value in values:
        if is_dataclass(value):
            lines += _lines(value, (*path, name))
    return lines


def _literal(value: Any) -> str:
    """Return a value as a TOML literal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(v) for v in value)}]"
    if isinstance(value, str):
        # JSON escapes the same characters as TOML, except for the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
