"""LPIPS v0.1 'squeeze' (Zhang et al. 2018): how different two pictures look to a network.

The backbone, SqueezeNet 1.1's features (Iandola et al. 2016), is given by the user: its weights
were learnt from ImageNet and do not ship. The few linear weights on top of it do.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from rs_superres.errors import ModelError
from rs_superres.system.threads import fixed_threads

MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the pictures that the backbone saw, red, green and blue on [-1, 1]."""

FIRES = {
    3: (64, 16, 64),
    4: (128, 16, 64),
    6: (128, 32, 128),
    7: (256, 32, 128),
    9: (256, 48, 192),
    10: (384, 48, 192),
    11: (384, 64, 256),
    12: (512, 64, 256),
}
"""Place in the backbone: channels in, squeezed, and of each of the two expansions."""

TAPS = (1, 4, 7, 9, 10, 11, 12)
"""Places after which features are compared."""

LEAST = 32
"""Pixels of a side, at least."""


class Fire(nn.Module):
    """Squeeze, and expand by two kernels side by side."""

    def __init__(self, given: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(given, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, given, h, w) to (b, 2 expanded, h, w)."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class Lpips(nn.Module):
    """The distance of pictures."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        pools = {place: nn.MaxPool2d(3, 2, ceil_mode=True) for place in (2, 5, 8)}
        fires = {place: Fire(*channels) for place, channels in FIRES.items()}
        first: dict[int, nn.Module] = {0: nn.Conv2d(3, 64, 3, 2), 1: nn.ReLU()}
        layers = first | pools | fires
        self.features = nn.Sequential(*(layers[place] for place in sorted(layers)))
        heads = load(
            resources.files("rs_superres.evaluation").joinpath("lpips_squeeze.safetensors")
            .read_bytes()
        )  # fmt: skip
        for number in range(len(TAPS)):
            self.register_buffer(f"head{number}", heads[f"head{number}"])
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])

    @classmethod
    def read(cls, path: Path) -> Lpips:
        """With a backbone's weights: the state dict of torchvision's ``features``.

        Raises:
            ModelError: it cannot be read, or is another network's.
        """
        made = cls()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = {name.removeprefix("features."): value for name, value in state.items()}
            wanted = made.features.state_dict()
            made.features.load_state_dict({name: state[name] for name in wanted})
        except Exception as error:  # what a broken file raises is of any type
            raise ModelError(
                f"cannot read the LPIPS backbone {path}, expected a state dict of SqueezeNet 1.1's "
                f"features: {type(error).__name__}"
            ) from error
        return made.eval().requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """The distance of pictures (b, 3, h, w) on [-1, 1]: (b,)."""
        total = torch.zeros(len(one))
        for number, (a, b) in enumerate(zip(self._seen(one), self._seen(other), strict=True)):
            apart = (functional.normalize(a, eps=1e-10) - functional.normalize(b, eps=1e-10)) ** 2
            head: Tensor = getattr(self, f"head{number}")
            total = total + (apart * head[:, None, None]).sum(1).mean((1, 2))
        return total

    def _seen(self, x: Tensor) -> list[Tensor]:
        """The features that are compared."""
        out = []
        x = (x - self.mean) / self.deviation
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in TAPS:
                out.append(x)
        return out

    def distance(self, one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
        """Of two pictures, (3, y, x) on [-1, 1]; no number where they are too small."""
        if min(one.shape[1:]) < LEAST:
            return float("nan")
        a, b = (torch.from_numpy(x.astype(np.float32))[None] for x in (one, other))
        with fixed_threads(), torch.inference_mode():
            return float(self(a, b)[0])
