"""The card of a trained model: its data, its scores and its limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from rs_superres.nets.build import SceneNetwork
from rs_superres.training.config import TrainConfig
from rs_superres.training.scenes import TrainingScene, pixel_sizes
from rs_superres.training.validation import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """The facts of a run that its model's card states."""

    name: str
    config: TrainConfig
    start: str | None
    """The model that the run started from; None for random weights."""
    training: Sequence[TrainingScene]
    validation: Sequence[TrainingScene]
    held_out: bool
    """Whether the validation scenes were held out of the data by place."""
    steps: tuple[int, int]
    """Iterations of the prior's phase and of the denoiser's."""
    scores: Sequence[Score]
    windows: int
    """Number of validation windows that were scored."""


def card(facts: CardFacts, network: SceneNetwork) -> str:
    """Write the text of ``card.md``.

    Args:
        facts: the facts of the run.
        network: the trained network, whose parameters are counted.
    """
    config = facts.config
    sizes = pixel_sizes(facts.training, config.scales)
    with_size = sum(s.pixel_size is not None for s in facts.training)
    ground = (
        "unknown, no training scene is georeferenced"
        if sizes is None
        else f"{sizes[0]:.3g} to {sizes[1]:.3g} m "
        f"({with_size} of {len(facts.training)} scenes are georeferenced)"
    )
    encoder, operator = config.encoder, config.operator
    lines = [
        f"# {facts.name}",
        "",
        "A model trained by `rs-sr train`; `train.toml` in this folder is the configuration.",
        "",
        (
            f"- **Prior**: encoder {encoder.name} of {encoder.blocks} blocks of {encoder.channels} "
            f"channels, Galerkin operator of width {operator.width} with {operator.heads} heads, "
            f"{_parameters(network.prior)}; {facts.steps[0]} iterations."
        ),
        _denoiser_line(facts, network),
        f"- **Started from**: {facts.start or 'random weights'}. **Seed**: {config.seed}.",
        f"- **Trained on**: {_scenes(facts.training)}",
        (
            f"- **Validated on**: {_scenes(facts.validation)} "
            + ("Held out by place." if facts.held_out else "Chosen by the person who trained it.")
        ),
        f"- **Value range**: {_value_ranges(facts.training)}",
        f"- **Scales**: {config.scales[0]:g} to {config.scales[1]:g}.",
        f"- **Pixel size of the low-resolution images in training**: {ground}.",
        f"- **Degradation**: {config.degradation.words()}, rounded to the dtype.",
        "- **Licence**: depends on the data; state it here before you share the model.",
        "",
        "## Scores",
        "",
    ]
    return "\n".join(lines + _score_lines(facts) + _LIMITS) + "\n"


def _denoiser_line(facts: CardFacts, network: SceneNetwork) -> str:
    """Describe the denoiser."""
    texture = facts.config.texture
    if network.denoiser is not None and texture is not None:
        return (
            f"- **Texture**: squares of {texture.patch} pixels, {texture.blocks} blocks of "
            f"{texture.channels} channels, {texture.spread_blocks} of {texture.spread_channels} "
            f"for the deviations, {_parameters(network.denoiser)}; {facts.steps[1]} iterations."
        )
    return "- **Texture**: none; the model adds no detail by diffusion."


def _parameters(module: nn.Module) -> str:
    """Return the number of parameters in millions, as text."""
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M parameters"


def _scenes(scenes: Sequence[TrainingScene]) -> str:
    """Summarise scenes: their number, their size, and the names of their folders."""
    folders = Counter(s.path.parent.name for s in scenes)
    total = sum(s.area.height * s.area.width for s in scenes) / 1e6
    listed = ", ".join(f"{name} ({count})" for name, count in folders.most_common(8))
    return f"{len(scenes)} rasters of {total:.1f} megapixels: {listed or 'none'}."


def _value_ranges(scenes: Sequence[TrainingScene]) -> str:
    """Describe how digital numbers were mapped to network values, for each dtype."""
    dtypes = Counter(s.dtype for s in scenes)
    words = [
        f"{dtype} ({count} scenes) "
        + ("0 to 255 on [-1, 1]" if dtype == "uint8" else "by percentiles of each scene")
        for dtype, count in dtypes.most_common()
    ]
    return "; ".join(words) + "."


def _score_lines(facts: CardFacts) -> list[str]:
    """Write the table of scores."""
    if not facts.scores:
        return ["Not measured: there was no validation window, or no time for one.", ""]
    lines = [
        (
            f"PSNR in dB, mean over {facts.windows} windows of the validation scenes (the peak is "
            "the width of the value range; the default is scored at x4 only). The low resolution "
            "is antialiased bicubic:"
        ),
        "",
        "| scale | bicubic | prior (`--steps 0`) | gain | default |",
        "|---|---|---|---|---|",
    ]
    for s in facts.scores:
        default = "-" if s.default is None else f"{s.default:.2f}"
        lines.append(
            f"| {s.scale:g} | {s.bicubic:.2f} | {s.prior:.2f} | {s.prior - s.bicubic:+.2f} "
            f"| {default} |"
        )
    return [*lines, ""]


_LIMITS = [
    "## Limits",
    "",
    "- Detail added by diffusion is plausible, not measured; use `--steps 0` for measurements.",
    "- Expect less gain on imagery whose pixel size, blur or noise differs from the training's.",
]
