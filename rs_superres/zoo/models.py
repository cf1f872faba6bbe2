"""The models: those that ship in the package, by name, and any other by the path of its folder.

Listing and finding read small text files. Only :func:`load` needs torch, whose import takes
seconds, so it is imported there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rs_superres.config import ModelConfig, read_config
from rs_superres.errors import ModelError, UnknownModelError

if TYPE_CHECKING:
    from rs_superres.nets.build import NeurOpDiff, SceneNetwork
    from rs_superres.nets.prior import PaperPrior

DEFAULT = "aerial"
"""The model that is used when none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, ready to run."""

    name: str
    """Its name in the package, or that of its folder."""
    path: Path
    """Its folder."""
    config: ModelConfig
    """What its ``config.toml`` says."""
    network: SceneNetwork | NeurOpDiff | PaperPrior
    """In evaluation mode, without gradients."""
    checksum: str
    """SHA-256 of ``weights.safetensors``, hexadecimal."""


def names() -> list[str]:
    """The shipped models, sorted."""
    folders = resources.files("rs_superres.models").iterdir()
    return sorted(folder.name for folder in folders if (folder / "config.toml").is_file())


def find(model: str) -> Path:
    """The folder of a model.

    Args:
        model: a shipped name, or the path of a model folder.

    Raises:
        UnknownModelError: neither.
    """
    shipped = names()
    if model in shipped:
        return Path(str(resources.files("rs_superres.models") / model))
    if (Path(model) / "config.toml").is_file():
        return Path(model)
    raise UnknownModelError(
        f"no model {model!r}: expected one of {', '.join(shipped) or '(none is installed)'}, "
        "or a folder with a config.toml"
    )


def config_of(model: str) -> ModelConfig:
    """What a model's ``config.toml`` says.

    Raises:
        UnknownModelError: no such model.
        ModelError: it cannot be used.
    """
    return read_config(find(model) / "config.toml")


def card(model: str) -> str:
    """The text that says what a model was made from and what it is good for.

    Raises:
        UnknownModelError: no such model.
        ModelError: it has no card.
    """
    path = find(model) / "card.md"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error


def checksum(model: str) -> str:
    """SHA-256 of a model's weights, hexadecimal.

    Raises:
        UnknownModelError: no such model.
        ModelError: it has no weights.
    """
    path = find(model) / "weights.safetensors"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def load(model: str, device: str = "cpu") -> Model:
    """Build a model's network and read its weights.

    Args:
        model: a shipped name, or the path of a model folder.
        device: where torch shall keep it.

    Raises:
        UnknownModelError: no such model.
        ModelError: its config or its weights cannot be used.
    """
    # Not at the top: torch takes seconds, and the list of models does not need it.
    from rs_superres.nets.build import lay_out, paper_network, scene_network  # noqa: PLC0415
    from rs_superres.zoo.checkpoint import load_weights  # noqa: PLC0415

    path = find(model)
    config = config_of(model)
    build = {"scene": scene_network, "paper": paper_network}[config.kind]
    try:
        network = build(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
        raise ModelError(f"{path / 'config.toml'}: no network has these sizes: {error}") from error
    load_weights(network, path / "weights.safetensors")
    network.eval().requires_grad_(False).to(device)
    lay_out(network)
    return Model(
        name=path.resolve().name,
        path=path,
        config=config,
        network=network,
        checksum=checksum(model),
    )
