"""Check that a result, downsampled to the source's grid, has the source's values.

Bias, border and tiles are judged by the smaller of two
:mod:`differences <rs_superres.verify.differences>`: from the source, and from plain cubic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rs_superres.grid import Window
from rs_superres.image.statistics import Moments
from rs_superres.types import Doubles, Valid
from rs_superres.verify.comparison import CUBIC, PATCH_SIDE, ComparedBlock, SourceResultPair
from rs_superres.verify.differences import BandDifferences, BandImages, band_spans
from rs_superres.verify.findings import Finding
from rs_superres.verify.rims import Rims
from rs_superres.verify.rules import NOISE, RULES

RMS_TOLERANCE, RMS_TOLERANCE_STEPS = 0.002, 0.5
"""Added to the threshold of the RMS: share of the range, plus steps."""

ANGLE_TOLERANCE = 0.2
"""Degrees added to the threshold of the spectral angle, for rounding."""

BIAS_TOLERANCE = 0.1
"""Share of the result's deviation from plain cubic that is added to the threshold of the bias.

Methods that add detail shift the mean slightly.
"""


RIM_FACTOR = 2.0
"""Added to the threshold of the edges of holes: so many times what lies outside elsewhere."""


class Radiometry:
    """Accumulate the differences of all bands over blocks, and judge them."""

    def __init__(self, pair: SourceResultPair) -> None:
        self._pair = pair
        self.spans = band_spans(pair)
        """The span of every band of the source."""
        self._bands = {band: BandDifferences(self.spans[band]) for band in pair.bands}
        self._rims = {band: Rims() for band in pair.bands}
        self._angle, self._cubic_angle = Moments(), Moments()
        rows, columns = pair.zoom.rows.covered(), pair.zoom.columns.covered()
        self._covered = Window(rows.start, columns.start, len(rows), len(columns))

    def add(self, block: ComparedBlock) -> None:
        """Downsample one block and add its differences."""
        by_kernel = {
            kernel: block.downsampling(kernel)
            for kernel in {CUBIC, *(block.kernel(band) for band in self._pair.bands)}
        }
        dtype = self._pair.source.description.dtype
        all_images, all_usable = [], []
        for band in self._pair.bands:
            result = self._pair.in_source_units(band, block.result(band))
            self._rims[band].add(block, band, result)
            images = BandImages(
                source=block.source(band),
                result=by_kernel[block.kernel(band)](result),
                cubic=by_kernel[CUBIC](block.reference(band, dtype)),
            )
            usable = block.usable(band)
            self._bands[band].add(block, usable, images, self._covered)
            all_images.append(images)
            all_usable.append(usable)
        if len(all_images) > 1:
            self._add_angles(np.logical_and.reduce(all_usable), np.array(all_images))

    def _add_angles(self, usable: Valid, images: Doubles) -> None:
        """Add the angles between spectra.

        Args:
            usable: pixels that can be compared in all bands, (y, x).
            images: (band, 3, y, x), the images of each band in the order of :class:`BandImages`.
        """
        source, result, cubic = (images[:, i][:, usable] for i in range(3))
        for moments, spectra in ((self._angle, result), (self._cubic_angle, cubic)):
            norms = np.linalg.norm(source, axis=0) * np.linalg.norm(spectra, axis=0)
            nonzero = norms > 0
            cosine = (source * spectra).sum(axis=0)[nonzero] / norms[nonzero]
            moments.add(np.degrees(np.arccos(cosine.clip(-1, 1))))

    def findings(self) -> list[Finding]:
        """Return the findings on bias, RMS, spectral angle, border and tiles."""
        if not any(differences.pixels.from_source.count for differences in self._bands.values()):
            return [
                Finding(
                    name=name,
                    measured=None,
                    allowed=RULES[name].allowed,
                    detail="no pixel is far enough from a hole",
                )
                for name in ("bias", "rms", "spectral angle", "border", "tiles")
            ]
        return [self._bias(), self._rms(), self._angles(), self._border(), self._tiles()]

    def _bias(self) -> Finding:
        """Judge the mean difference of each band, in steps of the dtype."""
        figures = []
        for differences in self._bands.values():
            step = differences.span.step or 1.0
            tolerance = (
                NOISE * differences.patches.from_cubic.error
                + BIAS_TOLERANCE * differences.pixels.from_cubic.deviation
            )
            figures.append(
                (
                    differences.pixels.smaller_mean / step,
                    RULES["bias"].allowed + tolerance / step,
                )
            )
        means = [differences.pixels.from_source.mean for differences in self._bands.values()]
        return self._worst_band("bias", figures, "mean", means)

    def _rms(self) -> Finding:
        """Judge the RMS difference of each band, digital numbers."""
        figures = [
            (
                differences.pixels.from_source.rms,
                RULES["rms"].allowed * differences.cubic.rms
                + RMS_TOLERANCE_STEPS * differences.span.step
                + RMS_TOLERANCE * differences.span.range,
            )
            for differences in self._bands.values()
        ]
        cubic = [differences.cubic.rms for differences in self._bands.values()]
        finding = self._worst_band("rms", figures, "cubic's RMS", cubic)
        kernels = dict.fromkeys(kernel.words() for kernel in self._pair.kernels.values())
        if not kernels:
            return finding
        by = " and ".join(kernels)
        return replace(finding, detail=f"{finding.detail}; by the tags' kernel, {by}")

    def _angles(self) -> Finding:
        """Judge the mean spectral angle over all bands, degrees."""
        rule, cubic = RULES["spectral angle"], self._cubic_angle.mean
        return Finding(
            name="spectral angle",
            measured=self._angle.mean if self._angle.count else None,
            allowed=rule.allowed * cubic + ANGLE_TOLERANCE,
            detail=f"cubic's is {cubic:.3g}" if self._angle.count else "needs two bands",
        )

    def _border(self) -> Finding:
        """Judge the worst side of each band and the edges of holes, in shares of the range."""
        figures, sides = [], []
        for band, differences in self._bands.items():
            width = differences.span.range or 1.0
            by_side = {
                name: (
                    side.smaller_mean / width,
                    RULES["border"].allowed
                    + (
                        differences.span.step
                        + 2 * NOISE * min(side.from_cubic.error, side.from_source.error)
                    )
                    / width,
                )
                for name, side in differences.sides.items()
            }
            rims = self._rims[band]
            if rims.edge.count:
                widened = differences.span.step + RIM_FACTOR * rims.elsewhere.rms
                by_side["edges of holes"] = (
                    rims.edge.rms / width,
                    RULES["border"].allowed + widened / width,
                )
            worst = max(by_side, key=lambda name: by_side[name][0] / by_side[name][1])
            figures.append(by_side[worst])
            sides.append(worst)
        finding = self._worst_band("border", figures, "difference", [f[0] for f in figures])
        worst_band = int(np.argmax([measured / allowed for measured, allowed in figures]))
        return Finding(
            name="border",
            measured=finding.measured,
            allowed=finding.allowed,
            detail=f"{sides[worst_band]}, {finding.detail}",
            bands=finding.bands,
        )

    def _tiles(self) -> Finding:
        """Judge the share of patches, over all bands, with a wrong offset or gain."""
        bands = list(self._bands.values())
        count = sum(b.patch_count for b in bands)
        offsets, gains = sum(b.offsets for b in bands), sum(b.gains for b in bands)
        size, row, column = max(b.largest_offset for b in bands)
        return Finding(
            name="tiles",
            measured=(offsets + gains) / count if count else None,
            # A single patch is allowed: in a small scene it may be a large share.
            allowed=RULES["tiles"].allowed + (1.0 / count if count else 0.0),
            detail=f"{offsets} offsets and {gains} gains of {count} patches; the largest offset is "
            f"{size:.3g}, at source row {row}, column {column}"
            if count
            else f"no patch of {PATCH_SIDE} x {PATCH_SIDE} source pixels is free of holes",
        )

    def _worst_band(
        self,
        name: str,
        figures: Sequence[tuple[float, float]],
        label: str,
        values: Sequence[float],
    ) -> Finding:
        """Return the finding of the band that is nearest to its threshold or furthest above it.

        Args:
            name: the rule's name.
            figures: measured and allowed value of each band.
            label: what ``values`` are.
            values: another figure of each band, for the details.
        """
        worst = int(
            np.argmax(
                [measured / allowed if allowed else measured for measured, allowed in figures]
            )
        )
        return Finding(
            name=name,
            measured=figures[worst][0],
            allowed=figures[worst][1],
            detail=f"band {list(self._bands)[worst] + 1}; {label} {values[worst]:.4g}",
            bands={"measured": [measured for measured, _ in figures], label: list(values)},
        )
