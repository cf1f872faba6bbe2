"""The folder of a run: its configuration, checkpoint and log, and the model that it trains."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rs_superres.config import ModelConfig, to_toml
from rs_superres.errors import InputError, SuperResError, WriteError
from rs_superres.nets.build import SceneNetwork
from rs_superres.system.files import write_file
from rs_superres.training.config import TrainConfig, read_train_config
from rs_superres.zoo.checkpoint import save_weights

logger = logging.getLogger(__name__)

CONFIG, STATE, LOG = "train.toml", "state.pt", "log.jsonl"
"""Files of the run; the folder also holds the model's files and the pictures."""


class RunFolder:
    """The folder that a run writes to.

    Args:
        path: the folder; :meth:`begin` creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._board: Any = None

    def open_board(self) -> None:
        """Also log to TensorBoard from now on, if it is installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
        except ImportError:
            return
        self._board = SummaryWriter(str(self.path / "tensorboard"))

    def check_new(self) -> None:
        """Check that a new run in this folder replaces nothing.

        Raises:
            InputError: the folder holds a run, or is not an empty folder.
        """
        if (self.path / STATE).exists():
            raise InputError(
                f"{self.path} already holds a run; resume=True continues it, or choose another "
                "folder"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"{self.path} exists and is not an empty folder; choose another one")

    def begin(self, config: TrainConfig) -> None:
        """Create the folder of a new run and write its configuration.

        Raises:
            WriteError: the folder cannot be written.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            write_file(self.path / CONFIG, to_toml(config))

    def config(self) -> TrainConfig:
        """Read the configuration of the run in this folder.

        Raises:
            InputError: the folder holds no run.
        """
        if not (self.path / CONFIG).is_file() or not (self.path / STATE).is_file():
            raise InputError(
                f"{self.path} holds no run to resume; leave out resume=True to begin a new one"
            )
        return read_train_config(self.path / CONFIG)

    def load_state(self) -> dict[str, Any]:
        """Read the last checkpoint.

        Raises:
            InputError: it cannot be read.
        """
        with self.restoring():
            return {**torch.load(self.path / STATE, map_location="cpu", weights_only=True)}

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Turn whatever a damaged checkpoint or log causes into one error.

        Raises:
            InputError: the block failed.
        """
        try:
            yield
        except SuperResError:
            raise
        except Exception as error:  # a file that anybody may have written can raise anything
            raise InputError(
                f"{self.path / STATE} is damaged or not of this run, or {LOG} is; the run cannot "
                "be resumed, begin a new one"
            ) from error

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically.

        Raises:
            WriteError: it cannot be written; the previous one is kept.
        """
        started = time.monotonic()
        # In memory first: writing to a full disk, torch raises a RuntimeError without a reason.
        file = io.BytesIO()
        torch.save(dict(state), file)
        with self._writing():
            write_file(self.path / STATE, file.getvalue())
        logger.debug(
            "wrote %s (%d bytes) in %.2f s",
            self.path / STATE, file.tell(), time.monotonic() - started,
        )  # fmt: skip

    def save_model(self, network: SceneNetwork, config: ModelConfig, card: str) -> None:
        """Write the model's files, which makes the folder a model folder.

        Raises:
            WriteError: a file cannot be written.
        """
        with self._writing():
            save_weights(network, self.path / "weights.safetensors")
            write_file(self.path / "card.md", card)
            write_file(self.path / "config.toml", to_toml(config))

    def lines(self) -> list[dict[str, Any]]:
        """Read the log, without an incomplete last line."""
        path = self.path / LOG
        if not path.is_file():
            return []
        complete, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in complete.splitlines()]

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line to the log, and to TensorBoard's if it is open.

        Raises:
            WriteError: the line cannot be written.
        """
        with self._writing():
            with (self.path / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(line)) + "\n")
            if self._board is not None:
                name = f"{line['phase']}/{{}}" + (f" x{line['scale']:g}" if "scale" in line else "")
                for key in line.keys() & {"loss", "rate", "bicubic", "prior", "default"}:
                    if line[key] is not None:
                        self._board.add_scalar(name.format(key), line[key], line["step"])
                self._board.flush()

    def truncate_log(self, phase: str, step: int) -> None:
        """Drop the lines after a checkpoint, which the resumed run writes again.

        Args:
            phase: the phase of the checkpoint.
            step: the iterations of this phase at the checkpoint.

        Raises:
            WriteError: the log cannot be written.
        """
        order = ("prior", "denoiser")
        reached = order.index(phase), step
        kept = [
            line for line in self.lines() if (order.index(line["phase"]), line["step"]) <= reached
        ]
        with self._writing():
            write_file(self.path / LOG, "".join(json.dumps(line) + "\n" for line in kept))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise one error for whatever cannot be written, which says how to continue."""
        try:
            yield
        except OSError as error:
            text = (
                str(error)
                if isinstance(error, WriteError)
                else f"cannot write in {self.path}: {error.strerror or error}"
            )
            if (self.path / STATE).exists():
                text += "; the last checkpoint is kept, and resume=True continues from it"
            raise WriteError(text) from error
