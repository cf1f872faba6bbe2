"""The report as one HTML page that needs no network and no other file."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from itertools import product
from string import Template
from typing import Any

import numpy as np

from rs_superres.evaluation import charts
from rs_superres.evaluation.metrics import METRICS
from rs_superres.evaluation.pictures import TRUTH, Example
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.evaluation.tables import band_table, reliability_table, score_table


def page(evaluation: Evaluation) -> str:
    """Return the report as HTML."""
    template = resources.files("rs_superres.evaluation").joinpath("template.html")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(f"rs-sr eval: {', '.join(evaluation.methods[1:])}"),
        facts=_settings(evaluation),
        legend=_legend(evaluation),
        cards=_cards(evaluation),
        table=score_table(evaluation),
        bands=_bands(evaluation),
        curves=_curves(evaluation),
        distribution=_distribution(evaluation),
        reliability=_reliability(evaluation),
        examples=_examples(evaluation),
        data=json.dumps([_layers(e) for e in evaluation.examples]).replace("<", "\\u003c"),
        skipped=_skipped(evaluation),
    )


def _settings(evaluation: Evaluation) -> str:
    """Return the options of the evaluation as a list."""
    settings = evaluation.settings
    models = [
        f"{name}, {m['steps']} steps" + (f", {m['seeds']} seeds" if m["seeds"] > 1 else "")
        for name, m in settings["models"].items()
    ]
    images = str(settings["images"])
    if settings["tiles"] != settings["images"]:
        images += f", {settings['tiles']} tiles"
    is_pairs = settings["protocol"] == "pairs"
    lines = {
        "data": ", ".join(settings["data"]),
        "images": images,
        "low resolution": "as measured" if is_pairs else f"made by {settings['degradation']}",
        "models": "; ".join(models),
        "samples": "" if settings["samples"] == 1 else f"mean of {settings['samples']}",
        "ensemble": "" if settings["ensemble"] == 1 else f"of {settings['ensemble']}",
        "sources": ", ".join(settings["sources"]) if len(settings["sources"]) > 1 else "",
        "blur and noise": "given to the models" if settings["given"] else "",
        "consistency": "on" if settings["consistency"] else "off",
        "rs-sr": settings["version"],
    }
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in lines.items() if v)


def _legend(evaluation: Evaluation) -> str:
    """Return the colours of the methods."""
    return "".join(
        f'<span><i style="background:{charts.colour(n)}"></i>{escape(m)}</span>'
        for n, m in enumerate(evaluation.methods)
    )


def _cards(evaluation: Evaluation) -> str:
    """Return each model's gain in PSNR at each scale, in large type."""
    cards = []
    for scale, source in product(evaluation.scales, evaluation.sources):
        for number, method in enumerate(evaluation.methods[1:], start=1):
            gain = evaluation.gain(method, scale, "psnr", source)
            if gain is None:
                continue
            interval = gain.interval("+.2f")
            note = f"95 %: {interval}, {gain.count} images" if interval else "one image"
            cards.append(
                f'<div class="card" style="--c:{charts.colour(number)}"><b>{gain.mean:+.2f} dB</b>'
                f"<span>x{scale:g}{_about(evaluation, source)} · {escape(method)} over bicubic"
                "</span>"
                f"<small>{note}</small></div>"
            )
    return "".join(cards)


def _about(evaluation: Evaluation, source: str) -> str:
    """Return the name of a source as an addition to a title; empty if there is only one."""
    return f" · {escape(source)}" if len(evaluation.sources) > 1 else ""


def _bands(evaluation: Evaluation) -> str:
    """Return the scores of single bands, folded; empty for single-band rasters."""
    table = band_table(evaluation)
    if not table:
        return ""
    return f'<details><summary>Band by band</summary><div class="scroll">{table}</div></details>'


def _curves(evaluation: Evaluation) -> str:
    """Return a chart over scale for each metric; those of spoiled sources are folded."""
    parts = []
    for number, source in enumerate(evaluation.sources):
        curves = f'<div class="charts">{_curves_of(evaluation, source)}</div>'
        if number:
            curves = f"<details><summary>{escape(source)}</summary>{curves}</details>"
        parts.append(curves)
    return "".join(parts)


