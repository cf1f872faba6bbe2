"""What the parts of a training run share: its data, its network, and who is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch

from rs_superres import zoo
from rs_superres.config import ModelConfig
from rs_superres.nets.build import SceneNetwork
from rs_superres.system.devices import Precision
from rs_superres.training import validation
from rs_superres.training.batches import Crops
from rs_superres.training.card import CardFacts, card
from rs_superres.training.config import TrainConfig
from rs_superres.training.distributed import World
from rs_superres.training.folder import RunFolder
from rs_superres.training.scenes import SkippedFile, TrainingScene, pixel_sizes

SCALES = (2.0, 3.0, 4.0, 8.0)
"""Magnifications of a validation, those within the trained range."""

PhaseName = Literal["prior", "denoiser"]


class Listener(Protocol):
    """Who is told how a run goes."""

    def note(self, text: str) -> None:
        """Something that a person should know."""
        ...

    def interval(self, line: dict[str, Any]) -> None:
        """A line of the log: ``phase``, ``step``, ``loss``, ``rate``, ``seconds``, ``progress``."""
        ...

    def validated(self, phase: str, step: int, scores: Sequence[validation.Score]) -> None:
        """The scores on the way."""
        ...


class Silence:
    """Tells nobody: the other processes of a run."""

    def note(self, text: str) -> None:
        """Nothing."""

    def interval(self, line: dict[str, Any]) -> None:
        """Nothing."""

    def validated(self, phase: str, step: int, scores: Sequence[validation.Score]) -> None:
        """Nothing."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A run that is going on."""

    folder: RunFolder
    config: TrainConfig
    start: str | None
    """The model that it started from."""
    world: World
    device: torch.device
    precision: Precision
    network: SceneNetwork
    training: Sequence[TrainingScene]
    held_out: Sequence[TrainingScene]
    """Scenes to validate on."""
    by_place: bool
    """Whether they were held out of the data by place, or else named by the caller."""
    crops: Crops
    listener: Listener
    stopped: Callable[[], bool]
    """Whether somebody asked to stop."""
    max_steps: int | None
    """Iterations of each phase, at most."""
    max_seconds: float | None
    """Time of the whole run."""
    lost: Counter[SkippedFile] = field(default_factory=Counter)
    """Files that could not be read where a crop was wanted, and how often."""
    steps: dict[str, int] = field(default_factory=lambda: {"prior": 0, "denoiser": 0})
    """Iterations of each phase so far."""

    @property
    def draws(self) -> bool:
        """Whether the denoiser has learnt anything; until then it would add mere noise."""
        started = self.steps["denoiser"] > 0 or self.start is not None
        return started and self.network.denoiser is not None

    def made(self) -> tuple[ModelConfig, SceneNetwork]:
        """The model as it stands, in evaluation mode; a prior alone at first."""
        config = self.config.model(pixel_sizes(self.training, self.config.scales))
        network = self.network.eval()
        if self.draws:
            return config, network
        return replace(config, denoiser=None), SceneNetwork(network.prior, None)

    def model(self) -> zoo.Model:
        """The same, as scoring takes it."""
        config, network = self.made()
        return zoo.Model(
            name=self.folder.path.resolve().name,
            path=self.folder.path,
            config=config,
            network=network,
            checksum="",
        )

    def scores(
        self, windows: Sequence[validation.Truth], *, default: bool
    ) -> list[validation.Score]:
        """Scores of the network as it stands, the default's where asked for and learnt."""
        low, high = self.config.scales
        scales = [s for s in SCALES if low <= s <= high + 0.5]
        return validation.scored(windows, self.model(), scales, default=default and self.draws)

    def save_model(self, scores: Sequence[validation.Score], windows: int) -> None:
        """Write the model as it stands, with its card.

        Args:
            scores: what it scored.
            windows: on how many.
        """
        config, network = self.made()
        made = CardFacts(
            name=self.folder.path.resolve().name,
            config=self.config,
            start=self.start,
            training=self.training,
            validation=self.held_out,
            held_out=self.by_place,
            steps=(self.steps["prior"], self.steps["denoiser"]),
            scores=scores,
            windows=windows,
        )
        self.folder.save_model(network, config, card(made, network))
