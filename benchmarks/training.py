"""Measure an iteration of training on a CPU: its parts, and the rate of its convolutions."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.networks import precisions
from benchmarks.timing import Rows, median
from rs_superres import zoo
from rs_superres.nets.build import SceneNetwork, to_channels_last
from rs_superres.system.devices import Precision
from rs_superres.system.threads import fixed_threads
from rs_superres.training.batches import Batch
from rs_superres.training.config import PriorPhase
from rs_superres.training.distributed import World
from rs_superres.training.losses import prior_loss
from rs_superres.training.optimiser import Fitting

CROPS, CELLS, POINTS, SCALE = 16, 48, 32, 4
"""Crops of an iteration, low-resolution pixels on a side, rows and columns of the loss, scale."""


class Iteration:
    """An iteration of the shipped prior's training on random crops, and its parts."""

    def __init__(self, precision: Precision) -> None:
        model = zoo.load("aerial")
        if not isinstance(model.network, SceneNetwork):
            raise TypeError("the benchmark needs a prior with stored contexts")
        self.prior = model.network.prior.train().requires_grad_(True)
        to_channels_last(self.prior)
        self.context, self.batch = autocast(precision), random_batch()
        self.contexts = self.prior.contexts_at(self.batch.scale)
        phase = PriorPhase(steps=1_000_000, learning_rate=0.0)
        self.fitting = Fitting(self.prior, phase, World())

    def encoder_alone(self) -> None:
        """Run the encoder forwards and backwards: nearly nothing but convolutions."""
        self.prior.zero_grad()
        with self.context:
            features: Tensor = self.prior.encoder(self.batch.low)
        torch.autograd.backward(features, torch.ones_like(features))

    def _loss(self, contexts: Tensor | None) -> Tensor:
        with self.context:
            return prior_loss(self.prior, self.batch, kind="psnr", contexts=contexts)

    def with_contexts_of_the_batch(self) -> None:
        """Compute the gradients of the loss with the contexts of the crops, as in the paper."""
        self.prior.zero_grad()
        torch.autograd.backward(self._loss(None))

    def with_stored_contexts(self) -> None:
        """Compute the gradients of the loss with stored contexts."""
        self.prior.zero_grad()
        torch.autograd.backward(self._loss(self.contexts))

    def complete(self) -> None:
        """Do an iteration with stored contexts."""
        self.fitting.advance(self._loss(self.contexts), 0.5)


def iteration(quick: bool) -> Rows:
    """Time an iteration of the shipped prior's training, and its parts.

    Operations are those of the encoder, forwards and backwards. The ceiling is a single convolution
    of the same channels on the same pixels, forwards and backwards.

    Args:
        quick: repeat less.
    """
    repeats = 3 if quick else 9
    rows: Rows = [("precision", "part", "ms", "GFLOP/s", "of the ceiling")]
    for precision in precisions():
        with fixed_threads():
            work = Iteration(precision)
            with FlopCounterMode(display=False) as counter:
                work.encoder_alone()
            operations, ceiling = counter.get_total_flops(), _ceiling(work.context, repeats)
            for name, part in (
                ("encoder alone", work.encoder_alone),
                ("loss and gradients, contexts of the crops", work.with_contexts_of_the_batch),
                ("loss and gradients, stored contexts", work.with_stored_contexts),
                ("iteration, stored contexts", work.complete),
            ):
                seconds = median(part, repeats)
                speed = operations / seconds
                numbers = f"{1e3 * seconds:.0f}", f"{speed / 1e9:.0f}", f"{speed / ceiling:.0%}"
                rows.append((precision, name, *numbers))
    return rows


def random_batch() -> Batch:
    """Return random crops, with random rows and columns for the loss."""
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(CROPS, 3, CELLS, CELLS, generator=generator) * 2 - 1
    high = torch.rand(CROPS, 3, SCALE * CELLS, SCALE * CELLS, generator=generator) * 2 - 1
    border = 2 * SCALE
    inner = torch.randperm(SCALE * CELLS - 2 * border, generator=generator)[:POINTS] + border
    batch = Batch(low=low, high=high).select(inner.sort().values, inner.sort().values)
    return batch.to(torch.device("cpu"))


def autocast(precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which training computes with a precision."""
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()


def _ceiling(context: AbstractContextManager[Any], repeats: int) -> float:
    """Return the operations per second of one convolution, forwards and backwards."""
    image = torch.rand(CROPS, 64, CELLS, CELLS).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(64, 64, 3, 3).contiguous(memory_format=torch.channels_last)
    image.requires_grad_(True)
    weight.requires_grad_(True)
    with context:
        out = conv2d(image, weight, padding=1)
    gradient = torch.rand_like(out)

    def run() -> None:
        with context:
            torch.autograd.backward(conv2d(image, weight, padding=1), gradient)

    return 3 * 2 * 64 * 64 * 9 * CROPS * CELLS**2 / median(run, repeats)
