"""The state that the parts of a training run share, and the listener that follows the run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch

from rs_superres import zoo
from rs_superres.config import ModelConfig
from rs_superres.nets.build import SceneNetwork
from rs_superres.raster import SkippedFile
from rs_superres.system.devices import Precision
from rs_superres.training import validation
from rs_superres.training.batches import Crops
from rs_superres.training.card import CardFacts, card
from rs_superres.training.config import TrainConfig
from rs_superres.training.distributed import World
from rs_superres.training.folder import RunFolder
from rs_superres.training.limit import TimeLimit
from rs_superres.training.losses import CALIBRATION_CROPS
from rs_superres.training.scenes import TrainingScene, pixel_sizes

SCALES = (2.0, 3.0, 4.0, 8.0)
"""Scales of a validation; those outside the trained range are left out."""

PhaseName = Literal["prior", "denoiser"]


class Listener(Protocol):
    """An object that is informed about the progress of a run."""

    def note(self, text: str) -> None:
        """Receive a message for the user."""
        ...

    def log_line(self, line: dict[str, Any]) -> None:
        """Receive a line of the log.

        Args:
            line: ``phase``, ``step``, ``loss``, ``rate`` (learning rate), ``seconds`` and
                ``seconds_left`` (of this phase), and ``progress`` (0 to 1).
        """
        ...

    def validation(self, phase: str, step: int, scores: Sequence[validation.Score]) -> None:
        """Receive the scores of a validation during training."""
        ...


class SilentListener:
    """A listener that ignores everything, for processes other than the main one."""

    def note(self, text: str) -> None:
        """Ignore a message."""

    def log_line(self, line: dict[str, Any]) -> None:
        """Ignore a line of the log."""

    def validation(self, phase: str, step: int, scores: Sequence[validation.Score]) -> None:
        """Ignore the scores of a validation."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A training run in progress."""

    folder: RunFolder
    config: TrainConfig
    start: str | None
    """The model that the run started from; None for random weights."""
    draws_from_start: bool
    """Whether the model that the run started from has the denoiser of the run."""
    world: World
    device: torch.device
    precision: Precision
    network: SceneNetwork
    training: Sequence[TrainingScene]
    held_out: Sequence[TrainingScene]
    """Validation scenes."""
    held_out_by_place: bool
    """Whether the validation scenes were held out of the data, not given by the caller."""
    crops: Crops
    listener: Listener
    stop_requested: Callable[[], bool]
    """Returns whether a signal asked the run to stop."""
    max_steps: int | None
    """Largest number of iterations in each phase; None for no limit."""
    limit: TimeLimit
    windows: int
    """Number of windows on which the finished model is scored."""
    unreadable: Counter[SkippedFile] = field(default_factory=Counter)
    """Files that could not be read when a crop was drawn, and how often."""
    steps: dict[str, int] = field(default_factory=lambda: {"prior": 0, "denoiser": 0})
    """Iterations of each phase so far."""

    @property
    def scales(self) -> list[float]:
        """Scales of a validation."""
        low, high = self.config.scales
        return [s for s in SCALES if low <= s <= high + 0.5]

    @property
    def uses_denoiser(self) -> bool:
        """Whether the denoiser has been trained; before that it would only add noise."""
        trained = self.steps["denoiser"] > 0 or self.draws_from_start
        return trained and self.network.denoiser is not None

    @property
    def trains_denoiser(self) -> bool:
        """Whether the run has a phase for the denoiser."""
        return self.network.denoiser is not None and self.config.denoiser_phase.steps > 0

    def calibration_crops(self, *, required: bool) -> int:
        """Return how many crops at each scale a calibration uses.

        Args:
            required: whether the calibration cannot be left out if the time limit is short.
        """
        return self.limit.calibration_crops(CALIBRATION_CROPS, required=required)

    def current_model(self) -> tuple[ModelConfig, SceneNetwork]:
        """Return configuration and network of the model so far, in evaluation mode.

        It is the prior alone until the denoiser has been trained.
        """
        config = self.config.model(pixel_sizes(self.training, self.config.scales))
        network = self.network.eval()
        if self.uses_denoiser:
            return config, network
        return config.prior_alone(), SceneNetwork(network.prior, None)

    def loaded_model(self) -> zoo.Model:
        """Return the model so far as :func:`rs_superres.zoo.load` would."""
        config, network = self.current_model()
        return zoo.Model(
            name=self.folder.path.resolve().name,
            path=self.folder.path,
            config=config,
            network=network,
            checksum="",
        )

    def evaluate(
        self,
        windows: Sequence[validation.Truth],
        *,
        default: bool,
        seconds: float = math.inf,
        keep: int = 0,
    ) -> validation.ValidationResult:
        """Score the model so far; the arguments are those of :func:`validation.evaluate`.

        The default number of steps is scored only if the denoiser has been trained.
        """
        default = default and self.uses_denoiser
        return validation.evaluate(
            windows, self.loaded_model(), self.scales, default=default, seconds=seconds, keep=keep
        )

    def save_model(self, evaluation: validation.ValidationResult) -> None:
        """Write the model so far, with its scores on the card.

        Raises:
            WriteError: a file cannot be written.
        """
        config, network = self.current_model()
        facts = CardFacts(
            name=self.folder.path.resolve().name,
            config=self.config,
            start=self.start,
            training=self.training,
            validation=self.held_out,
            held_out=self.held_out_by_place,
            steps=(self.steps["prior"], self.steps["denoiser"]),
            scores=evaluation.scores,
            windows=evaluation.windows,
        )
        self.folder.save_model(network, config, card(facts, network))
