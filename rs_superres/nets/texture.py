"""Texture: a few steps of diffusion draw what the prior misses, in whitened sub-bands.

What a prior misses is far stronger on some ground than on other, strongest at certain frequencies,
and much the same in red, green and blue. So three steps turn truth minus prior into data that looks
like white noise:

1. An orthonormal transform separates luminance from two colour differences, and the frequencies
   within squares of pixels (:class:`SubBands`).
2. Stored standard deviations make each sub-band of about unit size, at every scale.
3. A network looks at the prior, and predicts how much larger or smaller truth minus prior is at
   each place, in each sub-band (:attr:`TextureDenoiser.spread`).

In this space the noise that sampling starts from already has the power, the colours and the places
of the missing detail. The second network turns it, in a few steps, into detail that fits the prior.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.config import UNKNOWN, SourceQuality, TextureConfig
from rs_superres.diffusion.samplers import rotate
from rs_superres.nets.encoders import ResidualBlocks, conv3x3
from rs_superres.nets.prior import interpolate_scales
from rs_superres.nets.source import Modulation, Qualities
from rs_superres.types import Doubles

LARGEST_SPREAD = 3.0
"""Largest logarithm of a predicted standard deviation, in units of the stored one."""

SMALLEST_SPREAD = -5.0
"""Smallest logarithm of a predicted standard deviation, in units of the stored one."""

LARGEST_DETAIL = 12.0
"""Largest detail in training, in standard deviations that the network itself predicts."""

SPREAD_WEIGHT = 0.1
"""Weight of the loss of the predicted standard deviations, relative to the diffusion loss."""

LEAST_ANGLE = 0.07
"""Smallest angle in training; below it hardly any noise is left."""

LEAST_DEVIATION = 1e-4
"""Smallest standard deviation of a sub-band, network values."""

LEAST_GRADIENT = 1e-4
"""Differences between pixels two apart that have no direction, network values."""

FLAT = 0.004
"""Contrast of the prior at which half of the predicted variance is kept, network values: half of an
8-bit digital number."""

EDGES = 8.0
"""How much less is drawn along edges: the share of the texture is raised to the power of 1 + EDGES
times the squared coherence. Detail that is drawn there without knowing the edge makes it ragged."""

START_ANGLE = 1.2
"""Angle at which sampling starts, with noise alone. At larger angles the network knows hardly
anything about the detail, and its evaluation would be lost."""

MIDDLE_ANGLE, ANGLE_WIDTH = 0.8, 0.45
"""Mean and standard deviation of the angles in training, for inputs of about unit size."""


class SubBands(nn.Module):
    """An orthonormal transform into luminance, two colour differences, and frequencies.

    The frequencies are those of the discrete cosine transform of squares of pixels. White noise of
    unit standard deviation remains white noise of unit standard deviation.

    Args:
        side: side of the squares in pixels.
    """

    matrix: Tensor
    """(3 side^2, 3 side^2) from pixels of a square, by band, row and column, to sub-bands."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        # With NumPy: on torch's meta device, on which a model's weights are checked, a norm imports
        # the compiler, which takes seconds.
        colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
        colours /= np.sqrt(np.square(colours).sum(axis=1, keepdims=True))
        cosines = _cosines(side)
        matrix = np.einsum("cb,iy,jx->cijbyx", colours, cosines, cosines)
        size = 3 * side**2
        flat = torch.from_numpy(matrix.reshape(size, size).astype(np.float32))
        self.register_buffer("matrix", flat, persistent=False)

    @property
    def count(self) -> int:
        """Number of sub-bands."""
        return len(self.matrix)

    def forward(self, image: Tensor) -> Tensor:
        """Map (b, 3, h, w) to (b, count, h / side, w / side)."""
        return self._product(self.matrix, F.pixel_unshuffle(image.float(), self.side))

    def image(self, values: Tensor) -> Tensor:
        """Map sub-bands, (b, count, h, w), back to an image, (b, 3, side h, side w)."""
        return F.pixel_shuffle(self._product(self.matrix.T, values.float()), self.side)

    def deviation(self, deviations: Tensor) -> Tensor:
        """Return the standard deviation of each pixel from those of independent sub-bands.

        Args:
            deviations: (b, count, h, w) standard deviations of the sub-bands.

        Returns:
            (b, 3, side h, side w).
        """
        variances = self._product(self.matrix.T.square(), deviations.float().square())
        return F.pixel_shuffle(variances, self.side).sqrt()

    def _product(self, matrix: Tensor, values: Tensor) -> Tensor:
        """Multiply the channels of each pixel by a matrix, in full precision."""
        with torch.autocast(values.device.type, enabled=False):
            return F.conv2d(values, matrix[:, :, None, None])


