"""A model's configuration: frozen values to and from the TOML beside its weights."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, assert_never, get_args, get_origin, get_type_hints

from rs_superres.errors import ModelError

Kernel = Literal["bicubic", "area", "gaussian"]
"""How a cell of low resolution weighs the pixels under and around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The feature encoder."""

    name: Literal["edsr-baseline", "edsr", "rdn"]
    """Which architecture; the two of EDSR differ but in the sizes that are usual for them."""
    channels: int = 64
    """Feature channels."""
    blocks: int = 16
    """Residual, or residual dense, blocks."""
    residual_scale: float = 1.0
    """Factor on each residual branch (EDSR)."""
    layers: int = 8
    """Convolutions of a dense block (RDN)."""
    growth: int = 64
    """Channels that each of them adds (RDN)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """The Galerkin operator."""

    width: int = 256
    """Channels of a lifted query."""
    heads: int = 16
    """Attention heads of each block."""
    hidden: int = 256
    """Hidden channels of the projection."""
    scales: tuple[float, ...] = ()
    """Magnifications at which contexts are stored; none where they come from the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """The denoising U-Net; see :class:`rs_superres.nets.unet.UNet`."""

    channels: int
    """Channels of the finest level."""
    multipliers: tuple[int, ...]
    """Channels of each level over those of the finest."""
    blocks: int = 1
    """Residual blocks of a level on the way down."""
    norm_groups: int = 0
    """Groups of GroupNorm; 0: each pixel by itself."""
    attention_levels: tuple[int, ...] = ()
    """Levels that attend."""
    middle_attention: bool = False
    """Whether the middle attends."""
    conditions: int = 1
    """Numbers that the network is told."""
    dropout: float = 0.0
    """Dropout while training."""
    patch: int = 1
    """Side of the squares of pixels that the finest level takes for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """How detail is drawn by default."""

    steps: int
    """Evaluations of the denoiser."""
    sigma_max: float = 8.0
    """Noise level of the first evaluation (shipped kind)."""
    sigma_min: float = 0.02
    """Noise level of the last (shipped kind)."""
    rho: float = 7.0
    """How the levels bunch at the low end (Karras et al. 2022, eq. 5)."""
    flat: float = 0.016
    """Contrast of the source, network values, at which half of the detail is kept (2 of 255)."""
    method: Literal["ddim", "dpm-solver"] = "ddim"
    """How the paper's flow is followed: its own way, or to second order (paper kind)."""
    uncertainty_factor: float = 1.0
    """Factor by which the deviation of samples foretells the error best."""
    timesteps: int = 2000
    """T of the paper's schedule (paper kind)."""
    beta_start: float = 1e-6
    """Its first beta."""
    beta_end: float = 1e-2
    """Its last beta."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileConfig:
    """The lattice on which a model works."""

    size: int = 512
    """Side of a lattice cell, output pixels."""
    margin: int = 64
    """Output pixels that the denoiser sees around a cell, and whose result is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedConfig:
    """What the weights were trained on: outside it the tool warns."""

    scales: tuple[float, float]
    """Least and greatest magnification."""
    pixel_size: tuple[float, float] | None = None
    """Least and greatest size of a low-resolution pixel, metres; None where unknown."""
    degradation: str = "bicubic"
    """How low resolution was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyConfig:
    """What brings a result back to its source's grid; see :mod:`rs_superres.image.consistency`."""

    kernel: Kernel = "bicubic"
    """How low resolution was made in training."""
    mtf: float = 0.25
    """Of a Gaussian kernel: its modulation transfer at Nyquist."""
    noise: float = 0.0
    """How far from its source a result may lie, as a share of the value range."""

    def words(self) -> str:
        """One line for tags and cards."""
        kernel = kernel_words(self.kernel, f"{self.mtf:g}")
        return kernel + (f", within {self.noise:.2%} of the value range" if self.noise else "")


def kernel_words(kernel: Kernel, mtf: str) -> str:
    """A kernel by name, a Gaussian's with its modulation transfer at Nyquist."""
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
class ModelConfig:
    """A whole model."""

    kind: Literal["scene", "paper"]
    """``scene``: local, with stored contexts; ``paper``: the release's, statistics per tile."""
    encoder: EncoderConfig
    operator: OperatorConfig
    denoiser: UNetConfig | None
    sampler: SamplerConfig
    tiles: TileConfig
    trained: TrainedConfig
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)

    @property
    def steps(self) -> int:
        """Evaluations of the denoiser by default; none where there is no denoiser."""
        return 0 if self.denoiser is None else self.sampler.steps


T = TypeVar("T")


def read_config(path: Path) -> ModelConfig:
    """Read ``config.toml``.

    Raises:
        ModelError: not there, not TOML, or an unknown, missing or ill-typed key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"cannot read the model's config {path}: {error}") from error
    return from_table(ModelConfig, table, where=path.name)


def from_table(kind: type[T], table: Mapping[str, Any], *, where: str) -> T:
    """Build a dataclass from a TOML table.

    Raises:
        ModelError: an unknown or a missing key, or a value of another type.
    """
    hints = get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise ModelError(f"{where}: unknown key {unknown[0]!r}, expected one of {sorted(hints)}")
    values = {
        name: _convert(hints[name], value, f"{where}: {name}") for name, value in table.items()
    }
    for entry in fields(kind):  # type: ignore[arg-type]  # T is any dataclass
        required = entry.default is MISSING and entry.default_factory is MISSING
        if required and entry.name not in values and type(None) in get_args(hints[entry.name]):
            values[entry.name] = None
    try:
        return kind(**values)
    except TypeError as error:
        raise ModelError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:  # noqa: C901 (a branch a kind of type)
    """A TOML value as the type that a field declares."""
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
    """A configuration as TOML text, tables after values, that :func:`read_config` reads back."""
    return "\n".join(_lines(config, ())) + "\n"


def _lines(config: Any, path: tuple[str, ...]) -> list[str]:
    """The lines of one table and of those under it."""
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
    """One TOML value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(v) for v in value)}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the delete character, which TOML wants escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
