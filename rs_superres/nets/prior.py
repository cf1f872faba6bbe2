"""The neural-operator prior: an image in, the same scene on any finer grid out.

:class:`PaperPrior` is the paper's: its Galerkin context is the mean over the image at hand, which
makes every pixel depend on all others. :class:`ScenePrior` is the one that we ship: its contexts
are constants of the model, means over many training images at each scale, so a value depends on
the pixels within the encoder's radius alone and tiles agree with the untiled scene.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rs_superres.nets.encoders import Edsr, Rdn, interior
from rs_superres.nets.folded import FoldedOperator, fold
from rs_superres.nets.galerkin import AxisSamples, NeuralOperator, paper_samples


def interpolated(values: Tensor, scales: Sequence[float], scale: float) -> Tensor:
    """One entry of a table over scales, linear in log(scale) and held beyond its ends.

    Args:
        values: (n, ...) the table.
        scales: its n magnifications, increasing.
        scale: the magnification sought.
    """
    sought = min(max(scale, scales[0]), scales[-1])
    after = max(1, bisect_left(scales, sought))
    low, high = scales[after - 1], scales[after]
    return torch.lerp(values[after - 1], values[after], math.log(sought / low, high / low))


class PaperPrior(nn.Module):
    """SRNO as the paper's release computes it (spec section 1)."""

    def __init__(self, encoder: Edsr | Rdn, operator: NeuralOperator) -> None:
        super().__init__()
        self.encoder = encoder
        self.operator = operator

    def forward(self, image: Tensor, shape: tuple[int, int]) -> Tensor:
        """The prior on a grid over the image's extent, with the paper's coordinates.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            shape: (H, W) of the grid.

        Returns:
            (b, 3, H, W), about [-1, 1].
        """
        size = torch.tensor(image.shape[2:], dtype=torch.float64)
        cell = 2 * size / torch.tensor(shape, dtype=torch.float64)
        rows, columns = (
            paper_samples(n, cells).to(image.device)
            for n, cells in zip(shape, image.shape[2:], strict=True)
        )
        return self.grid(image, rows, columns, cell)

    def grid(self, image: Tensor, rows: AxisSamples, columns: AxisSamples, cell: Tensor) -> Tensor:
        """The prior on the grid rows x columns: (b, 3, rows, columns).

        Args:
            image: (b, 3, h, w) in [-1, 1].
            rows: the grid's rows.
            columns: the grid's columns.
            cell: (2,) an output pixel's size in half source pixels.
        """
        features = self.encoder(image)
        values = self.operator(self.operator.lifted(features, rows, columns, cell))
        skip = linear(image, rows, columns)
        out: Tensor = values.transpose(1, 2).reshape(skip.shape) + skip
        return out


def linear(image: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
    """Bilinear interpolation on the grid rows x columns: (b, c, rows, columns)."""
    down, across = rows.weights().to(image), columns.weights().to(image)
    # Mixed precision is for networks: this is what their results are added to.
    with torch.autocast(image.device.type, enabled=False):
        tall = torch.einsum("bcrkw,rk->bcrw", image[:, :, rows.index], down)
        return torch.einsum("bchrk,rk->bchr", tall[:, :, :, columns.index], across)


def scene_samples(positions: Tensor, origin: int = 0) -> AxisSamples:
    """The samples of exact positions on an axis, without the paper's 1e-6 shift.

    Args:
        positions: (n,) float64 in cells, a cell's centre at its integer.
        origin: the cell that the features' first row or column stands for.
    """
    first = positions.floor()
    near = torch.stack((first, first + 1), dim=1)
    relative = 2 * (positions[:, None] - near)
    return AxisSamples(index=near.long() - origin, relative=relative.float())


def cubic_weights(samples: AxisSamples) -> Tensor:
    """Keys' cubic (a = -1/2) weights of the cells -1, 0, 1, 2 around each query: (n, 4)."""
    t = samples.relative[:, 0] / 2
    distance = torch.stack((t + 1, t, 1 - t, 2 - t), dim=1)
    inner = (1.5 * distance - 2.5) * distance**2 + 1
    outer = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, inner, outer)