def _cosines(side: int) -> Doubles:
    """Return the orthonormal discrete cosine transform, (frequency, pixel)."""
    frequencies, pixels = np.arange(side)[:, None], np.arange(side) + 0.5
    matrix: Doubles = np.cos(math.pi / side * frequencies * pixels) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix


class Conditions(NamedTuple):
    """The inputs of the texture networks other than images."""

    qualities: Qualities
    """Blur and noise of the sources; see :class:`rs_superres.nets.source.Qualities`."""
    scale: float
    """The factor between source and result pixels."""


class Body(nn.Module):
    """Residual blocks on sub-bands, whose channels depend on scale, blur, noise and angle.

    There is no normalisation of activations: a result depends on its neighbourhood alone, and
    convolutions are nearly all of the work.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        channels: channels of the residual blocks.
        blocks: number of residual blocks.
        angle: whether the network also depends on an angle.
    """

    def __init__(
        self, inputs: int, outputs: int, channels: int, blocks: int, *, angle: bool
    ) -> None:
        super().__init__()
        self.head = conv3x3(inputs, channels)
        self.blocks = ResidualBlocks(channels, blocks)
        self.tail = conv3x3(channels, outputs)
        self.modulation: Modulation | None = Modulation(blocks, channels, extra=int(angle))
        # At first, the output is 0 and the blocks change little.
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(cast("Tensor", self.tail.bias))
        with torch.no_grad():
            for block in self.blocks.each:
                block.second.weight.mul_(0.1)

    def forward(
        self, x: Tensor, conditions: Conditions | None = None, angle: Tensor | None = None
    ) -> Tensor:
        """Map (b, inputs, h, w) to (b, outputs, h, w), float32.

        Args:
            x: the input.
            conditions: what the network knows of the images; None for a folded network.
            angle: (b, 1) in about unit size; None for a network that depends on none.
        """
        modulation = None
        if self.modulation is not None and conditions is not None:
            modulation = self.modulation(*conditions, angle)
        out: Tensor = self.tail(self.blocks(self.head(x), modulation))
        return out.float()

    @torch.no_grad()
    def folded(self, conditions: Conditions, angle: Tensor | None = None) -> Body:
        """Return the network for one source, scale and angle, which costs less to run."""
        assert self.modulation is not None  # noqa: S101 (for type checkers)
        modulation = self.modulation(*conditions, angle)[0]
        folded = copy.deepcopy(self)
        folded.modulation = None
        folded.blocks.fold(modulation)
        return folded


class Guide(NamedTuple):
    """What the texture of an image depends on."""

    inputs: Tensor
    """(b, count, h, w): sub-bands of the prior as networks take them, of about unit size."""
    spread: Tensor
    """(b, count, h, w): the logarithm of the predicted standard deviations of truth minus prior, in
    units of the stored ones."""
    deviations: Tensor
    """(b, count, h, w): the predicted standard deviations, network values."""


Draw = Callable[[Tensor], Tensor]
"""Draws a sample, (b, 3, h, w), from standard normal noise of the same shape."""

Sampler = Callable[[Tensor], tuple[Draw, Tensor]]
"""Prepares to draw samples around a prior, (b, 3, h, w), and predicts the standard deviations of
the sub-bands of its error, (b, count, h / side, w / side)."""


