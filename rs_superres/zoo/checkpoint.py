"""Weights on disk: safetensors for our networks, and the way in for the paper's checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from rs_superres.config import ModelConfig, to_toml
from rs_superres.errors import ModelError
from rs_superres.nets.build import paper_network
from rs_superres.system.files import atomic_folder, atomic_write
from rs_superres.zoo.paper import paper_config, read_paper_checkpoint

CONFIG, WEIGHTS, CARD = "config.toml", "weights.safetensors", "card.md"
"""The files of a model folder."""


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the state of a network, whole or not at all.

    Args:
        module: parameters and buffers on any device, in any memory format.
        path: replaced if it is there.
    """
    # Plain layout: safetensors refuses channels-last, and the bytes must not depend on it.
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()
    }
    with atomic_write(path) as temporary:
        # Not safetensors' save_file, which makes files that only their owner can read.
        temporary.write_bytes(save(tensors))


def load_weights(module: nn.Module, path: Path) -> None:
    """Read weights into a network that they fit exactly.

    Raises:
        ModelError: no such file, not safetensors, truncated, or a tensor too many, too few or of
            another shape, or tables of other scales.
    """
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not safetensors, or damaged or truncated: {error}") from error
    _check(module, tensors, path)
    module.load_state_dict(tensors)


def _check(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not exactly those of a network."""
    expected = module.state_dict()
    for what, names in (
        ("lacks tensor", expected.keys() - tensors.keys()),
        ("has an unknown tensor", tensors.keys() - expected.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(f"{path}: {what} {min(names)}{more}")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
            raise ModelError(f"{path}: tensor {name} has the shape {shapes}")
        if name.endswith("_scales") and not torch.equal(tensor.cpu(), tensors[name]):
            found, told = (", ".join(f"{s:g}" for s in t.tolist()) for t in (tensors[name], tensor))
            raise ModelError(f"{path}: {name} are {found}, expected those of {CONFIG}: {told}")


def import_checkpoint(
    source: Path,
    out: Path,
    *,
    weights: Literal["ema", "raw"] = "ema",
    norm_groups: int = 16,
    overwrite: bool = False,
) -> Path:
    """Turn a public checkpoint into a model folder; nothing in the file is executed.

    Args:
        source: the ``.pth`` file: the whole model, or the prior alone.
        out: the folder to make.
        weights: the averaged weights, which the paper samples with, or the raw ones.
        norm_groups: groups of the U-Net's GroupNorm, which the file does not tell.
        overwrite: replace ``out`` where it is a model folder.

    Returns:
        ``out``.

    Raises:
        ModelError: not such a checkpoint, sizes that do not fit, or ``out`` cannot be made.
    """
    _check_target(out, overwrite)
    tensors, which = read_paper_checkpoint(source, weights)
    config = paper_config(source, tensors, norm_groups)
    # On the meta device the network takes no memory: it only says what fits.
    with torch.device("meta"):
        network = paper_network(config)
    _check(network, tensors, source)
    network.load_state_dict(tensors, assign=True)
    try:
        with atomic_folder(out) as folder:
            (folder / CONFIG).write_text(to_toml(config), encoding="utf-8")
            (folder / CARD).write_text(_card(source.name, which, config, network), encoding="utf-8")
            save_weights(network, folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write the model folder {out}: {error}") from error
    return out


def _check_target(out: Path, overwrite: bool) -> None:
    """Refuse a folder that is there, or that holds more than a model and so is not ours to drop."""
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise ModelError(f"{out} exists; choose another folder, or overwrite it")
    if not out.is_dir():
        raise ModelError(f"{out} is not a folder, and is left alone")
    others = sorted({entry.name for entry in out.iterdir()} - {CONFIG, WEIGHTS, CARD})
    if others:
        raise ModelError(f"{out} holds more than a model ({others[0]}), and is left alone")


def _card(source: str, which: str, config: ModelConfig, network: nn.Module) -> str:
    """The card of an imported model: what is known of it, and what is not."""
    encoder, operator, denoiser = config.encoder, config.operator, config.denoiser
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    lines = [
        f"# Imported from {source}",
        "",
        "A public NeurOp-Diff checkpoint (arXiv 2501.09054), converted; nothing was trained here.",
        "",
        f"- Weights: {which}.",
        f"- Size: {count:.1f} million parameters.",
        f"- Encoder: {encoder.name}, {encoder.channels} channels, {encoder.blocks} blocks.",
        f"- Operator: width {operator.width}, {operator.heads} heads.",
    ]
    if denoiser is None:
        lines.append("- Denoiser: none. The file holds the prior alone: no detail can be drawn.")
    else:
        levels = ", ".join(map(str, denoiser.multipliers))
        attending = ", ".join(map(str, denoiser.attention_levels)) or "none"
        lines.append(
            f"- Denoiser: {denoiser.channels} channels, multipliers {levels}, attention at levels "
            f"{attending}, {denoiser.norm_groups} norm groups (as told, not read from the file)."
        )
    lines += [
        "- Bands: RGB, 8 bits mapped to [-1, 1].",
        "- Scales trained: above 1 to 8, by antialiased bicubic (so the paper; no file tells).",
        "- Data, licence, ground sampling distance: ask whoever published the file.",
        "- Scores: not measured.",
        "- Limits: it takes statistics over each whole tile, so tiles may disagree at their lines.",
    ]
    return "\n".join(lines) + "\n"
