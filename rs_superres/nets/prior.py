"""The neural-operator prior: an image in, the same scene on any finer grid out.

:class:`PaperPrior` is the prior of NeurOp-Diff. Its Galerkin context is a mean over the image, so
every output pixel depends on all input pixels. :class:`ScenePrior` is the prior of the shipped
models. Its contexts are constants of the model: means over many training images at each scale. So
a value depends only on the pixels within the encoder's radius, and cells agree with a scene that
is computed at once.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rs_superres.config import UNKNOWN, SourceQuality
from rs_superres.nets.encoders import Edsr, Encoder, valid_features
from rs_superres.nets.folded import FoldedOperator, fold
from rs_superres.nets.galerkin import AxisSamples, NeuralOperator, paper_samples
from rs_superres.nets.source import Estimator, Qualities


def interpolate_scales(values: Tensor, scales: Sequence[float], scale: float) -> Tensor:
    """Interpolate a table over scales, linearly in log(scale).

    Args:
        values: (n, ...) the table.
        scales: its n increasing scales.
        scale: where to read it; clamped to the range of ``scales``.

    Returns:
        (...), one entry of the table.
    """
    clamped = min(max(scale, scales[0]), scales[-1])
    after = max(1, bisect_left(scales, clamped))
    low, high = scales[after - 1], scales[after]
    return torch.lerp(values[after - 1], values[after], math.log(clamped / low, high / low))


class PaperPrior(nn.Module):
    """The prior of NeurOp-Diff (arXiv 2501.09054): SRNO plus bilinear interpolation."""

    def __init__(self, encoder: Encoder, operator: NeuralOperator) -> None:
        super().__init__()
        self.encoder = encoder
        self.operator = operator

    def forward(self, image: Tensor, shape: tuple[int, int]) -> Tensor:
        """Evaluate the prior on a grid over the image's extent, with the paper's coordinates.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            shape: (H, W) of the grid.

        Returns:
            (b, 3, H, W), about [-1, 1].
        """
        size = torch.tensor(image.shape[2:], dtype=torch.float64)
        pixel_size = 2 * size / torch.tensor(shape, dtype=torch.float64)
        rows, columns = (
            paper_samples(queries, pixels).to(image.device)
            for queries, pixels in zip(shape, image.shape[2:], strict=True)
        )
        return self.grid(image, rows, columns, pixel_size)

    def grid(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples, pixel_size: Tensor
    ) -> Tensor:
        """Evaluate the prior on the grid rows x columns, as the paper defines it.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            rows: the grid's rows.
            columns: the grid's columns.
            pixel_size: (2,) size (row, column) of an output pixel in half source pixels.

        Returns:
            (b, 3, rows, columns), about [-1, 1].
        """
        features = self.encoder(image)
        values = self.operator(self.operator.lifted(features, rows, columns, pixel_size))
        skip = linear(image, rows, columns)
        out: Tensor = values.transpose(1, 2).reshape(skip.shape) + skip
        return out


def linear(image: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
    """Interpolate an image bilinearly on the grid rows x columns.

    Args:
        image: (b, c, h, w).
        rows: the grid's rows.
        columns: the grid's columns.

    Returns:
        (b, c, rows, columns) in the dtype of ``image``, also under autocast.
    """
    down, across = rows.weights().to(image), columns.weights().to(image)
    # The networks' results are added to this, so it must not lose precision.
    with torch.autocast(image.device.type, enabled=False):
        tall = torch.einsum("bcrkw,rk->bcrw", image[:, :, rows.index], down)
        return torch.einsum("bchrk,rk->bchr", tall[:, :, :, columns.index], across)


def scene_samples(positions: Tensor, origin: int = 0) -> AxisSamples:
    """Return the samples of exact positions on an axis, without the paper's shift by 1e-6.

    Args:
        positions: (n,) float64 in source pixels; the centre of pixel i is at i.
        origin: the source pixel of the image's first row or column.
    """
    first = positions.floor()
    index = torch.stack((first, first + 1), dim=1)
    relative = 2 * (positions[:, None] - index)
    return AxisSamples(index=index.long() - origin, relative=relative.float())


def cubic_weights(samples: AxisSamples) -> Tensor:
    """Return (n, 4) weights of the pixels -1, 0, 1, 2 around each query.

    Cubic convolution (Keys 1981, eq. 15), a = -1/2; pixel 0 is the one before the query.
    """
    t = samples.relative[:, 0] / 2
    distance = torch.stack((t + 1, t, 1 - t, 2 - t), dim=1)
    inner = (1.5 * distance - 2.5) * distance**2 + 1
    outer = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, inner, outer)


def cubic(image: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
    """Interpolate an image by cubic convolution (Keys 1981) on the grid rows x columns.

    Args:
        image: (b, c, h, w); it must hold the pixels -1 to 2 around each query.
        rows: the grid's rows.
        columns: the grid's columns.

    Returns:
        (b, c, rows, columns) in the dtype of ``image``, also under autocast.
    """
    down, across = (
        _cubic_matrix(samples, size).to(image)
        for samples, size in zip((rows, columns), image.shape[2:], strict=True)
    )
    # The networks' results are added to this, so it must not lose precision.
    with torch.autocast(image.device.type, enabled=False):
        return (down @ image) @ across.T


def _cubic_matrix(samples: AxisSamples, size: int) -> Tensor:
    """Return cubic convolution along an axis of ``size`` pixels as a matrix, (n, size).

    The matrix is nearly all zeros, but a product with it is several times faster than gathering.
    """
    taps = torch.arange(-1, 3, device=samples.index.device)
    matrix = torch.zeros(len(samples.index), size, device=samples.index.device)
    return matrix.scatter_(1, samples.index[:, :1] + taps, cubic_weights(samples))


class Orientation(NamedTuple):
    """One of the eight ways to see an image: mirrored, turned, or both."""

    swapped: bool
    """Whether rows and columns change places, after they are reversed."""
    down: bool
    """Whether the rows are in reverse order."""
    across: bool
    """Whether the columns are in reverse order."""

    def seen(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples
    ) -> tuple[Tensor, AxisSamples, AxisSamples]:
        """Return an image, (b, c, h, w), and the rows and columns of a grid in it, so oriented."""
        rows = rows.reversed(image.shape[2]) if self.down else rows
        columns = columns.reversed(image.shape[3]) if self.across else columns
        image = image.flip(self._reversed)
        return (image.mT, columns, rows) if self.swapped else (image, rows, columns)

    def back(self, values: Tensor) -> Tensor:
        """Return values on the oriented grid, (b, c, rows, columns), on the grid itself."""
        return (values.mT if self.swapped else values).flip(self._reversed)

    @property
    def _reversed(self) -> list[int]:
        return [2] * self.down + [3] * self.across


ORIENTATIONS = tuple(
    Orientation(*map(bool, flags))
    for flags in ((0, 0, 0), (1, 1, 1), (0, 0, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1), (0, 1, 1),
                  (1, 0, 0))
)  # fmt: skip
"""All orientations. The first two gain more than half of what all eight gain."""


class FoldedPrior(NamedTuple):
    """The networks of a :class:`ScenePrior`, folded for one scale and one source."""

    encoder: Encoder
    operator: FoldedOperator
    swapped: FoldedOperator
    """The operator for images whose rows and columns change places; only an ensemble uses it."""
    ensemble: int = 1
    """Number of :data:`ORIENTATIONS` whose results are averaged."""

    def to(self, dtype: torch.dtype) -> FoldedPrior:
        """Return the same networks, with the operator computed in another dtype."""
        return self._replace(operator=self.operator.to(dtype), swapped=self.swapped.to(dtype))


class ScenePrior(nn.Module):
    """The prior of the shipped models: a local operator plus cubic interpolation.

    Args:
        encoder: the feature encoder; its radius determines :attr:`halo`.
        operator: evaluated with the stored contexts.
        scales: increasing scales at which contexts are stored.
    """

    contexts: Tensor
    """(scales, 2, heads, head_dim, head_dim): the mean context of each block at each scale."""
    context_scales: Tensor
    """(scales,): the scales."""

    def __init__(
        self, encoder: Encoder, operator: NeuralOperator, scales: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.operator = operator
        self.scales = scales
        self.estimator = Estimator() if self.source_aware else None
        heads, d = operator.heads, operator.head_dim
        self.register_buffer("contexts", torch.zeros(len(scales), 2, heads, d, d))
        self.register_buffer("context_scales", torch.tensor(scales))
        # The untrained prior is the cubic interpolation.
        nn.init.zeros_(operator.output.weight)
        nn.init.zeros_(operator.output.bias)

    @property
    def source_aware(self) -> bool:
        """Whether the values depend on blur and noise of the source."""
        return isinstance(self.encoder, Edsr) and self.encoder.modulation is not None

    @property
    def halo(self) -> int:
        """Source pixels around a query that its value depends on."""
        return self.encoder.radius + 2

    def contexts_at(self, scale: float) -> Tensor:
        """Return the contexts at a scale, interpolated linearly in log(scale).

        Returns:
            (2, heads, head_dim, head_dim).
        """
        return interpolate_scales(self.contexts, self.scales, scale)

    def folded(
        self,
        scale: float,
        pixel_size: Tensor,
        quality: SourceQuality = UNKNOWN,
        *,
        ensemble: int = 1,
    ) -> FoldedPrior:
        """Fold the networks for one scale and one source, for use by :meth:`grid`.

        Args:
            scale: the factor between source and result pixels.
            pixel_size: (2,) size (row, column) of an output pixel in half source pixels.
            quality: blur and noise of the source; only a source-aware prior uses them.
            ensemble: number of orientations that the prior sees the image in, 1 to 8. Their mean
                is closer to the truth ("self-ensemble", Lim et al. 2017, arXiv 1707.02921).
        """
        encoder = self.encoder
        if isinstance(encoder, Edsr):
            encoder = encoder.folded(quality, scale)
        contexts = self.contexts_at(scale)
        operator = swapped = fold(self.operator, contexts, pixel_size)
        if ensemble > 1:
            swapped = fold(self.operator, contexts, pixel_size.flip(0))
        return FoldedPrior(encoder, operator, swapped, ensemble)

    def features(self, image: Tensor, scale: float, qualities: Qualities | None) -> Tensor:
        """Compute the features of images for training, padded with zeros.

        Args:
            image: (b, 3, h, w) in network values.
            scale: the factor between source and result pixels.
            qualities: blur and noise of each image; only a source-aware prior uses them. None if
                nothing is known of them.

        Returns:
            (b, channels, h, w).
        """
        if not isinstance(self.encoder, Edsr) or not self.source_aware:
            plain: Tensor = self.encoder(image)
            return plain
        qualities = qualities or Qualities.of(UNKNOWN).to(image.device)
        aware: Tensor = self.encoder(image, qualities, scale)
        return aware

    def grid(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples, folded: FoldedPrior
    ) -> Tensor:
        """Evaluate the prior on the grid rows x columns, with the folded networks.

        Args:
            image: (b, 3, h, w) in network values.
            rows: the grid's rows. If they are at least :attr:`halo` from the image's border, the
                values do not depend on where the image ends.
            columns: the grid's columns, likewise.
            folded: the networks for the grid's scale, and the source's quality.

        Returns:
            (b, 3, rows, columns) in network values.
        """
        return cubic(image, rows, columns) + self.detail(image, rows, columns, folded)

    def detail(
        self, image: Tensor, rows: AxisSamples, columns: AxisSamples, folded: FoldedPrior
    ) -> Tensor:
        """Compute the result of :meth:`grid` minus the cubic interpolation.

        Args:
            image: (b, 3, h, w) in network values.
            rows: the grid's rows; see :meth:`grid`.
            columns: the grid's columns, likewise.
            folded: the networks for the grid's scale, and the source's quality.

        Returns:
            (b, 3, rows, columns) in network values.
        """
        if folded.ensemble == 1:
            return self._detail(image, rows, columns, folded.encoder, folded.operator)
        total = torch.zeros(())
        for orientation in ORIENTATIONS[: folded.ensemble]:
            operator = folded.swapped if orientation.swapped else folded.operator
            seen = orientation.seen(image, rows, columns)
            total = total + orientation.back(self._detail(*seen, folded.encoder, operator))
        return total / folded.ensemble

    def _detail(
        self,
        image: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        encoder: Encoder,
        operator: FoldedOperator,
    ) -> Tensor:
        """Compute the detail by one view of an image; see :meth:`detail`."""
        r = self.encoder.radius
        has_halo = all(
            r <= int(samples.index.min()) and int(samples.index.max()) < size - r
            for samples, size in zip((rows, columns), image.shape[2:], strict=True)
        )
        if has_halo:
            features = valid_features(encoder, image)
            rows, columns = rows.shifted(-r), columns.shifted(-r)
        else:  # training crops are too small for a halo: pad them with zeros
            features = encoder(image)
        with torch.autocast(image.device.type, enabled=False):
            return operator.images(features, rows, columns)

    def residual(
        self,
        image: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        pixel_size: Tensor,
        contexts: Tensor | None = None,
        qualities: Qualities | None = None,
    ) -> Tensor:
        """Compute the prior minus the cubic interpolation, with gradients, for training.

        Args:
            image: (b, 3, h, w) in network values.
            rows: the grid's rows.
            columns: the grid's columns.
            pixel_size: (2,) size (row, column) of an output pixel in half source pixels.
            contexts: (2, heads, head_dim, head_dim); None takes them from the images.
            qualities: blur and noise of each image; only a source-aware prior uses them.

        Returns:
            (b, 3, rows, columns) in network values.
        """
        features = self.features(image, 2 / float(pixel_size.prod().sqrt()), qualities)
        lifted = self.operator.lifted_by_products(features, rows, columns, pixel_size)
        values: Tensor = self.operator(lifted, contexts)
        shape = len(image), 3, len(rows.index), len(columns.index)
        return values.transpose(1, 2).reshape(shape)
