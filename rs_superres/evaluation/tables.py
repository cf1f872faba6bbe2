"""The report's tables, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from rs_superres.evaluation import charts
from rs_superres.evaluation.figures import FIGURES, of
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.results import Evaluation
from rs_superres.evaluation.summary import Summary


def figures(found: Evaluation) -> str:
    """Every metric by scale and method; the best of a scale in bold."""
    heads = {
        name: f"{f.head}<small>{f.unit} {'↑' if f.rising else '↓'}</small>"
        for name, f in FIGURES.items()
        if any(np.isfinite(r.scores[name]) for r in found.rows)
    }
    return _table(found, heads)


def by_band(found: Evaluation) -> str:
    """PSNR and SSIM of single bands; empty where there is but one."""
    names = dict.fromkeys(n for r in found.rows for n in r.scores if n[-1].isdigit())
    if len(names) <= 2:
        return ""
    heads = {n: f"{of(n).head}<small>band {n.partition('_')[2]}</small>" for n in names}
    ordered = sorted(heads, key=lambda n: (n.startswith("ssim"), int(n.partition("_")[2])))
    return _table(found, {n: heads[n] for n in ordered})


def _table(found: Evaluation, shown: Mapping[str, str]) -> str:
    """Some metrics by scale and method, under the heads that are given."""
    heads = "".join(f"<th>{head}</th>" for head in shown.values())
    body = []
    for scale in found.scales:
        rows = {
            method: {m: found.summary(method, scale, m) for m in shown} for method in found.methods
        }
        for number, (method, figures) in enumerate(rows.items()):
            cells = "".join(_cell(m, figures[m], [r[m] for r in rows.values()]) for m in shown)
            first = f'<th rowspan="{len(rows)}">x{scale:g}</th>' if number == 0 else ""
            body.append(
                f'<tr class="{"first" if number == 0 else ""}">{first}<td class="method"><i '
                f'style="background:{charts.colour(number)}"></i>{escape(method)}</td>{cells}</tr>'
            )
    return (
        f"<table><thead><tr><th>scale</th><th>method</th>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _cell(metric: str, figure: Summary | None, column: list[Summary | None]) -> str:
    """One figure, with its spread and interval."""
    if figure is None:
        return "<td>–</td>"
    others = [s.mean for s in column if s is not None]
    best = (max if of(metric).rising else min)(others)
    bold = figure.mean == best and len(others) > 1 and of(metric).judged
    lines = [f"± {number(metric, figure.deviation)}"]
    if figure.low is not None and figure.high is not None:
        lines.append(f"{number(metric, figure.low)} – {number(metric, figure.high)}")
    if figure.between_seeds is not None:
        lines.append(f"seeds ± {figure.between_seeds:.2g}")
    return (
        f'<td class="{"best" if bold else ""}" title="{figure.count} images">'
        f"{number(metric, figure.mean)}{''.join(f'<small>{line}</small>' for line in lines)}</td>"
    )


def number(metric: str, value: float) -> str:
    """A figure with as many digits as it bears."""
    return f"{value:.{of(metric).digits}f}"


def reliability(found: Mapping[tuple[str, float], Reliability]) -> str:
    """What the spread is worth, by method and scale."""
    rows = "".join(
        f"<tr><td class='method'>{escape(method)}</td><td>x{scale:g}</td><td>{r.spearman:.3f}</td>"
        f"<td>{r.spearman_gradient:.3f}</td><td>{r.factor:.3f}</td><td>{r.pixels}</td></tr>"
        for (method, scale), r in sorted(found.items())
    )
    return (
        "<table><thead><tr><th>method</th><th>scale</th><th>Spearman</th><th>of the gradient</th>"
        f"<th>factor</th><th>values</th></tr></thead><tbody>{rows}</tbody></table>"
    )