def _curves_of(evaluation: Evaluation, source: str) -> str:
    """Return a chart over scale for each metric, of one source."""
    parts = []
    for name, metric in METRICS.items():
        lines = {}
        for method in evaluation.methods:
            summaries = {s: evaluation.summary(method, s, name, source) for s in evaluation.scales}
            lines[method] = {s: summary for s, summary in summaries.items() if summary is not None}
        parts.append(charts.curves(metric.title, lines))
    return "".join(parts)


def _distribution(evaluation: Evaluation) -> str:
    """Return a chart of the gain in PSNR by image for each source."""
    parts = []
    for source in evaluation.sources:
        gains = {
            method: {
                scale: {
                    name: float(np.mean(values))
                    for name, values in evaluation.gains(method, scale, "psnr", source).items()
                }
                for scale in evaluation.scales
            }
            for method in evaluation.methods[1:]
        }
        title = "PSNR over bicubic by image, dB"
        if len(evaluation.sources) > 1:
            title += f"; {source}"
        parts.append(charts.distribution(title, gains, evaluation.scales))
    return "".join(parts)


def _reliability(evaluation: Evaluation) -> str:
    """Return the section on the reliability of the uncertainty; empty if none was rated."""
    if not evaluation.reliability:
        return ""
    parts = []
    for method, source in product(evaluation.methods[1:], evaluation.sources):
        by_scale = {
            scale: reliability
            for (name, scale, of), reliability in sorted(evaluation.reliability.items())
            if (name, of) == (method, source)
        }
        if by_scale:
            title = f"{method}: error against standard deviation, % of range"
            if len(evaluation.sources) > 1:
                title += f"; {source}"
            parts.append(charts.reliability(title, by_scale))
    return (
        '<section id="reliability"><h2>Is the uncertainty reliable?</h2><p>RMS error of the '
        "pixels, sorted by the predicted standard deviation, or by that of their samples. On the "
        "dashed line the two are equal. Spearman: rank correlation of the standard deviation with "
        "the absolute error, and that of the prior's gradient, which costs nothing. Factor: the "
        "multiplier that makes the mean square of the standard deviation equal to that of the "
        "error (<code>sampler.uncertainty_factor</code> in config.toml).</p>"
        f"<div class='charts'>{''.join(parts)}{reliability_table(evaluation.reliability)}</div>"
        "</section>"
    )


def _examples(evaluation: Evaluation) -> str:
    """Return the frames of the examples; the page's script fills in the pictures."""
    parts = []
    for number, example in enumerate(evaluation.examples):
        psnr = ", ".join(f"{escape(m)} {value:.2f} dB" for m, value in example.psnr.items())
        differences = "".join(
            f'<figure><img alt="" src="data:image/png;base64,{png}">'
            f"<figcaption>{escape(method)} − truth</figcaption></figure>"
            for method, png in example.differences.items()
        )
        parts.append(
            f'<article class="example" data-number="{number}" data-scale="{example.scale:g}">'
            f"<h3>x{example.scale:g}{_about(evaluation, example.source)}, {example.kind} gain: "
            f"{escape(example.name)}</h3>"
            f"<p>{psnr}</p><div class='pair'>"
            f'<div class="compare" style="aspect-ratio:{example.size[0]}/{example.size[1]}" '
            'tabindex="0" role="slider" aria-label="before and after" aria-valuemin="0" '
            'aria-valuemax="100"><img class="after" alt=""><img class="before" alt="">'
            '<div class="bar"></div><span class="tag left"></span><span class="tag right"></span>'
            f"</div><div class='differences'>{differences}<small class='scale'>"
            f"<i class='heat'></i> 0 to {100 * example.most:.0f} % of the contrast stretch</small>"
            "</div></div><div class='choice'><span>left</span><div class='buttons before'></div>"
            "<span>right</span><div class='buttons after'></div></div></article>"
        )
    return "".join(parts)


def _layers(example: Example) -> dict[str, Any]:
    """Return the pictures of an example and which two are shown first, for the page's script."""
    models = [method for method in example.psnr if method != BICUBIC]
    pictures = {n: f"data:image/png;base64,{png}" for n, png in example.pictures.items()}
    return {"pictures": pictures, "before": BICUBIC, "after": models[0] if models else TRUTH}


def _skipped(evaluation: Evaluation) -> str:
    """Return the list of files that were left out, with the reasons; empty if there are none."""
    if not evaluation.skipped:
        return ""
    lines = "".join(
        f"<li>{escape(str(s.path))}: {escape(s.reason)}</li>" for s in evaluation.skipped
    )
    return f"<section><h2>Left out</h2><ul>{lines}</ul></section>"
