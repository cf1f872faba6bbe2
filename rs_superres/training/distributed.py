"""The processes of a training run: one, or as many as ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class World:
    """The rank of this process and the number of processes in the run."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files and scores the model."""
        return self.rank == 0

    def average_gradients(self, module: nn.Module) -> None:
        """Replace each gradient of a module by its mean over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def all_reduce_max(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Return the maximum of each value over all processes.

        Every process must call this, and every process gets the same result.

        Args:
            values: this process's values, the same number in each process.
            device: the device of this process, on which the values are exchanged.
        """
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        maxima: list[float] = shared.tolist()
        return maxima


def is_main_process() -> bool:
    """Return whether this process has rank 0, before the processes are connected."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Connect the processes that ``torchrun`` describes in the environment, for a block.

    Without ``torchrun`` the world is this process alone.

    Args:
        device: the device of this process; CUDA devices communicate by NCCL, others by Gloo.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """Return this process's GPU if several processes of one machine share the run.

    Args:
        device: the requested device; returned unchanged if it is not a GPU or the process is alone.
    """
    local = os.environ.get("LOCAL_RANK")
    if device.type != "cuda" or local is None:
        return device
    return torch.device("cuda", int(local))
