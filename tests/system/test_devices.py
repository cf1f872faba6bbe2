"""Which devices and precisions there are."""

from __future__ import annotations

import pytest
import torch

from rs_superres.errors import InputError
from rs_superres.system.devices import ComputeSettings, resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("abacus", "", "cpu:x", "meta", "cuda:99"):
        with pytest.raises(InputError, match=f"device {name!r}") as caught:
            resolve_device(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("check", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_auto_is_bf16_on_a_processor_that_multiplies_it(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert resolve_precision("auto", CPU) == "fp32"
    monkeypatch.setattr(torch.cpu, check, lambda: True)
    assert resolve_precision("auto", CPU) == "bf16"
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_auto_is_bf16_on_a_gpu_that_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    for there, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation, there=there: there and not including_emulation,
        )
        assert resolve_precision("auto", cuda) == precision
    assert resolve_precision("fp16", cuda) == "fp16"


def test_single_precision_is_single_on_a_gpu() -> None:
    """By torch's default its convolutions would round to TF32 there."""
    told = torch.backends.cudnn.conv  # type: ignore[attr-defined] # no stubs
    before = told.fp32_precision
    with ComputeSettings(steps=0, device=torch.device("cuda"), precision="fp32").computing():
        assert told.fp32_precision == "ieee"
    assert told.fp32_precision == before
