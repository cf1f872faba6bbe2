"""One network being fitted: its optimiser, the average of its weights, and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rs_superres.errors import TrainingError
from rs_superres.training.config import Phase
from rs_superres.training.world import World

CLIP = 1.0
"""Greatest norm of a gradient."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a phase takes: whichever of the two ends first, which the rate falls to."""

    steps: int
    seconds: float | None

    def progress(self, step: int, seconds: float) -> float:
        """0 at the beginning, 1 at the end."""
        timed = 0.0 if self.seconds is None else seconds / max(self.seconds, 1e-9)
        return min(1.0, max(step / max(self.steps, 1), timed))


class Fitting:
    """A network that is trained by Adam, with an exponential average of its weights.

    Args:
        module: what is trained.
        phase: how.
        world: with whom gradients are shared.
    """

    def __init__(self, module: nn.Module, phase: Phase, world: World) -> None:
        self.module, self._phase, self._world = module, phase, world
        self._optimizer = torch.optim.Adam(
            module.parameters(), phase.learning_rate, betas=(0.9, 0.99)
        )
        self._average = {k: v.clone() for k, v in module.state_dict().items()}
        self.step = 0
        """Iterations done."""
        self.seconds = 0.0
        """Time they took."""
        self.recent: list[float] = []
        """Losses since the last line of the log."""

    def rate(self, progress: float) -> float:
        """The learning rate: a linear rise, then half a cosine down to a 500th."""
        rise = min(1.0, (self.step + 1) / max(self._phase.warmup, 1))
        fall = 0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * progress))
        return self._phase.learning_rate * rise * fall

    def advance(self, loss: Tensor, progress: float) -> None:
        """One iteration down the gradient of a loss.

        Raises:
            TrainingError: it, or its gradient in any process, is not a finite number; the weights
                are left as they were.
        """
        value = float(loss.detach())
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate(progress)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        self._world.average_gradients(self.module)
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), CLIP))
        if not math.isfinite(norm) or not math.isfinite(value):
            raise TrainingError(
                f"the loss of iteration {self.step + 1} is {value}, its gradient's norm {norm}"
            )
        self._optimizer.step()
        self.step += 1
        self.recent.append(value)
        # The first iterations count less: they are nothing to average over.
        keep = min(self._phase.ema, self.step / (self.step + 9))
        for name, weight in self.module.state_dict().items():
            self._average[name].lerp_(weight, 1 - keep)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in the network, for a while."""
        trained = {k: v.clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self._average)
        try:
            yield
        finally:
            self.module.load_state_dict(trained)

    def settle(self) -> None:
        """The averaged weights in the network, for good."""
        self.module.load_state_dict(self._average)

    def state(self) -> dict[str, Any]:
        """All that going on exactly needs but the network's own weights."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "average": self._average,
            "step": self.step,
            "seconds": self.seconds,
            "recent": self.recent,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; the network's weights are the caller's to load."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._average = {
            k: v.to(self._average[k].device, copy=True) for k, v in state["average"].items()
        }
        self.step, self.seconds = state["step"], state["seconds"]
        self.recent = list(state["recent"])
