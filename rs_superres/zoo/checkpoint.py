"""Write and read weights as safetensors, and import checkpoints of the paper's public code."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from rs_superres.config import ModelConfig, to_toml
from rs_superres.errors import ModelError
from rs_superres.nets.build import paper_network
from rs_superres.system.files import atomic_folder, atomic_write
from rs_superres.system.memory import check_memory
from rs_superres.zoo.paper import paper_config, read_paper_checkpoint

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS, CARD = "config.toml", "weights.safetensors", "card.md"
"""Names of the files in a model folder."""


SOURCE_AWARE = ("prior.encoder.modulation.", "prior.estimator.")
"""Beginnings of the names of the tensors that only a source-aware network has."""


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of a network, atomically.

    Args:
        module: the network, on any device and in any memory format.
        path: the safetensors file to write; an existing file is replaced.
    """
    # safetensors refuses the channels-last format, and the bytes must not depend on the format.
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()
    }
    with atomic_write(path) as temporary:
        # safetensors' save_file would write a file that only its owner can read.
        temporary.write_bytes(save(tensors))


def load_weights(
    module: nn.Module, path: Path, *, part: str = "", may_lack: tuple[str, ...] = ()
) -> None:
    """Read weights into a network.

    Args:
        module: the network; unchanged if this raises.
        path: a safetensors file with exactly the network's tensors.
        part: the beginning of the names of the tensors to read; the network keeps its others.
        may_lack: beginnings of the names of tensors that the file may lack; the network then keeps
            its own.

    Raises:
        ModelError: the file does not exist or is damaged, a tensor is missing, unknown or of
            another shape, or a table is for other scales than the configuration's.
    """
    with _reading(path):
        tensors = load_file(path)
    own = {
        n: t.cpu()
        for n, t in module.state_dict().items()
        if n.startswith(may_lack) or not n.startswith(part)
    }
    tensors = own | {n: t for n, t in tensors.items() if n.startswith(part)}
    _check(module, tensors, path)
    module.load_state_dict(tensors)


def check_header(module: nn.Module, path: Path) -> None:
    """Compare a network's tensors with the header of a file of weights, without reading them.

    Args:
        module: the network, which may be on the meta device, where it takes no memory.
        path: a safetensors file.

    Raises:
        ModelError: the file does not exist or is damaged, or its tensors are not the network's.
        InputError: the tensors do not fit into memory.
    """
    with _reading(path), safe_open(path, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    _check_shapes(module, shapes, path)
    count = sum(math.prod(shape) for shape in shapes.values())
    check_memory(4 * count, f"the weights in {path}", "choose another model")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise one kind of error for whatever cannot be read as safetensors."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not safetensors, or damaged or truncated: {error}") from error


def _check_shapes(module: nn.Module, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise a ModelError unless tensors have exactly a network's names and shapes."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for problem, names in (
        ("lacks tensor", expected.keys() - shapes.keys()),
        ("has an unknown tensor", shapes.keys() - expected.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(f"{path}: {problem} {min(names)}{more}")
    for name, shape in expected.items():
        if shape != shapes[name]:
            raise ModelError(
                f"{path}: tensor {name} has the shape {shapes[name]}, expected {shape}"
            )


def _check(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise a ModelError unless tensors are exactly those of a network."""
    _check_shapes(module, {name: tuple(t.shape) for name, t in tensors.items()}, path)
    for name, tensor in module.state_dict().items():
        if name.endswith("_scales") and not torch.equal(tensor.cpu(), tensors[name]):
            actual, configured = (
                ", ".join(f"{scale:g}" for scale in scales.tolist())
                for scales in (tensors[name], tensor)
            )
            raise ModelError(
                f"{path}: {name} are {actual}, expected those of {CONFIG}: {configured}"
            )


def import_checkpoint(
    source: Path,
    out: Path,
    *,
    weights: Literal["ema", "raw"] = "ema",
    norm_groups: int = 16,
    overwrite: bool = False,
) -> Path:
    """Convert a checkpoint of NeurOp-Diff's public code to a model folder.

    No code in the file is executed.

    Args:
        source: a ``.pth`` file with the complete model, or with the prior alone.
        out: the model folder to create.
        weights: ``ema`` for the averaged weights, with which the paper samples; ``raw`` for the
            others.
        norm_groups: groups of the U-Net's GroupNorm, which the file does not record.
        overwrite: replace ``out`` if it is a model folder.

    Returns:
        ``out``.

    Raises:
        ModelError: the file is not such a checkpoint, its sizes do not fit together, or ``out``
            exists or cannot be written.
    """
    _check_target(out, overwrite)
    tensors, description = read_paper_checkpoint(source, weights)
    config = paper_config(source, tensors, norm_groups)
    # On the meta device the network only has shapes; load_state_dict then assigns the tensors.
    with torch.device("meta"):
        network = paper_network(config)
    _check(network, tensors, source)
    network.load_state_dict(tensors, assign=True)
    try:
        with atomic_folder(out) as folder:
            (folder / CONFIG).write_text(to_toml(config), encoding="utf-8")
            card = _card(source.name, description, config, network)
            (folder / CARD).write_text(card, encoding="utf-8")
            save_weights(network, folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot write the model folder {out}: {reason}") from error
    logger.debug("imported %s (weights: %s) to %s", source, description, out)
    return out


def _check_target(out: Path, overwrite: bool) -> None:
    """Raise a ModelError unless ``out`` is free, or is a model folder that may be replaced."""
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise ModelError(f"{out} exists; overwrite=True replaces it")
    if not out.is_dir():
        raise ModelError(f"{out} is not a folder and is never replaced; choose another path")
    others = sorted({entry.name for entry in out.iterdir()} - {CONFIG, WEIGHTS, CARD})
    if others:
        raise ModelError(f"{out} holds more than a model ({others[0]}) and is never replaced")


def _card(source: str, description: str, config: ModelConfig, network: nn.Module) -> str:
    """Write the card of an imported model, from its sizes.

    Args:
        source: name of the checkpoint file.
        description: which of the file's weights these are.
        config: configuration of the model.
        network: its networks, whose parameters are counted.
    """
    encoder, operator, denoiser = config.encoder, config.operator, config.denoiser
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    lines = [
        f"# Imported from {source}",
        "",
        "A public NeurOp-Diff checkpoint (arXiv 2501.09054), converted; nothing was trained here.",
        "",
        f"- Weights: {description}.",
        f"- Size: {count:.1f} million parameters.",
        f"- Encoder: {encoder.name}, {encoder.channels} channels, {encoder.blocks} blocks.",
        f"- Operator: width {operator.width}, {operator.heads} heads.",
    ]
    if denoiser is None:
        lines.append("- Denoiser: none. The file holds the prior alone, which draws no detail.")
    else:
        levels = ", ".join(map(str, denoiser.multipliers))
        attending = ", ".join(map(str, denoiser.attention_levels)) or "none"
        lines.append(
            f"- Denoiser: {denoiser.channels} channels, multipliers {levels}, attention at levels "
            f"{attending}, {denoiser.norm_groups} norm groups (given by the user, not in the file)."
        )
    lines += [
        "- Bands: RGB, 8 bits mapped to [-1, 1].",
        "- Scales trained: above 1 to 8, antialiased bicubic (from the paper, not from the file).",
        "- Training data, licence, ground sampling distance: ask the publisher of the file.",
        "- Scores: not measured.",
        "- Limits: the network takes statistics over a cell, so seams between cells may show.",
    ]
    return "\n".join(lines) + "\n"
