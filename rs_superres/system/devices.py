"""The device, the precision and the threads that networks compute with."""

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
"""The precision of networks; ``auto`` is bf16 if the device multiplies it in hardware, else fp32.
"""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _get_convolution_precision() -> str:
    """Return the precision in which NVIDIA GPUs convolve float32."""
    return str(torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined] # no stubs


def _set_convolution_precision(precision: str) -> None:
    """Set the precision in which NVIDIA GPUs convolve float32."""
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined] # no stubs


# By default these convolutions round to the 10 mantissa bits of TF32, unlike those on a CPU.
_convolution_precision = ScopedSetting(_get_convolution_precision, _set_convolution_precision)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the first CUDA GPU, or the CPU without one.

    Raises:
        InputError: the name is not that of a device, or this machine does not have the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device={name!r}, expected auto, cpu, cuda, cuda:1 or mps") from error
    available = {
        "cpu": True,
        "cuda": device.type == "cuda" and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        raise InputError(f"device={name!r} is not on this machine; use device=cpu")
    return device


def resolve_precision(name: Precision, device: torch.device) -> Precision:
    """Return a precision with ``auto`` replaced by bf16 or fp32, whichever suits the device."""
    if name == "auto":
        return "bf16" if _multiplies_bf16(device) else "fp32"
    return name


def _multiplies_bf16(device: torch.device) -> bool:
    """Return True if a device multiplies bf16 in hardware; if it emulates it, fp32 is faster."""
    match device.type:
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "cpu":
            # torch has no public names for these checks and may remove them.
            checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            return any(getattr(torch.cpu, name, bool)() for name in checks)
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSettings:
    """The settings that the networks of a run compute with."""

    steps: int
    """Number of evaluations of the denoiser; 0 uses the operator alone."""
    device: torch.device
    """The device that the networks are on."""
    ensemble: int = 1
    """Orientations of an image that the operator sees and averages."""
    uncertainty: bool = False
    """True if a network that can predicts the expected error too."""
    precision: Precision = "auto"
    """The precision of convolutions and matrix products."""
    extra_margin: int = 0
    """Output pixels around a cell that must be valid too, for consistency and limits. A model
    with tiles of a fixed size provides at most its own margin."""

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype of convolutions and matrix products, with ``auto`` resolved."""
        return _DTYPES[resolve_precision(self.precision, self.device)]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set up torch for network calls while the block runs.

        The block uses a fixed number of threads, records no gradients, and runs in mixed precision
        unless the precision is fp32. NVIDIA GPUs convolve float32 in float32, not in TF32.
        """
        mixed = self.dtype != torch.float32
        with (
            fixed_threads(),
            _convolution_precision.held("ieee") if self.device.type == "cuda" else nullcontext(),
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=self.dtype, enabled=mixed),
        ):
            yield
