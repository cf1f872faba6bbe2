"""Find and load models: by name, or by the path of their folder.

Names are those of the models in the folders of ``RS_SR_MODELS``, and in the package. A model is a
folder with ``config.toml``, ``weights.safetensors`` and ``card.md``. Only :func:`load` needs torch.
It imports torch itself, because that takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
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

VARIABLE = "RS_SR_MODELS"
"""The environment variable with folders of models."""

CONFIG = "config.toml"
"""The file that makes a folder a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A loaded model, ready to run."""

    name: str
    """Name of the model's folder; if :func:`names` lists it, the name to load it by."""
    path: Path
    """Folder of the model."""
    config: ModelConfig
    """Content of ``config.toml``."""
    network: SceneNetwork | NeurOpDiff | PaperPrior
    """The networks, in evaluation mode and without gradients."""
    checksum: str
    """SHA-256 of ``weights.safetensors``, hexadecimal."""


def search_path() -> list[Path]:
    """Return the folders in which models are found by name, besides the package.

    They are those of the environment variable ``RS_SR_MODELS``, which separates several as ``PATH``
    does: by colons, on Windows by semicolons.
    """
    texts = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(text).expanduser() for text in texts if text]


def shipped() -> list[str]:
    """Return the names of the models in the package, sorted."""
    return sorted(_models_in(_package()))


def names() -> list[str]:
    """Return the names of all models that are found by name, sorted."""
    return sorted(_by_name())


def find(model: str) -> Path:
    """Return the folder of a model.

    Args:
        model: path of a model folder, or name of a model. A name without a slash is looked up in
            ``RS_SR_MODELS``, then in the package, and then taken as the path of a folder.

    Raises:
        UnknownModelError: there is no such model.
    """
    known = _by_name()
    if model in known:
        return known[model]
    if (Path(model) / CONFIG).is_file():
        return Path(model)
    wrong = [str(folder) for folder in search_path() if not folder.is_dir()]
    raise UnknownModelError(
        f"no model {model!r}: expected one of {', '.join(sorted(known)) or '(none is installed)'}, "
        "or a folder with a config.toml"
        + (f"; {VARIABLE} names {', '.join(wrong)}, which is no folder" if wrong else "")
    )


def found_anywhere(model: str) -> str:
    """Return a name or path of a model that another process in another folder understands.

    Args:
        model: as for :func:`find`; an unknown one is returned as it is.
    """
    try:
        path = find(model)
    except UnknownModelError:
        return model
    return model if is_shipped(path) else str(path.absolute())


def is_shipped(path: Path) -> bool:
    """Return whether a model is one of the package.

    Args:
        path: its folder, as :func:`find` returns it.
    """
    return path.parent == _package()


def name_of(path: Path) -> str:
    """Return the name of a model's folder: that of a link, not of what it leads to.

    Args:
        path: the folder, as :func:`find` returns it.
    """
    return path.resolve().name if path.name in ("", "..") else path.name


def _package() -> Path:
    """Return the folder of the models in the package."""
    return Path(str(resources.files("rs_superres.models")))


def _by_name() -> dict[str, Path]:
    """Return the models that are found by name; of two with one name, the first that is found."""
    found: dict[str, Path] = {}
    for folder in (*search_path(), _package()):
        found = _models_in(folder) | found
    return found


def _models_in(folder: Path) -> dict[str, Path]:
    """Return the models in a folder by name; hidden folders are unfinished work."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return {}
    return {
        entry.name: entry
        for entry in entries
        if not entry.name.startswith(".") and (entry / CONFIG).is_file()
    }


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


def version(model: str) -> tuple[int, ...]:
    """Return numbers that differ when a model's files were replaced; they are not read.

    Raises:
        UnknownModelError: there is no such model.
        ModelError: its files cannot be examined.
    """
    path, numbers = find(model), []
    for file in (path / CONFIG, path / "weights.safetensors"):
        with _reading(file):
            facts = file.stat()
            numbers += [facts.st_ino, facts.st_size, facts.st_mtime_ns]
    return tuple(numbers)


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
        model: as for :func:`find`.
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
    logger.debug("loaded model %s from %s to %s", name_of(path), path, device)
    return Model(
        name=name_of(path),
        path=path,
        config=config,
        network=network,
        checksum=checksum(model),
    )
