"""Charts as inline SVG: metrics over scale, distributions over images, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.results import Summary

COLOURS = ("#8a8f98", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of bicubic and of the models, distinct for colour-blind readers (Okabe and Ito 2008)."""

CHART_WIDTH, CHART_HEIGHT = 340, 220
WIDE_CHART_WIDTH = 1080
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 32
"""Margins around the plot, in the SVG's units like the sizes."""


def colour(number: int) -> str:
    """Return the colour of a method: 0 is bicubic, models count from 1."""
    return COLOURS[0] if number == 0 else COLOURS[1 + (number - 1) % (len(COLOURS) - 1)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The axes of a chart, which map values to positions."""

    x: tuple[float, float]
    """Values at the left and the right end of the x axis."""
    y: tuple[float, float]
    """Values at the lower and the upper end of the y axis."""
    width: int = CHART_WIDTH
    """Width of the chart."""

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float]) -> Frame:
        """Return a frame that holds the values with some padding."""
        spans = []
        for values in (xs, ys):
            low, high = min(values), max(values)
            padding = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
            spans.append((low - padding, high + padding))
        return cls(spans[0], spans[1])

    def across(self, value: float) -> float:
        """Return the horizontal position of an x value."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return round(LEFT + share * (self.width - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        """Return the vertical position of a y value."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return round(CHART_HEIGHT - BOTTOM - share * (CHART_HEIGHT - TOP - BOTTOM), 1)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """Return the positions of values as the points of an SVG line."""
        return " ".join(f"{self.across(x)},{self.down(y)}" for x, y in zip(xs, ys, strict=True))

    def draw(self, title: str, marks: str, xticks: Mapping[float, str], xlabel: str) -> str:
        """Return the chart as an HTML figure.

        Args:
            title: the caption.
            marks: lines and dots, as SVG.
            xticks: labels of the x axis by value.
            xlabel: what the x axis shows.
        """
        grid = []
        for value in ticks(*self.y):
            y = self.down(value)
            grid.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.4g}</text>'
            )
        for value, label in xticks.items():
            grid.append(
                f'<text x="{self.across(value)}" y="{CHART_HEIGHT - 14}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
        grid.append(
            f'<text class="label" x="{self.width - RIGHT}" y="{CHART_HEIGHT - 2}" '
            f'text-anchor="end">{escape(xlabel)}</text>'
        )
        return (
            f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {self.width} '
            f'{CHART_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(grid)}{marks}</svg>'
            "</figure>"
        )


def ticks(low: float, high: float) -> list[float]:
    """Return about four round values between two values."""
    rough = (high - low) / 4
    power = 10 ** np.floor(np.log10(rough))
    step = next(float(m * power) for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [float(round(n * step, 10)) for n in range(first, last + 1)]


def curves(title: str, lines: Mapping[str, Mapping[float, Summary]]) -> str:
    """Return a chart of a metric over scale, a line with its confidence interval per method.

    Args:
        title: the metric.
        lines: summaries by method and scale, with all methods, so that colours match the legend.

    Returns:
        Empty if there are no summaries.
    """
    points = [(scale, s) for line in lines.values() for scale, s in line.items()]
    if not points:
        return ""
    ends = [end for _, s in points for end in s.ends]
    scales = sorted({scale for scale, _ in points})
    frame = Frame.around(scales, ends)
    marks = []
    for number, (method, line) in enumerate(lines.items()):
        if not line:
            continue
        xs = sorted(line)
        summaries = [line[x] for x in xs]
        lows, highs = [s.ends[0] for s in summaries], [s.ends[1] for s in summaries]
        band = frame.points([*xs, *reversed(xs)], [*lows, *reversed(highs)])
        marks.append(f'<polygon points="{band}" fill="{colour(number)}" opacity=".16"/>')
        means = frame.points(xs, [s.mean for s in summaries])
        marks.append(f'<polyline points="{means}" stroke="{colour(number)}"/>')
        marks += [
            f'<line x1="{frame.across(x)}" x2="{frame.across(x)}" y1="{frame.down(s.ends[0])}" '
            f'y2="{frame.down(s.ends[1])}" stroke="{colour(number)}" opacity=".5"/>'
            f'<circle cx="{frame.across(x)}" cy="{frame.down(s.mean)}" r="3.5" '
            f'fill="{colour(number)}"><title>{escape(method)} x{x:g}: {s.mean:.4g} '
            f"({s.interval('.4g') or 'one image'})</title></circle>"
            for x, s in zip(xs, summaries, strict=True)
        ]
    return frame.draw(title, "".join(marks), {s: f"{s:g}" for s in scales}, "scale")


def distribution(
    title: str,
    by_method: Mapping[str, Mapping[float, Mapping[str, float]]],
    scales: Sequence[float],
) -> str:
    """Return a chart with a dot per image, and boxes from the lower to the upper quartile.

    Args:
        title: the metric.
        by_method: values by model, scale and image.
        scales: the scales of the x axis.

    Returns:
        Empty if there are no values.
    """
    values = [
        value
        for by_scale in by_method.values()
        for by_image in by_scale.values()
        for value in by_image.values()
    ]
    if not values:
        return ""
    low, high = min(0.0, *values), max(0.0, *values)
    padding = 0.06 * (high - low) or 1.0
    # With few scales, keep the boxes from filling the page.
    side = max(0.0, (4 - len(scales)) / 2)
    frame = Frame(
        (-0.6 - side, len(scales) - 0.4 + side), (low - padding, high + padding), WIDE_CHART_WIDTH
    )
    zero, right_end = frame.down(0), WIDE_CHART_WIDTH - RIGHT
    marks = [f'<line class="zero" x1="{LEFT}" x2="{right_end}" y1="{zero}" y2="{zero}"/>']
    share = 0.8 / len(by_method)
    rng = np.random.default_rng(0)
    for number, by_scale in enumerate(by_method.values(), start=1):
        for index, scale in enumerate(scales):
            by_image = by_scale.get(scale, {})
            if not by_image:
                continue
            middle = index + (number - (len(by_method) + 1) / 2) * share
            lower, median, upper = (
                frame.down(float(q)) for q in np.percentile(list(by_image.values()), [25, 50, 75])
            )
            left = frame.across(middle - 0.4 * share)
            right = frame.across(middle + 0.4 * share)
            marks += [
                f'<circle cx="{frame.across(middle + share * 0.36 * (2 * rng.random() - 1))}" '
                f'cy="{frame.down(value)}" r="2.2" fill="{colour(number)}" opacity=".45">'
                f"<title>{escape(name)}: {value:+.2f}</title></circle>"
                for name, value in by_image.items()
            ]
            marks.append(
                f'<rect x="{left}" y="{upper}" width="{right - left:.1f}" '
                f'height="{lower - upper:.1f}" fill="none" stroke="{colour(number)}"/>'
                f'<line x1="{left}" x2="{right}" y1="{median}" y2="{median}" '
                f'stroke="{colour(number)}" stroke-width="2.5"/>'
            )
    return frame.draw(title, "".join(marks), {i: f"x{s:g}" for i, s in enumerate(scales)}, "scale")


def reliability(title: str, by_scale: Mapping[float, Reliability]) -> str:
    """Return a chart of error against standard deviation; on the diagonal the two are equal.

    Args:
        title: the caption.
        by_scale: the reliability by scale, a line each.
    """
    values = [100 * v for r in by_scale.values() for v in (*r.spread, *r.error)]
    most = max(values) * 1.06 or 1.0
    frame = Frame((0.0, most), (0.0, most))
    diagonal = frame.points([0, most], [0, most])
    marks = [f'<polyline class="zero" points="{diagonal}"/>']
    for number, (scale, r) in enumerate(by_scale.items(), start=1):
        xs, ys = [100 * v for v in r.spread], [100 * v for v in r.error]
        marks.append(
            f'<polyline points="{frame.points(xs, ys)}" stroke="{colour(number)}"/>'
            f'<text x="{frame.across(xs[-1])}" y="{frame.down(ys[-1]) - 6}" text-anchor="end" '
            f'fill="{colour(number)}">x{scale:g}</text>'
        )
        marks += [
            f'<circle cx="{frame.across(x)}" cy="{frame.down(y)}" r="2.5" fill="{colour(number)}">'
            f"<title>x{scale:g}: standard deviation {x:.2f} %, error {y:.2f} %</title></circle>"
            for x, y in zip(xs, ys, strict=True)
        ]
    xticks = {v: f"{v:g}" for v in ticks(0.0, most)}
    return frame.draw(title, "".join(marks), xticks, "standard deviation, %")
