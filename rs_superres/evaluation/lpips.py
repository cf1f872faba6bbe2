"""LPIPS v0.1 'squeeze' (Zhang et al. 2018): a perceptual difference of two pictures.

The backbone, the features of SqueezeNet 1.1 (Iandola et al. 2016), was trained on ImageNet.
rs-sr does not ship its weights: :func:`download_backbone` gets those of torchvision, without
torchvision itself, or the user gives a file. The few linear weights on top of it are shipped.
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

IMAGENET_MEAN = (-0.030, -0.088, -0.188)
"""Means of the pictures that the backbone was trained on: red, green and blue on [-1, 1]."""

IMAGENET_STD = (0.458, 0.448, 0.450)
"""Standard deviations of the same pictures."""

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
"""Fire modules by layer number: channels of the input, of the squeeze, and of each expansion."""

TAPS = (1, 4, 7, 9, 10, 11, 12)
"""Numbers of the layers after which features are compared."""

LEAST_SIDE = 32
"""Pixels that a picture must have on each side."""


URL = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
"""Torchvision's weights of SqueezeNet 1.1, 4.7 MB; the name holds the start of their SHA-256."""


def backbone() -> Path:
    """Return where the downloaded backbone lies: the file that torchvision would use too."""
    return Path(torch.hub.get_dir()) / "checkpoints" / URL.rpartition("/")[2]


def download_backbone() -> Path:
    """Download the backbone unless it lies in the cache, check it, and return its path.

    Raises:
        ModelError: it cannot be downloaded or kept, or is not the expected file.
    """
    path = backbone()
    if path.is_file():
        return path
    digest = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError) as error:  # RuntimeError: another checksum
        reason = " ".join(str(error).split())
        raise ModelError(
            f"cannot download the LPIPS backbone: {reason}; download {URL} on another machine and "
            "give the file by lpips_backbone="
        ) from error
    return path


class Fire(nn.Module):
    """SqueezeNet's module: squeeze the channels, then expand them by two kernels in parallel."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, channels, h, w) to (b, 2 expanded, h, w)."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class Lpips(nn.Module):
    """The perceptual difference of pictures: 0 for equal ones, larger for less similar ones."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        pools = {number: nn.MaxPool2d(3, 2, ceil_mode=True) for number in (2, 5, 8)}
        fires = {number: Fire(*channels) for number, channels in FIRES.items()}
        first: dict[int, nn.Module] = {0: nn.Conv2d(3, 64, 3, 2), 1: nn.ReLU()}
        layers = first | pools | fires
        self.features = nn.Sequential(*(layers[number] for number in sorted(layers)))
        file = resources.files("rs_superres.evaluation").joinpath("lpips_squeeze.safetensors")
        heads = load(file.read_bytes())
        for number in range(len(TAPS)):
            self.register_buffer(f"head{number}", heads[f"head{number}"])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    @classmethod
    def read(cls, path: Path) -> Lpips:
        """Read the backbone's weights.

        Args:
            path: the state dict of torchvision's SqueezeNet 1.1 ``features``.

        Raises:
            ModelError: the file cannot be read, or holds another network.
        """
        lpips = cls()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = {name.removeprefix("features."): value for name, value in state.items()}
            lpips.features.load_state_dict({n: state[n] for n in lpips.features.state_dict()})
        except Exception as error:  # a damaged file may raise anything
            raise ModelError(
                f"cannot read the LPIPS backbone {path}, expected a state dict of SqueezeNet 1.1's "
                f"features: {type(error).__name__}"
            ) from error
        return lpips.eval().requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the differences of pictures, (b, 3, h, w) on [-1, 1] each, as (b,)."""
        total = torch.zeros(len(one))
        features = zip(self._features(one), self._features(other), strict=True)
        for number, (a, b) in enumerate(features):
            squares = (functional.normalize(a, eps=1e-10) - functional.normalize(b, eps=1e-10)) ** 2
            head: Tensor = getattr(self, f"head{number}")
            total = total + (squares * head[:, None, None]).sum(1).mean((1, 2))
        return total

    def _features(self, x: Tensor) -> list[Tensor]:
        """Return the features that are compared, (b, c, h, w) each."""
        features = []
        x = (x - self.mean) / self.std
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in TAPS:
                features.append(x)
        return features

    def distance(self, one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
        """Return the difference of two pictures, (3, y, x) on [-1, 1]; NaN if too small."""
        if min(one.shape[1:]) < LEAST_SIDE:
            return float("nan")
        a, b = (torch.from_numpy(x.astype(np.float32))[None] for x in (one, other))
        with fixed_threads(), torch.inference_mode():
            return float(self(a, b)[0])
