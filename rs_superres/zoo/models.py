"""Find and load models: shipped ones by name, others by the path of their folder.

A model is a folder with ``config.toml``, ``weights.safetensors`` and ``card.md``. Only :func:`load`
needs torch. It imports torch itself, because that takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rs_superres.config import ModelConfig, read_config
from rs_superres.errors import ModelError, UnknownModelError

if TYPE_CHECKING:
    from rs_superres.nets.build import NeurOpDiff, SceneNetwork
    from rs_superres.nets.prior import PaperPrior

logger = logging.getLogger(__name__)

DEFAULT = "aerial"
"""Name of the model that is used by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A loaded model, ready to run."""

    name: str
    """Name of the model's folder; for a shipped model, the name to load it by."""
    path: Path
    """Folder of the model."""
    config: ModelConfig
    """Content of ``config.toml``."""
    network: SceneNetwork | NeurOpDiff | PaperPrior
    """The networks, in evaluation mode and without gradients."""
    checksum: str
    """SHA-256 of ``weights.safetensors``, hexadecimal."""


def names() -> list[str]:
    """Return the names of the shipped models, sorted."""
    folders = resources.files("rs_superres.models").iterdir()
    return sorted(folder.name for folder in folders if (folder / "config.toml").is_file())


def find(model: str) -> Path:
    """Return the folder of a model.

    Args:
        model: name of a shipped model, or path of a model folder.

    Raises:
        UnknownModelError: there is no such model.
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
    """Read a model's ``config.toml``.

    Raises:
        UnknownModelError: there is no such model.
        ModelError: the file cannot be read or is not a valid configuration.
    """
    return read_config(find(model) / "config.toml")


def card(model: str) -> str:
    """Read a model's card: Markdown about its training data, its uses and its limits.

    Raises:
        UnknownModelError: there is no such model.
        ModelError: ``card.md`` cannot be read.
    """
    path = find(model) / "card.md"
    with _reading(path):
        return path.read_text(encoding="utf-8")


def checksum(model: str) -> str:
    """Compute the SHA-256 of a model's weights, hexadecimal.

    Raises:
        UnknownModelError: there is no such model.
        ModelError: ``weights.safetensors`` cannot be read.
    """
    path = find(model) / "weights.safetensors"
    with _reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn failures to read a model's file into a :class:`ModelError` that names the file."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error


def load(model: str, device: str = "cpu") -> Model:
    """Build a model's network and read its weights.

    Args:
        model: name of a shipped model, or path of a model folder.
        device: torch device of the network, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        UnknownModelError: there is no such model.
        ModelError: its configuration or its weights cannot be used.
    """
    # Importing torch takes seconds, and listing models does not need it.
    import torch  # noqa: PLC0415

    from rs_superres.nets.build import paper_network, scene_network, to_channels_last  # noqa: PLC0415
    from rs_superres.zoo.checkpoint import check_header, load_weights  # noqa: PLC0415

    path = find(model)
    config = config_of(model)
    build = {"scene": scene_network, "paper": paper_network}[config.kind]
    weights = path / "weights.safetensors"
    try:
        # First without memory: sizes that are not those of the weights may need any amount of it.
        with torch.device("meta"):
            outline = build(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
        raise ModelError(f"{path / 'config.toml'}: no network has these sizes: {error}") from error
    check_header(outline, weights)
    network = build(config)
    load_weights(network, weights)
    network.eval().requires_grad_(False).to(device)
    to_channels_last(network)
    logger.debug("loaded model %s from %s to %s", path.resolve().name, path, device)
    return Model(
        name=path.resolve().name,
        path=path,
        config=config,
        network=network,
        checksum=checksum(model),
    )
