"""Read checkpoints of NeurOp-Diff's public code (arXiv 2501.09054).

Such a file is written by ``torch.save``. It holds a list of 5: model state, optimizer state, epoch,
step and the averaged (EMA) weights; or, for the prior alone, a dict with the key ``model``. This
module translates the names of its tensors to those of our networks, and derives the model's
configuration from their shapes.

The file is a pickle from an unknown source. It is read with ``weights_only=True``, which only
builds tensors and containers, and each tensor is checked before use.
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
"""Patterns of the paper's names for layers of the prior, and our names for them. The names are
without ``srno.`` and without ``.weight`` or ``.bias``."""

UNET_NAMES = (
    (r"noise_level_mlp\.1", r"embedding.first"),
    (r"noise_level_mlp\.3", r"embedding.second"),
    (r"downs\.0", r"stem"),
    (r"final_conv\.block\.0", r"head.norm"),
    (r"final_conv\.block\.3", r"head.conv"),
)
"""Patterns of the paper's names for the first and last layers of the U-Net, without ``Unet.``, and
our names for them."""

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
"""The paper's names for layers within a block, downsampling or upsampling of the U-Net, and our
names for them."""

UNUSED = re.compile(r"(srno\.)?encoder\.(sub|add)_mean\.(weight|bias)")
"""Layers of EDSR that are in the file, but that its forward pass does not use."""


def read_paper_checkpoint(
    path: Path, weights: Literal["ema", "raw"]
) -> tuple[dict[str, Tensor], str]:
    """Read the tensors of a paper checkpoint under our names, without executing code in it.

    Args:
        path: the ``.pth`` file.
        weights: the averaged (``ema``) or the ``raw`` weights. A file with the prior alone has
            only one set.

    Returns:
        The tensors, float32 on the CPU, with the names of
        :func:`rs_superres.nets.build.paper_network`; and a description of the set for the card.

    Raises:
        ModelError: the file is not such a checkpoint, or is damaged.
    """
    match _unpickle(path):
        case [dict() as raw, _, _, _, dict() as averaged]:
            if weights == "raw":
                return _rename(path, raw), "raw"
            # The averaged weights are trainable parameters only; the rest is in the model state.
            return _rename(path, {**raw, **averaged}), "EMA"
        case {"model": dict() as prior}:
            return _rename(path, prior), "the only ones in the file"
    raise ModelError(
        f"{path}: not a NeurOp-Diff checkpoint: expected a list of 5 (model, optimizer, epoch, "
        "step, EMA), or a dict with the key 'model'"
    )


def _unpickle(path: Path) -> Any:
    """Load a file of ``torch.save`` that holds only tensors and containers."""
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
    # A broken pickle can raise any exception. torch's own messages advise weights_only=False, which
    # would execute code in the file.
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            message = f"holds code ({code[1]}), expected tensors only; nothing was executed"
        else:
            message = "not a checkpoint, or a damaged or truncated one"
        raise ModelError(f"{path}: {message}") from error


def _rename(path: Path, state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return a state dict under our names.

    Raises:
        ModelError: a name is unknown, or a value is not a usable tensor.
    """
    has_unet = any(str(name).startswith("Unet.") for name in state)
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if UNUSED.fullmatch(str(name)):
            continue
        ours = _our_name(str(name))
        if ours and has_unet and not ours.startswith("unet."):
            ours = f"prior.{ours}"
        if ours is None or ours in tensors:
            raise ModelError(f"{path}: tensor {name!r} does not belong to a NeurOp-Diff checkpoint")
        if not _usable(value):
            raise ModelError(f"{path}: {name!r} is not a dense tensor of real numbers")
        # The paper's operator uses 1x1 convolutions where ours uses linear layers.
        linear = "operator." in ours and value.shape[2:] == (1, 1)
        tensors[ours] = (value.flatten(1) if linear else value).float()
    return tensors


def _our_name(name: str) -> str | None:
    """Return the name of a tensor in our networks; None if it is unknown."""
    stem, _, leaf = name.rpartition(".")
    if leaf not in ("weight", "bias"):
        return None
    if stem.startswith("Unet."):
        layer = _unet_layer(stem.removeprefix("Unet."))
        return layer and f"unet.{layer}.{leaf}"
    layer = _translate(stem.removeprefix("srno."), PRIOR_NAMES)
    return layer and f"{layer}.{leaf}"


