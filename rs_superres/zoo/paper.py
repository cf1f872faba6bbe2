"""The checkpoint file of the paper's release: its tensors, their names and what their shapes tell.

Spec section 4. The file is a pickle from a stranger: it is read with ``weights_only=True``, which
builds tensors and containers and calls nothing else, and each tensor is checked before its use.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from rs_superres.config import (
    EncoderConfig,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TileConfig,
    TrainedConfig,
    UNetConfig,
)
from rs_superres.errors import ModelError

PRIOR_NAMES = (
    (r"encoder\.head\.0", r"encoder.head"),
    (r"encoder\.body\.(\d+)\.body\.0", r"encoder.blocks.\1.first"),
    (r"encoder\.body\.(\d+)\.body\.2", r"encoder.blocks.\1.second"),
    (r"encoder\.body\.\d+", r"encoder.tail"),
    (r"encoder\.SFENet1", r"encoder.shallow"),
    (r"encoder\.SFENet2", r"encoder.entry"),
    (r"encoder\.RDBs\.(\d+)\.convs\.(\d+)\.conv\.0", r"encoder.blocks.\1.layers.\2"),
    (r"encoder\.RDBs\.(\d+)\.LFF", r"encoder.blocks.\1.fusion"),
    (r"encoder\.GFF\.0", r"encoder.fusion"),
    (r"encoder\.GFF\.1", r"encoder.tail"),
    (r"conv00", r"operator.lift"),
    (r"conv([01])\.qkv_proj", r"operator.attention.\1.qkv"),
    (r"conv([01])\.o_proj1", r"operator.attention.\1.first"),
    (r"conv([01])\.o_proj2", r"operator.attention.\1.second"),
    (r"conv([01])\.kln", r"operator.attention.\1.key_norm"),
    (r"conv([01])\.vln", r"operator.attention.\1.value_norm"),
    (r"fc1", r"operator.hidden"),
    (r"fc2", r"operator.output"),
)
"""Theirs and ours, for the names of the prior less ``srno.`` and less ``.weight`` or ``.bias``."""

UNET_NAMES = (
    (r"noise_level_mlp\.1", r"embedding.first"),
    (r"noise_level_mlp\.3", r"embedding.second"),
    (r"downs\.0", r"stem"),
    (r"final_conv\.block\.0", r"head.norm"),
    (r"final_conv\.block\.3", r"head.conv"),
)
"""The same for the names of the U-Net's ends, less ``Unet.``."""

LAYER_NAMES = {
    "res_block.noise_func.noise_func.0": "shift",
    "res_block.block1.block.0": "first.norm",
    "res_block.block1.block.3": "first.conv",
    "res_block.block2.block.0": "second.norm",
    "res_block.block2.block.3": "second.conv",
    "res_block.res_conv": "skip",
    "attn.norm": "attention.norm",
    "attn.qkv": "attention.qkv",
    "attn.out": "attention.out",
    "conv": "conv",
}
"""The same within one block or sampling of the U-Net."""

UNUSED = re.compile(r"(srno\.)?encoder\.(sub|add)_mean\.(weight|bias)")
"""Stand in the file of an EDSR; its forward pass skips them."""


def read_paper_checkpoint(
    path: Path, weights: Literal["ema", "raw"]
) -> tuple[dict[str, Tensor], str]:
    """The tensors of a public checkpoint under our names.

    Args:
        path: a list of 5, or a dict whose key ``model`` holds the prior alone.
        weights: which of the two sets a list holds; the prior alone has one.

    Returns:
        The tensors, float32 on the CPU, as :func:`rs_superres.nets.build.paper_network` names
        them; and the set that they are, in words.

    Raises:
        ModelError: not such a file, or a damaged one. Nothing in it is executed.
    """
    match _unpickled(path):
        case [dict() as raw, _, _, _, dict() as shadow]:
            if weights == "raw":
                return _renamed(path, raw), "raw"
            # The shadow holds trainable parameters alone: the rest comes from the model's state.
            return _renamed(path, {**raw, **shadow}), "EMA"
        case {"model": dict() as prior}:
            return _renamed(path, prior), "the only ones in the file"
    raise ModelError(
        f"{path}: not a NeurOp-Diff checkpoint: expected a list of 5 (model, optimizer, epoch, "
        "step, EMA), or a dict with the key 'model'"
    )