def cubic(image: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
    """Cubic convolution (Keys 1981) of an image on the grid rows x columns.

    Args:
        image: (b, c, h, w); each query needs the cells -1 to 2 around it.
        rows: the grid's rows.
        columns: the grid's columns.

    Returns:
        (b, c, rows, columns) in the dtype of ``image``.
    """
    down, across = (
        _cubic_matrix(samples, size).to(image)
        for samples, size in zip((rows, columns), image.shape[2:], strict=True)
    )
    # Mixed precision is for networks: this is what their results are added to.
    with torch.autocast(image.device.type, enabled=False):
        return (down @ image) @ across.T


def _cubic_matrix(samples: AxisSamples, size: int) -> Tensor:
    """Cubic convolution along an axis of ``size`` cells, as a matrix: (n, size).

    Nearly all of it is zero, and as a product it is still several times faster than gathering.
    """
    taps = torch.arange(-1, 3, device=samples.index.device)
    matrix = torch.zeros(len(samples.index), size, device=samples.index.device)
    return matrix.scatter_(1, samples.index[:, :1] + taps, cubic_weights(samples))


class ScenePrior(nn.Module):
    """The shipped prior: a local operator, the same for a tile as for the whole scene.

    Args:
        encoder: its ``radius`` is the halo that a window needs (plus the 2 cells of the cubic).
        operator: evaluated with the stored contexts.
        scales: the magnifications at which contexts are stored, increasing.
    """

    contexts: Tensor
    """(scales, 2, heads, head_dim, head_dim): the mean context of each block at each scale."""
    context_scales: Tensor
    """(scales,) the magnifications."""

    def __init__(
        self, encoder: Edsr | Rdn, operator: NeuralOperator, scales: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.operator = operator
        self.scales = scales
        heads, d = operator.heads, operator.head_dim
        self.register_buffer("contexts", torch.zeros(len(scales), 2, heads, d, d))
        self.register_buffer("context_scales", torch.tensor(scales))
        nn.init.zeros_(operator.output.weight)  # begins as the cubic interpolation
        nn.init.zeros_(operator.output.bias)

    @property
    def halo(self) -> int:
        """Source pixels around a query that its value depends on."""
        return self.encoder.radius + 2

    def contexts_at(self, scale: float) -> Tensor:
        """(2, heads, head_dim, head_dim), linear in log(scale) between the stored ones."""
        return interpolated(self.contexts, self.scales, scale)

    def folded(self, scale: float, cell: Tensor) -> FoldedOperator:
        """The operator at one scale, ready for grids.

        Args:
            scale: the magnification.
            cell: (2,) an output pixel's size in half source pixels, (row, column).
        """
        return fold(self.operator, self.contexts_at(scale), cell)

    def grid(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples, folded: FoldedOperator
    ) -> Tensor:
        """The prior on the grid rows x columns, by the folded operator.

        Args:
            image: (b, 3, h, w) in network values.
            rows: the grid's rows; each at least :attr:`halo` from the image's border.
            columns: the grid's columns, likewise.
            folded: of the scale.

        Returns:
            (b, 3, rows, columns) in network values.
        """
        return cubic(image, rows, columns) + self.detail(image, rows, columns, folded)

    def detail(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples, folded: FoldedOperator
    ) -> Tensor:
        """What :meth:`grid` adds to the cubic interpolation, by itself: (b, 3, rows, columns)."""
        r = self.encoder.radius
        with_halo = all(
            r <= int(along.index.min()) and int(along.index.max()) < size - r
            for along, size in zip((rows, columns), image.shape[2:], strict=True)
        )
        if with_halo:
            features = interior(self.encoder, image)
            rows, columns = rows.moved(-r), columns.moved(-r)
        else:  # training: crops too small for a halo, zeros around them
            features = self.encoder(image)
        with torch.autocast(image.device.type, enabled=False):
            return torch.stack(
                [folded(f.permute(1, 2, 0).contiguous(), rows, columns) for f in features]
            )

    def residual(
        self,
        image: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        cell: Tensor,
        contexts: Tensor | None = None,
    ) -> Tensor:
        """What the operator adds to the cubic interpolation, unfolded.

        The path that training differentiates; contexts are those of the image when None.

        Args:
            image: (b, 3, h, w) in network values.
            rows: the grid's rows.
            columns: the grid's columns.
            cell: (2,) an output pixel's size in half source pixels.
            contexts: (2, heads, head_dim, head_dim).

        Returns:
            (b, 3, rows, columns).
        """
        features = self.encoder(image)
        lifted = self.operator.lifted_first(features, rows, columns, cell)
        values: Tensor = self.operator(lifted, contexts)
        shape = len(image), 3, len(rows.index), len(columns.index)
        return values.transpose(1, 2).reshape(shape)
