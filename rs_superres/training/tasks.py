"""The two phases of training: what each of them trains, on which batches, with which loss."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rs_superres.errors import InputError
from rs_superres.training import losses
from rs_superres.training.batches import Batch, draw_scale
from rs_superres.training.config import Phase
from rs_superres.training.session import PhaseName, Session

CONTEXTS_KEY, DEVIATIONS_KEY = 2, 3
"""Random keys of the crops for contexts and deviations; 0 and 1 are those of the phases."""

FEATURE_HALO = 8
"""Low-resolution pixels around the denoiser's crops, which only the prior sees."""


class Task(Protocol):
    """One phase of training."""

    name: PhaseName

    @property
    def settings(self) -> Phase:
        """The phase's settings in the run's configuration."""
        ...

    @property
    def module(self) -> nn.Module:
        """The network that the phase trains."""
        ...

    def measure_before(self) -> None:
        """Measure the constants that the phase needs, before its first iteration."""
        ...

    def draw_batch(self, step: int) -> Batch:
        """Draw the batch of an iteration: a function of seed, iteration and process."""
        ...

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Compute the loss of a batch."""
        ...

    def measure_after(self, count: int) -> None:
        """Measure the constants that depend on the trained weights.

        Args:
            count: crops at each scale on which they are measured.
        """
        ...


class PriorTask:
    """The first phase: train the neural operator.

    Args:
        run: the run.
    """

    name: PhaseName = "prior"

    def __init__(self, run: Session) -> None:
        self._run = run
        self._prior = run.network.prior
        self.settings = run.config.prior_phase
        self.module = run.network.prior
        self._prior.requires_grad_(True)

    def measure_before(self) -> None:
        """Do nothing: the prior needs no constant."""

    def draw_batch(self, step: int) -> Batch:
        """Draw the batch of an iteration, with the rows and columns of its loss."""
        run, settings = self._run, self.settings
        key = run.config.seed, 0, step
        # The scale does not depend on the process: none must wait for another's larger crops.
        scale = draw_scale(key, settings.scales)
        batch = run.crops.batch([*key, run.world.rank], settings.batch, settings.cells, scale)
        chance = np.random.default_rng([*key, run.world.rank, 2])
        return losses.sample_pixels(
            batch.with_given(chance, settings.known), chance, settings.points
        )

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Compute the prior's error on a batch."""
        del step
        stored = self.settings.contexts == "stored"
        batch = batch.to(self._run.device)
        loss = losses.prior_loss(
            self._prior,
            batch,
            kind=self.settings.loss,
            contexts=self._prior.contexts_at(batch.scale) if stored else None,
        )
        return loss + losses.estimator_loss(self._prior, batch)

    def measure_after(self, count: int) -> None:
        """Measure the stored contexts, unless the prior was trained with them."""
        if self.settings.contexts == "crops":
            key = self._run.config.seed, CONTEXTS_KEY
            losses.calibrate(self._prior, self._run.crops, key=key, count=count)


class DenoiserTask:
    """The second phase: train the denoiser on the frozen prior.

    Args:
        run: the run.

    Raises:
        InputError: the model has no denoiser.
    """

    name: PhaseName = "denoiser"

    def __init__(self, run: Session) -> None:
        if run.network.denoiser is None:
            raise InputError("this model has no denoiser to train")
        self._run = run
        self._denoiser = run.network.denoiser
        self.settings = run.config.denoiser_phase
        self.module = run.network.denoiser
        run.network.prior.requires_grad_(False)

    def measure_before(self) -> None:
        """Measure the standard deviations of truth minus prior.

        If the time limit is short, those of the model that the run started from are kept.
        """
        run = self._run
        count = run.calibration_crops(required=not run.draws_from_start)
        if count:
            key = run.config.seed, DEVIATIONS_KEY
            losses.measure_residual(run.network, run.crops, key=key, count=count)

    def draw_batch(self, step: int) -> Batch:
        """Draw the batch of an iteration, of which the middle is compared."""
        run, settings = self._run, self.settings
        key = run.config.seed, 1, step
        scale = draw_scale(key, settings.scales)
        low_side = math.ceil(settings.pixels / scale) + 2 * FEATURE_HALO
        batch = run.crops.batch([*key, run.world.rank], settings.batch, low_side, scale)
        # The squares that the denoiser takes for a pixel begin at a multiple of their side.
        multiple = self._denoiser.multiple
        pixels = settings.pixels // multiple * multiple
        first = (batch.side - pixels) // (2 * multiple) * multiple
        middle = torch.arange(first, first + pixels)
        chance = np.random.default_rng([*key, run.world.rank, 3])
        return batch.with_given(chance, run.config.prior_phase.known).select(middle, middle)

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Compute the denoiser's error on a batch, with random noise."""
        run = self._run
        batch = batch.to(run.device)
        chance = np.random.default_rng([run.config.seed, 1, step, run.world.rank, 2])
        error, prior = losses.prior_residual(run.network, batch)
        noise = torch.Generator(run.device).manual_seed(int(chance.integers(2**62)))
        conditions = losses.conditions(run.network, batch)
        return self._denoiser.losses(error, prior, conditions, noise, self.settings.draws)

    def measure_after(self, count: int) -> None:
        """Do nothing: no constant depends on the denoiser."""


def task(run: Session, name: PhaseName) -> Task:
    """Return the task of a phase."""
    return PriorTask(run) if name == "prior" else DenoiserTask(run)
