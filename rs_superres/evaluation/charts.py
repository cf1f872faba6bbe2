"""Charts as inline SVG: curves over scale, distributions, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.results import Summary

COLOURS = ("#8a8f98", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of bicubic, and of the models; told apart by the colour-blind too (Okabe and Ito 2008)."""

WIDTH, HEIGHT = 340, 220
WIDE = 1080
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 32


def colour(number: int) -> str:
    """Of a method."""
    return COLOURS[0] if number == 0 else COLOURS[1 + (number - 1) % (len(COLOURS) - 1)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Values to places on a chart."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = WIDTH

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float]) -> Frame:
        """With some room about the values."""
        spans = []
        for values in (xs, ys):
            low, high = min(values), max(values)
            room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
            spans.append((low - room, high + room))
        return cls(spans[0], spans[1])

    def across(self, value: float) -> float:
        """Place of an x."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return round(LEFT + share * (self.width - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        """Place of a y."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """Points of a line."""
        return " ".join(f"{self.across(x)},{self.down(y)}" for x, y in zip(xs, ys, strict=True))

    def drawn(self, title: str, marks: str, xticks: Mapping[float, str], xlabel: str) -> str:
        """The chart with its axes."""
        grid = []
        for value in ticks(*self.y):
            y = self.down(value)
            grid.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.4g}</text>'
            )
        for value, label in xticks.items():
            grid.append(
                f'<text x="{self.across(value)}" y="{HEIGHT - 14}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
        grid.append(
            f'<text class="label" x="{self.width - RIGHT}" y="{HEIGHT - 2}" '
            f'text-anchor="end">{escape(xlabel)}</text>'
        )
        return (
            f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {self.width} '
            f'{HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(grid)}{marks}</svg>'
            "</figure>"
        )


def ticks(low: float, high: float) -> list[float]:
    """Round values in a span, about four."""
    rough = (high - low) / 4
    power = 10 ** np.floor(np.log10(rough))
    step = next(float(m * power) for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    return [float(round(n * step, 10)) for n in range(int(np.ceil(low / step)),
                                                      int(np.floor(high / step)) + 1)]  # fmt: skip


def curves(title: str, lines: Mapping[str, Mapping[float, Summary]]) -> str:
    """A metric over scale, a line a method with its confidence interval; empty without figures.

    Args:
        title: the metric.
        lines: by method, all of them, by scale.
    """
    points = [(scale, s) for line in lines.values() for scale, s in line.items()]
    if not points:
        return ""
    ends = [v for _, s in points for v in s.ends]
    scales = sorted({scale for scale, _ in points})
    frame = Frame.around(scales, ends)
    marks = []
    for number, (method, line) in enumerate(lines.items()):
        if not line:
            continue
        xs, found = sorted(line), [line[x] for x in sorted(line)]
        band = frame.path(
            [*xs, *xs[::-1]], [*(s.ends[0] for s in found), *(s.ends[1] for s in reversed(found))]
        )
        marks.append(f'<polygon points="{band}" fill="{colour(number)}" opacity=".16"/>')
        marks.append(
            f'<polyline points="{frame.path(xs, [s.mean for s in found])}" '
            f'stroke="{colour(number)}"/>'
        )
        marks += [
            f'<line x1="{frame.across(x)}" x2="{frame.across(x)}" y1="{frame.down(s.ends[0])}" '
            f'y2="{frame.down(s.ends[1])}" stroke="{colour(number)}" opacity=".5"/>'
            f'<circle cx="{frame.across(x)}" cy="{frame.down(s.mean)}" r="3.5" '
            f'fill="{colour(number)}"><title>{escape(method)} x{x:g}: {s.mean:.4g} '
            f"({s.interval('.4g') or 'one image'})</title></circle>"
            for x, s in zip(xs, found, strict=True)
        ]
    return frame.drawn(title, "".join(marks), {s: f"{s:g}" for s in scales}, "scale")


def distribution(
    title: str, figures: Mapping[str, Mapping[float, Mapping[str, float]]], scales: Sequence[float]
) -> str:
    """A dot an image, over boxes from quartile to quartile: by model, scale and image."""
    every = [f for m in figures.values() for s in m.values() for f in s.values()]
    if not every:
        return ""
    low, high = min(0.0, *every), max(0.0, *every)
    room = 0.06 * (high - low) or 1.0
    few = max(0.0, (4 - len(scales)) / 2)  # lest a single box fill the page
    frame = Frame((-0.6 - few, len(scales) - 0.4 + few), (low - room, high + room), WIDE)
    zero = frame.down(0)
    marks = [f'<line class="zero" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{zero}" y2="{zero}"/>']
    share = 0.8 / len(figures)
    chance = np.random.default_rng(0)
    for number, by_scale in enumerate(figures.values(), start=1):
        for place, scale in enumerate(scales):
            found = by_scale.get(scale, {})
            if not found:
                continue
            middle = place + (number - (len(figures) + 1) / 2) * share
            lower, median, upper = (
                frame.down(float(q)) for q in np.percentile(list(found.values()), [25, 50, 75])
            )
            left, right = (frame.across(middle + side * share * 0.4) for side in (-1, 1))
            marks += [
                f'<circle cx="{frame.across(middle + share * 0.36 * (2 * chance.random() - 1))}" '
                f'cy="{frame.down(value)}" r="2.2" fill="{colour(number)}" opacity=".45">'
                f"<title>{escape(name)}: {value:+.2f}</title></circle>"
                for name, value in found.items()
            ]
            marks.append(
                f'<rect x="{left}" y="{upper}" width="{right - left:.1f}" '
                f'height="{lower - upper:.1f}" fill="none" stroke="{colour(number)}"/>'
                f'<line x1="{left}" x2="{right}" y1="{median}" y2="{median}" '
                f'stroke="{colour(number)}" stroke-width="2.5"/>'
            )
    return frame.drawn(title, "".join(marks), {i: f"x{s:g}" for i, s in enumerate(scales)}, "scale")


def reliability(title: str, found: Mapping[float, Reliability]) -> str:
    """Error against predicted spread, a line a scale; on the diagonal the spread is honest."""
    points = [100 * v for r in found.values() for v in (*r.spread, *r.error)]
    most = max(points) * 1.06 or 1.0
    frame = Frame((0.0, most), (0.0, most))
    diagonal = frame.path([0, most], [0, most])
    marks = [f'<polyline class="zero" points="{diagonal}"/>']
    for number, (scale, r) in enumerate(found.items(), start=1):
        xs, ys = [100 * v for v in r.spread], [100 * v for v in r.error]
        marks.append(
            f'<polyline points="{frame.path(xs, ys)}" stroke="{colour(number)}"/>'
            f'<text x="{frame.across(xs[-1])}" y="{frame.down(ys[-1]) - 6}" text-anchor="end" '
            f'fill="{colour(number)}">x{scale:g}</text>'
        )
        marks += [
            f'<circle cx="{frame.across(x)}" cy="{frame.down(y)}" r="2.5" fill="{colour(number)}">'
            f"<title>x{scale:g}: spread {x:.2f} %, error {y:.2f} %</title></circle>"
            for x, y in zip(xs, ys, strict=True)
        ]
    xticks = {v: f"{v:g}" for v in ticks(0.0, most)}
    return frame.drawn(title, "".join(marks), xticks, "spread, %")
