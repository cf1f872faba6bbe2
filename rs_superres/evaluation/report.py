"""The report as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from rs_superres.evaluation import charts
from rs_superres.evaluation.figures import FIGURES, of
from rs_superres.evaluation.pictures import TRUTH, Example
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.results import BICUBIC, Evaluation, Summary


def page(found: Evaluation) -> str:
    """The report as HTML."""
    template = resources.files("rs_superres.evaluation").joinpath("template.html")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(f"rs-sr eval: {', '.join(found.methods[1:])}"),
        facts=_facts(found),
        legend=_legend(found),
        cards=_cards(found),
        table=figures(found),
        bands=_bands(found),
        curves=_curves(found),
        distribution=_distribution(found),
        reliability=_reliability(found),
        examples=_examples(found),
        data=json.dumps([_layers(e) for e in found.examples]).replace("</", "<\\/"),
        skipped=_skipped(found),
    )


def _facts(found: Evaluation) -> str:
    """What was asked for, as a list."""
    told = found.settings
    made = [
        f"{name}, {m['steps']} steps" + (f", {m['seeds']} seeds" if m["seeds"] > 1 else "")
        for name, m in told["models"].items()
    ]
    lines = {
        "data": ", ".join(told["data"]),
        "images": f"{told['images']}"
        + (f", {told['tiles']} tiles" if told["tiles"] != told["images"] else ""),
        "low resolution": "as measured"
        if told["protocol"] == "pairs"
        else f"made by {told['degradation']}",
        "models": "; ".join(made),
        "samples": "" if told["samples"] == 1 else f"mean of {told['samples']}",
        "consistency": "on" if told["consistency"] else "off",
        "rs-sr": told["version"],
    }
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in lines.items() if v)


def _bands(found: Evaluation) -> str:
    """Figures of single bands, folded away."""
    table = by_band(found)
    return (
        table
        and f'<details><summary>Band by band</summary><div class="scroll">{table}</div></details>'
    )


def _legend(found: Evaluation) -> str:
    """Colours of the methods."""
    return "".join(
        f'<span><i style="background:{charts.colour(n)}"></i>{escape(m)}</span>'
        for n, m in enumerate(found.methods)
    )


def _cards(found: Evaluation) -> str:
    """The gain at each scale, large."""
    cards = []
    for scale in found.scales:
        for number, method in enumerate(found.methods[1:], start=1):
            gain = found.gain(method, scale, "psnr")
            if gain is not None:
                ends = gain.interval("+.2f")
                cards.append(
                    f'<div class="card" style="--c:{charts.colour(number)}"><b>{gain.mean:+.2f} dB'
                    f"</b><span>x{scale:g} · {escape(method)} over bicubic</span><small>"
                    f"{f'95 %: {ends}, {gain.count} images' if ends else 'one image'}</small></div>"
                )
    return "".join(cards)


def _curves(found: Evaluation) -> str:
    """A chart a metric."""
    charts_ = []
    for metric, figure in FIGURES.items():
        lines = {
            method: {
                scale: s
                for scale in found.scales
                if (s := found.summary(method, scale, metric)) is not None
            }
            for method in found.methods
        }
        charts_.append(charts.curves(figure.title, lines))
    return "".join(charts_)


def _distribution(found: Evaluation) -> str:
    """PSNR over bicubic, image by image."""
    figures = {
        method: {
            scale: {n: float(np.mean(g)) for n, g in found.gains(method, scale, "psnr").items()}
            for scale in found.scales
        }
        for method in found.methods[1:]
    }
    return charts.distribution("PSNR over bicubic, dB, image by image", figures, found.scales)


def _reliability(found: Evaluation) -> str:
    """What the samples' spread is worth; empty where there are no samples."""
    if not found.reliability:
        return ""
    parts = []
    for method in found.methods[1:]:
        mine = {s: r for (m, s), r in sorted(found.reliability.items()) if m == method}
        if mine:
            parts.append(charts.reliability(f"{method}: error against spread, % of range", mine))
    return (
        '<section id="reliability"><h2>Does the spread foretell the error?</h2><p>Pixels sorted by '
        "the deviation of their samples; on the dashed line the error is as large as foretold. "
        "Spearman: rank correlation of the spread with the absolute error, beside that of the "
        "prior's gradient, which costs nothing. Factor: on the spread, so that its mean square is "
        "the error's (<code>sampler.uncertainty_factor</code> in config.toml).</p>"
        f"<div class='charts'>{''.join(parts)}{reliability(found.reliability)}</div>"
        "</section>"
    )


def _examples(found: Evaluation) -> str:
    """Where the examples go; the script fills them in."""
    parts = []
    for i, e in enumerate(found.examples):
        told = ", ".join(f"{escape(m)} {p:.2f} dB" for m, p in e.psnr.items())
        differences = "".join(
            f'<figure><img alt="" src="data:image/png;base64,{png}"><figcaption>{escape(m)} − '
            "truth</figcaption></figure>"
            for m, png in e.differences.items()
        )
        parts.append(
            f'<article class="example" data-number="{i}" data-scale="{e.scale:g}">'
            f"<h3>x{e.scale:g}, "
            f"{e.kind} gain: {escape(e.name)}</h3><p>{told}</p><div class='pair'>"
            f'<div class="compare" style="aspect-ratio:{e.size[0]}/{e.size[1]}" tabindex="0" '
            'role="slider" aria-label="before and after" aria-valuemin="0" aria-valuemax="100">'
            '<img class="after" alt=""><img class="before" alt=""><div class="bar"></div>'
            '<span class="tag left"></span><span class="tag right"></span></div>'
            f"<div class='differences'>{differences}<small class='scale'><i class='heat'></i> "
            f"0 to {100 * e.most:.0f} % of the stretch</small></div></div>"
            "<div class='choice'><span>left</span><div class='buttons before'></div><span>right"
            "</span><div class='buttons after'></div></div></article>"
        )
    return "".join(parts)


def _layers(e: Example) -> dict[str, Any]:
    """What the script is told of an example."""
    methods = [m for m in e.psnr if m != BICUBIC]
    return {
        "pictures": {name: f"data:image/png;base64,{png}" for name, png in e.pictures.items()},
        "before": BICUBIC,
        "after": methods[0] if methods else TRUTH,
    }


def _skipped(found: Evaluation) -> str:
    """Files that could not be used."""
    if not found.skipped:
        return ""
    lines = "".join(f"<li>{escape(str(s.path))}: {escape(s.reason)}</li>" for s in found.skipped)
    return f"<section><h2>Left out</h2><ul>{lines}</ul></section>"


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
