"""The manner in which networks compute: on which device, how precisely, by how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from rs_superres.errors import InputError
from rs_superres.system.settings import ScopedSetting
from rs_superres.system.threads import fixed_threads

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""What networks compute in; ``auto`` is bf16 where the device multiplies it itself."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _convolved() -> str:
    """What convolutions of float32 are computed in on NVIDIA's GPUs."""
    return str(torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined] # no stubs


def _convolve(precision: str) -> None:
    """Set it."""
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined] # no stubs


# By default such convolutions round to the ten bits of TF32, which is not the CPU's picture.
_convolutions = ScopedSetting(_convolved, _convolve)


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first GPU if there is one.

    Raises:
        InputError: no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}, expected auto, cpu, cuda, cuda:1 or mps") from error
    there = {
        "cpu": True,
        "cuda": device.type == "cuda" and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise InputError(f"device {name!r} is not on this machine; use --device cpu")
    return device


def resolve_precision(name: Precision, device: torch.device) -> Precision:
    """The precision that ``auto`` stands for on a device of this machine."""
    if name == "auto":
        return "bf16" if _multiplies_bf16(device) else "fp32"
    return name


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 itself; where it only emulates, float32 is faster."""
    match device.type:
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "cpu":
            # torch has no public names for these, and they may go.
            checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            return any(getattr(torch.cpu, name, bool)() for name in checks)
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSettings:
    """How a network is to compute."""

    steps: int
    """Evaluations of the denoiser."""
    device: torch.device
    """What computes."""
    precision: Precision = "auto"
    """What it computes in."""
    extra_margin: int = 0
    """Output pixels around a cell that are wanted sound too; a model whose tiles have a size of
    their own gives as many as its margin holds."""

    @property
    def dtype(self) -> torch.dtype:
        """Of convolutions and products."""
        return _DTYPES[resolve_precision(self.precision, self.device)]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """How networks are called: by a fixed number of threads, for their results alone."""
        mixed = self.dtype != torch.float32
        with (
            fixed_threads(),
            _convolutions.held("ieee") if self.device.type == "cuda" else nullcontext(),
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=self.dtype, enabled=mixed),
        ):
            yield
