"""One network being fitted: its optimiser, the average of its weights, and its learning rate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from rs_superres.errors import TrainingError
from rs_superres.training.config import Phase
from rs_superres.training.distributed import World

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


@dataclass(frozen=True, slots=True)
class Told:
    """What an iteration came to, perhaps still on its way from a GPU."""

    step: int
    values: Tensor
    """(2,) its loss, and its gradient's norm, in memory of the CPU."""
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, step: int, loss: Tensor, norm: Tensor) -> Told:
        """Without waiting for them."""
        values = torch.stack((loss.detach().float(), norm.float()))
        if not values.is_cuda:
            return cls(step, values.cpu(), None)
        here = torch.empty(2, pin_memory=True).copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's stub
        arrived.record()
        return cls(step, here, arrived)

    def read(self) -> tuple[float, float]:
        """Loss and norm, once they have arrived."""
        if self.arrived is not None:
            self.arrived.synchronize()
        value, norm = self.values.tolist()
        return value, norm


class Fitting:
    """A network that is trained by Adam, with an exponential average of its weights.

    Args:
        module: what is trained.
        phase: how.
        world: with whom gradients are shared.
    """

    def __init__(self, module: nn.Module, phase: Phase, world: World) -> None:
        self.module, self._phase, self._world = module, phase, world
        self._on_gpu = next(module.parameters()).is_cuda
        self.behind = int(self._on_gpu)
        """Iterations whose losses are not waited for."""
        self._optimizer = torch.optim.Adam(
            module.parameters(), phase.learning_rate, betas=(0.9, 0.99), fused=self._on_gpu
        )
        self._weights = module.state_dict()  # the tensors themselves: nobody may replace them
        self._average = {k: v.clone() for k, v in self._weights.items()}
        self._told: deque[Told] = deque()
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

        On a CPU a loss that is no number leaves the weights as they were. A GPU is not waited for:
        it is told of by the next call, or by :meth:`heed`.

        Raises:
            TrainingError: a loss, or its gradient in any process, is not a finite number.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate(progress)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        self._world.average_gradients(self.module)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), CLIP)
        self._told.append(Told.of(self.step + 1, loss, norm))
        self.heed(waiting=self.behind)
        self._optimizer.step()
        self.step += 1
        # The first iterations count less: they are nothing to average over.
        keep = min(self._phase.ema, self.step / (self.step + 9))
        average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]  # torch's stub
        average([*self._average.values()], [*self._weights.values()], None)

    def heed(self, waiting: int = 0) -> None:
        """Learn what the last iterations came to.

        Args:
            waiting: iterations that need not be over yet.

        Raises:
            TrainingError: a loss, or its gradient, is not a finite number.
        """
        while len(self._told) > waiting:
            told = self._told.popleft()
            value, norm = told.read()
            if not math.isfinite(norm) or not math.isfinite(value):
                raise TrainingError(
                    f"the loss of iteration {told.step} is {value}, its gradient's norm {norm}"
                )
            self.recent.append(value)

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
        for group in self._optimizer.param_groups:
            group["fused"] = self._on_gpu  # whatever the device was that it was saved on
        self._average = {
            k: state["average"][k].to(v.device, copy=True) for k, v in self._average.items()
        }
        self.step, self.seconds = state["step"], state["seconds"]
        self.recent = list(state["recent"])
