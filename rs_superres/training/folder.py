"""The folder of a run: its configuration, state, log, and the model that it makes."""

from __future__ import annotations

import json
import pickle
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rs_superres.config import ModelConfig, to_toml
from rs_superres.errors import InputError, RasterError
from rs_superres.nets.build import SceneNetwork
from rs_superres.system.files import atomic_write
from rs_superres.training.config import TrainConfig, read_train_config
from rs_superres.zoo.checkpoint import save_weights

CONFIG, STATE, LOG = "train.toml", "state.pt", "log.jsonl"
"""The run's own files; beside them stand the model's, and the pictures."""


class RunFolder:
    """Where a run keeps what it makes.

    Args:
        path: the folder; made when the run begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._board: Any = None

    def open_board(self) -> None:
        """Write what is logged for TensorBoard too, where it is installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
        except ImportError:
            return
        self._board = SummaryWriter(str(self.path / "tensorboard"))

    def check_new(self) -> None:
        """Refuse a name that would lose something.

        Raises:
            InputError: there is something already.
        """
        if (self.path / STATE).exists():
            raise InputError(
                f"{self.path} holds a run already: --resume goes on with it, or choose another "
                "folder"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"{self.path} exists and is not an empty folder, choose another one")

    def begin(self, config: TrainConfig) -> None:
        """Make the folder of a new run.

        Raises:
            RasterError: it cannot be written.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / CONFIG).write_text(to_toml(config), encoding="utf-8")

    def config(self) -> TrainConfig:
        """The configuration of the run that stands there.

        Raises:
            InputError: there is none.
        """
        if not (self.path / CONFIG).is_file() or not (self.path / STATE).is_file():
            raise InputError(f"{self.path} holds no run to resume; leave out --resume to begin one")
        config = read_train_config(self.path / CONFIG)
        # All of it was written: no table is no denoiser, not the usual one.
        written = tomllib.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        return config if "denoiser" in written else replace(config, denoiser=None)

    def load_state(self) -> dict[str, Any]:
        """The last checkpoint.

        Raises:
            InputError: it cannot be read.
        """
        path = self.path / STATE
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(
                f"{path} is damaged, the run cannot be resumed; begin another one"
            ) from error
        return state

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, whole or not at all.

        Raises:
            RasterError: it cannot be written; the last one stands.
        """
        with writing(self.path), atomic_write(self.path / STATE) as temporary:
            torch.save(dict(state), temporary)

    def save_model(self, network: SceneNetwork, config: ModelConfig, card: str) -> None:
        """Write the model's files; the folder is a model from then on."""
        with writing(self.path):
            save_weights(network, self.path / "weights.safetensors")
            (self.path / "card.md").write_text(card, encoding="utf-8")
            (self.path / "config.toml").write_text(to_toml(config), encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; without a last line that a kill or a full disk cut off."""
        path = self.path / LOG
        if not path.is_file():
            return []
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        with writing(self.path), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(line)) + "\n")
        if self._board is not None:
            name = f"{line['phase']}/{{}}" + (f" x{line['scale']:g}" if "scale" in line else "")
            for key in line.keys() & {"loss", "rate", "bicubic", "prior", "default"}:
                if line[key] is not None:
                    self._board.add_scalar(name.format(key), line[key], line["step"])
            self._board.flush()

    def forget_after(self, phase: str, step: int) -> None:
        """Drop the log's lines beyond a checkpoint: a resumed run writes them anew."""
        order = ("prior", "denoiser")
        reached = order.index(phase), step
        kept = [
            line for line in self.lines() if (order.index(line["phase"]), line["step"]) <= reached
        ]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        with writing(self.path), atomic_write(self.path / LOG) as temporary:
            temporary.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a failed write in one line.

    torch tells a full disk by a RuntimeError of its own.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, RasterError):
            raise
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RasterError(
            f"cannot write in {path}: {said}; the last checkpoint is kept, --resume goes on from it"
        ) from error