def _unet_layer(stem: str) -> str | None:
    """Return our name of a layer of the U-Net; None if it is unknown."""
    end = _translate(stem, UNET_NAMES)
    match = re.fullmatch(r"(downs|mid|ups)\.(\d+)\.(.+)", stem)
    if end or not match or match[3] not in LAYER_NAMES:
        return end
    side, number = match[1], int(match[2])
    if side == "downs":
        number -= 1  # the paper counts the stem as layer 0
    part = {"downs": "down", "mid": "middle", "ups": "up"}[side]
    return f"{part}.{number}.{LAYER_NAMES[match[3]]}"


def _translate(stem: str, names: tuple[tuple[str, str], ...]) -> str | None:
    """Translate a name by the first pattern that matches all of it; None if none does."""
    for pattern, replacement in names:
        match = re.fullmatch(pattern, stem)
        if match:
            return match.expand(replacement)
    return None


def _usable(value: Any) -> bool:
    """Return whether a value is a dense, non-empty tensor of floats on the CPU.

    An expanded tensor is not: its shape can claim more numbers than the file holds.
    """
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and value.is_floating_point()
        and value.numel() > 0
        and value.is_contiguous()
    )


def paper_config(path: Path, tensors: Mapping[str, Tensor], norm_groups: int) -> ModelConfig:
    """Derive a model's configuration from the shapes of its tensors.

    Args:
        path: the checkpoint file, for messages.
        tensors: the tensors under our names.
        norm_groups: groups of the U-Net's GroupNorm, the only size that no shape reveals.

    Raises:
        ModelError: a tensor that determines a size is missing, or the groups do not divide the
            channels.
    """
    has_unet = any(name.startswith("unet.") for name in tensors)
    prior = _subset(tensors, "prior.") if has_unet else tensors
    denoiser = _unet_config(path, _subset(tensors, "unet."), norm_groups) if has_unet else None
    lift = _shape(path, prior, "operator.lift.weight", 2)
    heads = _shape(path, prior, "operator.attention.0.key_norm.weight", 3)
    hidden = _shape(path, prior, "operator.hidden.weight", 2)
    if lift[0] % heads[0]:
        raise ModelError(f"{path}: {heads[0]} heads do not divide the width {lift[0]}")
    return ModelConfig(
        kind="paper",
        encoder=_encoder_config(path, _subset(prior, "encoder.")),
        operator=OperatorConfig(width=lift[0], heads=heads[0], hidden=hidden[0]),
        denoiser=denoiser,
        sampler=SamplerConfig(steps=20 if has_unet else 0, method="dpm-solver"),
        tiles=TileConfig(size=192, margin=32),  # 192 + 2 x 32 = 256, the paper's crop
        trained=TrainedConfig(scales=(1.0, 8.0), degradation="bicubic"),
    )


def _encoder_config(path: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Derive the encoder: RDN if it has RDN's shallow layer, EDSR otherwise."""
    blocks = _count(tensors, r"blocks\.(\d+)\..*")
    if "shallow.weight" in tensors:
        growth = _shape(path, tensors, "blocks.0.layers.0.weight", 4)
        channels = _shape(path, tensors, "shallow.weight", 4)[0]
        layers = _count(tensors, r"blocks\.0\.layers\.(\d+)\..*")
        return EncoderConfig(
            name="rdn", channels=channels, blocks=blocks, layers=layers, growth=growth[0]
        )
    channels = _shape(path, tensors, "head.weight", 4)[0]
    # No shape reveals the factor on EDSR's residual branches; 0.1 belongs to these sizes.
    if (blocks, channels) == (32, 256):
        return EncoderConfig(name="edsr", channels=channels, blocks=blocks, residual_scale=0.1)
    return EncoderConfig(name="edsr-baseline", channels=channels, blocks=blocks)


def _unet_config(path: Path, tensors: Mapping[str, Tensor], norm_groups: int) -> UNetConfig:
    """Derive the U-Net's levels, and which of them attend, from the layers of its way down."""
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
    )


def _subset(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with a prefix, named without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """Count the different numbers that a pattern's group matches in the names."""
    matches = (re.fullmatch(pattern, name) for name in tensors)
    return len({match[1] for match in matches if match})


def _shape(path: Path, tensors: Mapping[str, Tensor], name: str, rank: int) -> tuple[int, ...]:
    """Return the shape of a tensor that determines a size.

    Raises:
        ModelError: the tensor is missing, or does not have ``rank`` dimensions.
    """
    if name not in tensors:
        raise ModelError(f"{path}: not a NeurOp-Diff checkpoint: it lacks {name} (our name)")
    shape = tuple(tensors[name].shape)
    if len(shape) != rank:
        raise ModelError(f"{path}: {name} (our name) has {len(shape)} dimensions, expected {rank}")
    return shape
