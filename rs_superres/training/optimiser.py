"""Optimise one network: Adam, the average of the weights, and the learning rate."""

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
"""Gradients with a larger norm are scaled down to this norm."""

WARMUP_SHARE = 0.1
"""Largest share of a phase that the warm-up of the learning rate takes."""

ESTIMATOR_FACTOR = 10.0
"""Factor on the learning rate of a source-aware prior's estimator, which is small and learns from
scratch beside it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The end of a phase, in iterations and in seconds; whichever comes first counts."""

    steps: int
    seconds: float | None
    """Seconds of the phase; None for no limit."""

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the phase that is done, 0 to 1.

        Args:
            step: iterations done.
            seconds: time they took.
        """
        by_time = 0.0 if self.seconds is None else seconds / max(self.seconds, 1e-9)
        return min(1.0, max(step / max(self.steps, 1), by_time))


@dataclass(frozen=True, slots=True)
class LossRecord:
    """Loss and gradient norm of one iteration, which a GPU may not have computed yet."""

    step: int
    """Number of the iteration, from 1."""
    values: Tensor
    """(2,) the loss and the gradient's norm, in CPU memory."""
    arrived: torch.cuda.Event | None
    """Event after which ``values`` can be read; None on a CPU."""

    @classmethod
    def of(cls, step: int, loss: Tensor, norm: Tensor) -> LossRecord:
        """Start copying loss and norm to CPU memory, without waiting for the copy."""
        values = torch.stack((loss.detach().float(), norm.float()))
        if not values.is_cuda:
            return cls(step, values.cpu(), None)
        copied = torch.empty(2, pin_memory=True).copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's stub
        arrived.record()
        return cls(step, copied, arrived)

    def read(self) -> tuple[float, float]:
        """Return the loss and the norm; wait for the GPU if necessary."""
        if self.arrived is not None:
            self.arrived.synchronize()
        loss, norm = self.values.tolist()
        return loss, norm


def _groups(module: nn.Module) -> list[dict[str, Any]]:
    """Return the parameters in groups, each with the factor on its learning rate."""
    small: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        (small if name.startswith("estimator.") else others).append(parameter)
    groups: list[dict[str, Any]] = [{"params": others, "factor": 1.0}]
    return [*groups, {"params": small, "factor": ESTIMATOR_FACTOR}] if small else groups


class Fitting:
    """A network trained by Adam, with an exponential moving average of its weights.

    Args:
        module: the network to train.
        phase: learning rate, warm-up and averaging.
        world: the processes with which gradients are averaged.
    """

    def __init__(self, module: nn.Module, phase: Phase, world: World) -> None:
        self.module, self._phase, self._world = module, phase, world
        self._on_gpu = next(module.parameters()).is_cuda
        self.max_pending = int(self._on_gpu)
        """Iterations whose losses :meth:`advance` does not wait for."""
        self._optimizer = torch.optim.Adam(
            _groups(module), phase.learning_rate, betas=(0.9, 0.99), fused=self._on_gpu
        )
        # References to the weights, not copies: replacing a weight tensor would break the average.
        self._weights = module.state_dict()
        self._average = {k: v.clone() for k, v in self._weights.items()}
        self._pending: deque[LossRecord] = deque()
        self.step = 0
        """Iterations done."""
        self.seconds = 0.0
        """Time of all iterations so far."""
        self.recent: list[float] = []
        """Losses since the last regular line of the log."""

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate: a linear warm-up, then half a cosine down to 1/500.

        The warm-up takes a tenth of the phase at most, so that a short run reaches the full rate.

        Args:
            progress: share of the phase that is done, 0 to 1.
        """
        rise = min(1.0, max((self.step + 1) / max(self._phase.warmup, 1), progress / WARMUP_SHARE))
        fall = 0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * progress))
        return self._phase.learning_rate * rise * fall

    def advance(self, loss: Tensor, progress: float) -> None:
        """Do one iteration.

        On a CPU, a loss that is NaN or infinite leaves the weights unchanged. A GPU is not waited
        for: the next call, or :meth:`check_losses`, reports the loss.

        Args:
            loss: the loss of this iteration, a scalar.
            progress: share of the phase that is done, 0 to 1.

        Raises:
            TrainingError: a loss, or a gradient in any process, is NaN or infinite.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = group.get("factor", 1) * self.learning_rate(progress)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        self._world.average_gradients(self.module)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), CLIP)
        self._pending.append(LossRecord.of(self.step + 1, loss, norm))
        self.check_losses(self.max_pending)
        self._optimizer.step()
        self.step += 1
        # A shorter average at first: it must not hold on to the initial weights.
        keep = min(self._phase.ema, self.step / (self.step + 9))
        average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]  # torch's stub
        average([*self._average.values()], [*self._weights.values()], None)

    def check_losses(self, max_pending: int = 0) -> None:
        """Read the losses of the last iterations and append them to :attr:`recent`.

        Args:
            max_pending: iterations at the end that need not be computed yet.

        Raises:
            TrainingError: a loss, or a gradient's norm, is NaN or infinite.
        """
        while len(self._pending) > max_pending:
            record = self._pending.popleft()
            loss, norm = record.read()
            if not math.isfinite(norm) or not math.isfinite(loss):
                raise TrainingError(
                    f"the loss of iteration {record.step} is {loss}, its gradient's norm {norm}"
                )
            self.recent.append(loss)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights into the network for a block, then restore the trained ones."""
        trained = {k: v.clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self._average)
        try:
            yield
        finally:
            self.module.load_state_dict(trained)

    def load_average(self) -> None:
        """Replace the network's weights by their average, for good."""
        self.module.load_state_dict(self._average)

    def state(self) -> dict[str, Any]:
        """Return what an exact resume needs, except the network's own weights."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "average": self._average,
            "step": self.step,
            "seconds": self.seconds,
            "recent": self.recent,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned; the caller loads the network's own weights."""
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group["fused"] = self._on_gpu  # the state may come from another kind of device
        self._average = {
            k: state["average"][k].to(v.device, copy=True) for k, v in self._average.items()
        }
        self.step, self.seconds = state["step"], state["seconds"]
        self.recent = list(state["recent"])
