"""The tables of the report as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import product

import numpy as np

from rs_superres.evaluation import charts
from rs_superres.evaluation.metrics import METRICS, metric_of
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.results import Evaluation, Summary

SOURCE_HEAD = "<th>source</th>"
"""The heading of the column of sources, which tables have if there are several."""


def score_table(evaluation: Evaluation) -> str:
    """Return a table of every metric by scale, source and method; the best method is bold."""
    heads = {
        name: f"{metric.head}<small>{metric.unit} {metric.direction}</small>"
        for name, metric in METRICS.items()
        if any(np.isfinite(row.scores[name]) for row in evaluation.rows)
    }
    return _table(evaluation, heads)


def band_table(evaluation: Evaluation) -> str:
    """Return a table of PSNR and SSIM by band; empty for single-band rasters."""
    names = dict.fromkeys(
        name for row in evaluation.rows for name in row.scores if name[-1].isdigit()
    )
    if len(names) <= 2:
        return ""
    ordered = sorted(names, key=lambda n: (n.startswith("ssim"), int(n.partition("_")[2])))
    return _table(
        evaluation,
        {n: f"{metric_of(n).head}<small>band {n.partition('_')[2]}</small>" for n in ordered},
    )


def reliability_table(reliability: Mapping[tuple[str, float, str], Reliability]) -> str:
    """Return a table of the uncertainty's reliability by method, scale and source."""
    several = len({source for _, _, source in reliability}) > 1
    rows = "".join(
        f"<tr><td class='method'>{escape(method)}</td><td>x{scale:g}</td>"
        f"{_source_cell(source) if several else ''}<td>{r.spearman:.3f}</td>"
        f"<td>{r.spearman_gradient:.3f}</td><td>{r.factor:.3f}</td><td>{r.pixels}</td></tr>"
        for (method, scale, source), r in sorted(reliability.items())
    )
    return (
        f"<table><thead><tr><th>method</th><th>scale</th>{SOURCE_HEAD if several else ''}"
        "<th>Spearman</th><th>Spearman of the gradient</th><th>factor</th><th>values</th></tr>"
        "</thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _table(evaluation: Evaluation, heads: Mapping[str, str]) -> str:
    """Return a table of some metrics by scale, source and method.

    Args:
        evaluation: the scores.
        heads: the headings of the columns as HTML, by the metrics' names.
    """
    body = []
    sources = evaluation.sources
    for scale, source in product(evaluation.scales, sources):
        rows = {
            method: {name: evaluation.summary(method, scale, name, source) for name in heads}
            for method in evaluation.methods
        }
        for number, (method, summaries) in enumerate(rows.items()):
            cells = "".join(
                _cell(name, summaries[name], [row[name] for row in rows.values()]) for name in heads
            )
            first = f'<th rowspan="{len(rows)}">x{scale:g}</th>' if number == 0 else ""
            if len(sources) > 1:
                first += _source_cell(source)
            body.append(
                f'<tr class="{"first" if number == 0 else ""}">{first}<td class="method"><i '
                f'style="background:{charts.colour(number)}"></i>{escape(method)}</td>{cells}</tr>'
            )
    head = "".join(f"<th>{cell}</th>" for cell in heads.values())
    return (
        f"<table><thead><tr><th>scale</th>{SOURCE_HEAD if len(sources) > 1 else ''}"
        f"<th>method</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _source_cell(source: str) -> str:
    """Return the cell that names the source of a row."""
    return f'<td class="method">{escape(source)}</td>'


def _cell(name: str, summary: Summary | None, column: list[Summary | None]) -> str:
    """Return one mean with its standard deviation and interval.

    Args:
        name: the metric's name.
        summary: the metric over the images, if any image has it.
        column: the summaries of all methods at this scale.
    """
    if summary is None:
        return "<td>–</td>"
    metric = metric_of(name)
    means = [s.mean for s in column if s is not None]
    best = (max if metric.rising else min)(means)
    bold = summary.mean == best and len(means) > 1 and metric.judged
    lines = [f"± {summary.deviation:.{metric.digits}f}"]
    if summary.low is not None and summary.high is not None:
        lines.append(f"{summary.low:.{metric.digits}f} – {summary.high:.{metric.digits}f}")
    if summary.between_seeds is not None:
        lines.append(f"seeds ± {summary.between_seeds:.2g}")
    return (
        f'<td class="{"best" if bold else ""}" title="{summary.count} images">'
        f"{summary.mean:.{metric.digits}f}"
        f"{''.join(f'<small>{line}</small>' for line in lines)}</td>"
    )