def _unpickled(path: Path) -> Any:
    """What a file of ``torch.save`` holds, tensors and containers only."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        with file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    # A broken pickle raises whatever its bytes lead to, and torch's own texts advise to load the
    # file with weights_only=False, which is the one thing not to do with it.
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            message = f"holds more than tensors: it asks to run {code[1]}; nothing was executed"
        else:
            message = "not a checkpoint, or a damaged or truncated one"
        raise ModelError(f"{path}: {message}") from error


def _renamed(path: Path, state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """A state dict under our names.

    Raises:
        ModelError: an unknown name, or a value that is no usable tensor.
    """
    whole = any(str(name).startswith("Unet.") for name in state)
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if UNUSED.fullmatch(str(name)):
            continue
        ours = _our_name(str(name))
        if ours and whole and not ours.startswith("unet."):
            ours = f"prior.{ours}"
        if ours is None or ours in tensors:
            raise ModelError(f"{path}: tensor {name!r} is none of a NeurOp-Diff checkpoint")
        if not _usable(value):
            raise ModelError(f"{path}: {name!r} is not a dense tensor of real numbers")
        # Ours are linear maps of a query, theirs 1x1 convolutions.
        linear = "operator." in ours and value.shape[2:] == (1, 1)
        tensors[ours] = (value.flatten(1) if linear else value).float()
    return tensors


def _our_name(name: str) -> str | None:
    """The name of one tensor in our networks; None where it has none."""
    stem, _, leaf = name.rpartition(".")
    if leaf not in ("weight", "bias"):
        return None
    if stem.startswith("Unet."):
        layer = _unet_layer(stem.removeprefix("Unet."))
        return layer and f"unet.{layer}.{leaf}"
    layer = _translated(stem.removeprefix("srno."), PRIOR_NAMES)
    return layer and f"{layer}.{leaf}"


def _unet_layer(stem: str) -> str | None:
    """Our name of a layer of the U-Net."""
    end = _translated(stem, UNET_NAMES)
    match = re.fullmatch(r"(downs|mid|ups)\.(\d+)\.(.+)", stem)
    if end or not match or match[3] not in LAYER_NAMES:
        return end
    side, number = match[1], int(match[2])
    if side == "downs":
        number -= 1  # theirs counts the stem, which ours keeps apart
    place = {"downs": "down", "mid": "middle", "ups": "up"}[side]
    return f"{place}.{number}.{LAYER_NAMES[match[3]]}"


def _translated(stem: str, names: tuple[tuple[str, str], ...]) -> str | None:
    """``stem`` by the first pattern that it matches as a whole."""
    for theirs, ours in names:
        match = re.fullmatch(theirs, stem)
        if match:
            return match.expand(ours)
    return None


def _usable(value: Any) -> bool:
    """Whether a value is a plain tensor that really has as many numbers as its shape says."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and value.is_floating_point()
        and value.numel() > 0
        and value.is_contiguous()
    )


