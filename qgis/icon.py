"""Draw the plugin's icon: ground in coarse pixels, and in fine ones where it was upscaled.

Run it to write ``rs_superres/icon.svg``.
"""

from __future__ import annotations

from math import cos, exp, hypot, sin
from pathlib import Path

SIDE = 48
"""Width and height of the picture."""

COARSE, FINE = 12, 3
"""Width of a pixel before and after."""

WATER, SAND, FIELD = (38, 108, 156), (226, 205, 140), (62, 138, 74)

ICON = Path(__file__).parent / "rs_superres" / "icon.svg"


def colour(x: float, y: float) -> str:
    """Return the ground's colour at a place, as SVG writes it: water, its shore, fields."""
    height = y - 22 - 9 * sin(x / 9) + 4 * cos(x / 5)
    hill = 10 * exp(-((hypot(x - 34, y - 38) / 9) ** 2))
    land = 1 / (1 + exp(-height / 1.2))
    shore = exp(-((height / 3.5) ** 2))
    ground = [f + hill * 3 * land for f in FIELD]
    mixed = [w + (g - w) * land for w, g in zip(WATER, ground)]
    return "#{:02x}{:02x}{:02x}".format(*(round(m + (s - m) * shore) for m, s in zip(mixed, SAND)))


def icon() -> str:
    """Return the picture as SVG. Its upper right half, beyond the diagonal, is fine."""
    cells = [
        cell
        for top in range(0, SIDE, COARSE)
        for left in range(0, SIDE, COARSE)
        for cell in _cells(left, top, FINE if left > top else COARSE)
    ]
    diagonal = " ".join(
        f"L{step} {step} L{step + COARSE} {step}" for step in range(0, SIDE, COARSE)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" '
        'shape-rendering="crispEdges">\n'
        + "\n".join(cells)
        + f'\n<path d="M0 0 {diagonal} L{SIDE} {SIDE}" fill="none" stroke="#fff" '
        'stroke-width="1.5"/>\n</svg>\n'
    )


def _cells(left: int, top: int, width: int) -> list[str]:
    """Return a coarse pixel as pixels of a width, each of the colour at its centre."""
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{width}" '
        f'fill="{colour(x + width / 2, y + width / 2)}"/>'
        for y in range(top, top + COARSE, width)
        for x in range(left, left + COARSE, width)
    ]


if __name__ == "__main__":
    ICON.write_text(icon(), encoding="utf-8")