class TextureDenoiser(nn.Module):
    """Draw the detail that a prior misses, by diffusion in whitened sub-bands.

    An angle t from 0 to pi/2 mixes detail x and noise z of unit standard deviation: cos(t) x +
    sin(t) z. The network predicts the velocity cos(t) z - sin(t) x, by which sampling moves from
    pi/2 to 0 (TrigFlow: Lu and Song 2024, arXiv 2410.11081). Where the network knows nothing, the
    velocity is 0, and the noise itself is the sample.

    Args:
        config: sizes of the networks.
        scales: increasing scales at which standard deviations are stored.
    """

    deviations: Tensor
    """(scales, sub-bands): standard deviations of truth - prior at each scale, network values."""
    deviation_scales: Tensor
    """(scales,): the scales."""

    def __init__(self, config: TextureConfig, scales: Sequence[float]) -> None:
        super().__init__()
        self.bands = SubBands(config.patch)
        count = self.bands.count
        self.spread = Body(count, count, config.spread_channels, config.spread_blocks, angle=False)
        self.body = Body(3 * count, count, config.channels, config.blocks, angle=True)
        self.scales = tuple(scales)
        self.register_buffer("deviations", torch.full((len(scales), count), 0.05))
        self.register_buffer("deviation_scales", torch.tensor(self.scales))

    @property
    def multiple(self) -> int:
        """Images must be multiples of it in size; it is the side of the squares."""
        return self.bands.side

    def measured(self, error: Tensor) -> Tensor:
        """Return the standard deviations to store for truth minus prior, (b, 3, h, w): (count,)."""
        bands: Tensor = self.bands(error)
        return bands.square().mean((0, 2, 3)).sqrt()

    def stored(self, scale: float) -> Tensor:
        """Return the stored standard deviations at a scale, (sub-bands, 1, 1), network values."""
        table = self.deviations.clamp_min(LEAST_DEVIATION).log()
        return interpolate_scales(table, self.scales, scale).exp()[:, None, None]

    def guide(self, prior: Tensor, conditions: Conditions, spread: Body | None = None) -> Guide:
        """Predict where detail is missing, and how much.

        Args:
            prior: (b, 3, h, w) in network values; h and w are multiples of :attr:`multiple`.
            conditions: what is known of the images.
            spread: the folded network; None to use the complete one.
        """
        stored, bands = self.stored(conditions.scale), self.bands(prior)
        inputs = torch.cat((bands[:, :1] / self.multiple, (bands / stored)[:, 1:]), dim=1).asinh()
        out = self.spread(inputs, conditions) if spread is None else spread(inputs)
        spreads = out.clamp(SMALLEST_SPREAD, LARGEST_SPREAD)
        return Guide(inputs, spreads, stored * spreads.exp() * self._kept(bands))

    def _kept(self, bands: Tensor) -> Tensor:
        """Return the share of the deviations to keep around each square, 0 on constant ground.

        Args:
            bands: (b, count, h, w) sub-bands of the prior.

        Returns:
            (b, 1, h, w) in [0, 1]: the square root of v / (v + FLAT^2), with v the mean variance
            within 3 x 3 squares.
        """
        side = self.multiple
        b, _, h, w = bands.shape
        within = bands.view(b, 3, side**2, h, w)[:, :, 1:]  # without the means
        energy = within.square().mean((1, 2)).unsqueeze(1)
        variance = F.avg_pool2d(energy, 3, 1, 1, count_include_pad=False)
        return (variance / (variance + FLAT**2)).sqrt()

    def coherence(self, prior: Tensor) -> Tensor:
        """Measure how much the gradients around each square have one direction.

        Args:
            prior: (b, 3, h, w) in network values.

        Returns:
            (b, 1, h / side, w / side) from 0, for all directions alike, to 1, for a straight edge:
            the difference of the structure tensor's eigenvalues within 3 x 3 squares, divided by
            their sum (Bigun and Granlund 1987; over bands: Di Zenzo 1986).
        """
        padded = F.pad(prior, (1, 1, 1, 1), mode="replicate")
        across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        pairs = ((across, across), (down, down), (across, down))
        products = torch.stack([(one * other).sum(1) for one, other in pairs], dim=1)
        squares = F.avg_pool2d(products, self.multiple)
        around = F.avg_pool2d(squares, 3, 1, 1, count_include_pad=False)
        xx, yy, xy = (around[:, i : i + 1] for i in range(3))
        difference = ((xx - yy).square() + 4 * xy.square()).sqrt()
        coherence: Tensor = (difference / (xx + yy).clamp_min(LEAST_GRADIENT**2)).clamp(0, 1)
        return coherence

    def losses(
        self,
        error: Tensor,
        prior: Tensor,
        conditions: Conditions,
        noise: torch.Generator,
        draws: int = 1,
    ) -> Tensor:
        """Compute the loss of both networks.

        That of the standard deviations is the negative log-likelihood of independent normal
        sub-bands. That of the diffusion is the mean squared error of the velocity, at angles that
        are drawn uniformly.

        Args:
            error: (b, 3, h, w) truth minus prior, network values.
            prior: (b, 3, h, w) in network values.
            conditions: what is known of the images.
            noise: draws angles and noise, on the device of ``prior``.
            draws: angles and noises that are drawn for each image.

        Returns:
            The loss, a scalar.
        """
        guide = self.guide(prior, conditions)
        scaled = self.bands(error) / self.stored(conditions.scale)
        likelihood: Tensor = (0.5 * (scaled * (-guide.spread).exp()).square() + guide.spread).mean()
        spread = guide.spread.detach()
        detail = (scaled * (-spread).exp()).clamp(-LARGEST_DETAIL, LARGEST_DETAIL)
        known, qualities = guide.inputs, conditions.qualities
        if draws > 1:
            detail, known, spread = (t.repeat_interleave(draws, 0) for t in (detail, known, spread))
            qualities = Qualities(
                *(q.expand(len(prior)).repeat_interleave(draws) for q in qualities)
            )
            conditions = conditions._replace(qualities=qualities)
        shares = torch.rand(len(detail), generator=noise, device=prior.device)
        angles = LEAST_ANGLE + (math.pi / 2 - LEAST_ANGLE) * shares
        unit = torch.randn(detail.shape, generator=noise, device=prior.device)
        cos, sin = (f(angles)[:, None, None, None] for f in (torch.cos, torch.sin))
        inputs = torch.cat((cos * detail + sin * unit, known, spread), dim=1)
        velocity: Tensor = self.body(inputs, conditions, _coded(angles)[:, None])
        mse: Tensor = (velocity - (cos * unit - sin * detail)).square().mean()
        return mse + SPREAD_WEIGHT * likelihood

    def sampler(
        self, scale: float, steps: int, texture: float, quality: SourceQuality = UNKNOWN
    ) -> Sampler:
        """Fold the networks for one scale and one source.

        Args:
            scale: the factor between source and result pixels.
            steps: evaluations of the diffusion's network; 0 for the predicted deviations alone.
            texture: the share of the detail to draw, less along edges (:data:`EDGES`): 1 for a
                complete sample, 0 for the prior. A smaller factor on the noise instead would let
                the network remove most of the detail.
            quality: blur and noise of the source.
        """
        device = self.deviations.device
        conditions = Conditions(Qualities.of(quality).to(device), scale)
        angles = [START_ANGLE * (1 - i / steps) for i in range(steps)] + [0.0]
        spread = self.spread.folded(conditions)
        bodies = {
            t: self.body.folded(conditions, _coded(torch.tensor([[t]], device=device)))
            for t in angles[:-1]
        }

        def around(prior: Tensor) -> tuple[Draw, Tensor]:
            guide = self.guide(prior, conditions, spread)
            share = texture ** (1 + EDGES * self.coherence(prior).square())

            def velocity(x: Tensor, angle: float) -> Tensor:
                out: Tensor = bodies[angle](torch.cat((x, guide.inputs, guide.spread), dim=1))
                return out

            def draw(noise: Tensor) -> Tensor:
                detail = rotate(velocity, self.bands(noise), angles)
                return prior + self.bands.image(share * guide.deviations * detail)

            return draw, guide.deviations

        return around


def _coded(angles: Tensor) -> Tensor:
    """Return angles as networks take them: of about unit size."""
    return (angles - MIDDLE_ANGLE) / ANGLE_WIDTH