def paper_config(path: Path, tensors: Mapping[str, Tensor], norm_groups: int) -> ModelConfig:
    """The configuration that a checkpoint's shapes tell.

    Args:
        path: of the file, for messages.
        tensors: under our names.
        norm_groups: groups of the U-Net's GroupNorm, the one size that no shape tells.

    Raises:
        ModelError: a tensor that gives a size is missing, or the groups do not divide the channels.
    """
    whole = any(name.startswith("unet.") for name in tensors)
    prior = _part(tensors, "prior.") if whole else tensors
    denoiser = _unet(path, _part(tensors, "unet."), norm_groups) if whole else None
    lift = _shape(path, prior, "operator.lift.weight", 2)
    heads = _shape(path, prior, "operator.attention.0.key_norm.weight", 3)
    hidden = _shape(path, prior, "operator.hidden.weight", 2)
    if lift[0] % heads[0]:
        raise ModelError(f"{path}: {heads[0]} heads do not divide the width {lift[0]}")
    return ModelConfig(
        kind="paper",
        encoder=_encoder(path, _part(prior, "encoder.")),
        operator=OperatorConfig(width=lift[0], heads=heads[0], hidden=hidden[0]),
        denoiser=denoiser,
        sampler=SamplerConfig(steps=20 if whole else 0, method="dpm-solver"),
        tiles=TileConfig(size=192, margin=32),  # with its margins, the paper's crop of 256
        trained=TrainedConfig(scales=(1.0, 8.0), degradation="bicubic"),
    )


def _encoder(path: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """The encoder by the tensors that only it has."""
    blocks = _count(tensors, r"blocks\.(\d+)\..*")
    if "shallow.weight" in tensors:
        growth = _shape(path, tensors, "blocks.0.layers.0.weight", 4)
        channels = _shape(path, tensors, "shallow.weight", 4)[0]
        layers = _count(tensors, r"blocks\.0\.layers\.(\d+)\..*")
        return EncoderConfig(
            name="rdn", channels=channels, blocks=blocks, layers=layers, growth=growth[0]
        )
    channels = _shape(path, tensors, "head.weight", 4)[0]
    # No shape tells the factor on EDSR's residual branches; it goes with these sizes.
    if (blocks, channels) == (32, 256):
        return EncoderConfig(name="edsr", channels=channels, blocks=blocks, residual_scale=0.1)
    return EncoderConfig(name="edsr-baseline", channels=channels, blocks=blocks)


def _unet(path: Path, tensors: Mapping[str, Tensor], norm_groups: int) -> UNetConfig:
    """The U-Net: its way down, layer by layer, gives the levels and which of them attend."""
    channels = _shape(path, tensors, "stem.weight", 4)[0]
    widths, attending, blocks = [0], set(), 0
    for i in range(_count(tensors, r"down\.(\d+)\..*")):
        if f"down.{i}.conv.weight" in tensors:
            widths.append(0)
            continue
        widths[-1] = _shape(path, tensors, f"down.{i}.first.conv.weight", 4)[0]
        blocks += len(widths) == 1
        if f"down.{i}.attention.qkv.weight" in tensors:
            attending.add(len(widths) - 1)
    for name, tensor in tensors.items():
        if name.endswith("norm.weight") and (norm_groups < 1 or len(tensor) % norm_groups):
            raise ModelError(
                f"{path}: {norm_groups} norm groups do not divide {len(tensor)} channels"
            )
    return UNetConfig(
        channels=channels,
        multipliers=tuple(width // channels for width in widths),
        blocks=blocks,
        norm_groups=norm_groups,
        attention_levels=tuple(sorted(attending)),
        middle_attention="middle.0.attention.qkv.weight" in tensors,
        dropout=0.2,
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers the names that match have."""
    matches = (re.fullmatch(pattern, name) for name in tensors)
    return len({match[1] for match in matches if match})


def _shape(path: Path, tensors: Mapping[str, Tensor], name: str, rank: int) -> tuple[int, ...]:
    """The shape of a tensor that gives a size."""
    if name not in tensors:
        raise ModelError(f"{path}: not a NeurOp-Diff checkpoint: it lacks {name} (our name)")
    shape = tuple(tensors[name].shape)
    if len(shape) != rank:
        raise ModelError(f"{path}: {name} (our name) has {len(shape)} dimensions, expected {rank}")
    return shape
