"""Devices and precisions: which are accepted, what auto resolves to, what torch is set to."""

from __future__ import annotations

import pytest
import torch

from rs_superres.errors import InputError
from rs_superres.system.devices import ComputeSettings, resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_known_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "", "cpu:x"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_device(name)
    assert str(caught.value) == f"device={name!r}, expected auto, cpu, cuda, cuda:1 or mps"


@pytest.mark.parametrize("name", ["meta", "cuda:99"])
def test_missing_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_device(name)
    assert str(caught.value) == f"device={name!r} is not on this machine; use device=cpu"


@pytest.mark.parametrize("check", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_auto_is_bf16_on_a_cpu_that_multiplies_bf16(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert resolve_precision("auto", CPU) == "fp32"
    monkeypatch.setattr(torch.cpu, check, lambda: True)
    assert resolve_precision("auto", CPU) == "bf16"
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_auto_is_bf16_on_a_gpu_that_multiplies_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    for supported, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation, supported=supported: supported and not including_emulation,
        )
        assert resolve_precision("auto", cuda) == precision
    assert resolve_precision("fp16", cuda) == "fp16"


def test_fp32_convolutions_do_not_round_to_tf32_on_a_gpu() -> None:
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined] # no stubs
    before = convolution.fp32_precision
    with ComputeSettings(steps=0, device=torch.device("cuda"), precision="fp32").computing():
        assert convolution.fp32_precision == "ieee"
    assert convolution.fp32_precision == before
