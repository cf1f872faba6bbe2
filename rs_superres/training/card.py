"""The card of a trained model: what it was made from, what it scored, what it will not do."""

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
    """What was done, for the card."""

    name: str
    config: TrainConfig
    start: str | None
    """The model that the run started from."""
    training: Sequence[TrainingScene]
    validation: Sequence[TrainingScene]
    held_out: bool
    """Whether the validation scenes were held out of the data by place."""
    steps: tuple[int, int]
    """Iterations of the prior's phase, and of the denoiser's."""
    scores: Sequence[Score]
    windows: int
    """Validation windows that were scored."""


def card(made: CardFacts, network: SceneNetwork) -> str:
    """The text of ``card.md``."""
    config = made.config
    sizes = pixel_sizes(made.training, config.scales)
    placed = sum(s.pixel_size is not None for s in made.training)
    ground = (
        "unknown, no training scene is on a map"
        if sizes is None
        else f"{sizes[0]:.3g} to {sizes[1]:.3g} m ({placed} of {len(made.training)} scenes say)"
    )
    encoder, operator = config.encoder, config.operator
    lines = [
        f"# {made.name}",
        "",
        "A model that `rs-sr train` made; `train.toml` beside this card is the configuration.",
        "",
        (
            f"- **Prior**: encoder {encoder.name} of {encoder.blocks} blocks of {encoder.channels} "
            f"channels, Galerkin operator of width {operator.width} with {operator.heads} heads, "
            f"{_millions(network.prior)}; {made.steps[0]} iterations."
        ),
        _denoiser_line(made, network),
        f"- **Started from**: {made.start or 'random weights'}. **Seed**: {config.seed}.",
        f"- **Trained on**: {_scenes(made.training)}",
        (
            f"- **Validated on**: {_scenes(made.validation)} "
            + ("Held out by place." if made.held_out else "Named by whoever trained.")
        ),
        f"- **Value range**: {_ranges(made.training)}",
        f"- **Scales**: {config.scales[0]:g} to {config.scales[1]:g}.",
        f"- **Pixel size of the low-resolution images in training**: {ground}.",
        f"- **Degradation**: {config.degradation.words()}, rounded to the dtype.",
        "- **Licence**: that of the data allows; state it here before you pass the model on.",
        "",
        "## Scores",
        "",
    ]
    return "\n".join(lines + _score_lines(made) + _LIMITS) + "\n"


def _denoiser_line(made: CardFacts, network: SceneNetwork) -> str:
    """What the card says of the denoiser."""
    if network.denoiser is None or made.config.denoiser is None:
        return "- **Denoiser**: none; no detail can be drawn."
    levels = " / ".join(
        str(m * made.config.denoiser.channels) for m in made.config.denoiser.multipliers
    )
    return (
        f"- **Denoiser**: local U-Net of {levels} channels, {_millions(network.denoiser)}; "
        f"{made.steps[1]} iterations."
    )


def _millions(module: nn.Module) -> str:
    """The number of parameters in words."""
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M parameters"


def _scenes(scenes: Sequence[TrainingScene]) -> str:
    """Scenes by the folders that they stand in, with their number and size."""
    folders = Counter(s.path.parent.name for s in scenes)
    total = sum(s.area.height * s.area.width for s in scenes) / 1e6
    named = ", ".join(f"{name} ({count})" for name, count in folders.most_common(8))
    return f"{len(scenes)} rasters of {total:.1f} megapixels: {named or 'none'}."


def _ranges(scenes: Sequence[TrainingScene]) -> str:
    """How digital numbers become network values."""
    kinds = Counter(s.dtype for s in scenes)
    words = [
        f"{dtype} ({count} scenes) "
        + ("0 to 255 on [-1, 1]" if dtype == "uint8" else "by percentiles of each scene")
        for dtype, count in kinds.most_common()
    ]
    return "; ".join(words) + "."


def _score_lines(made: CardFacts) -> list[str]:
    """The table of scores."""
    if not made.scores:
        return ["Not measured: there was no validation window.", ""]
    lines = [
        (
            f"PSNR in dB, mean over {made.windows} windows of the validation scenes (peak: the "
            "width of the value range; the default at x4 alone), low resolution by antialiased "
            "bicubic:"
        ),
        "",
        "| scale | bicubic | prior (`--steps 0`) | gain | default |",
        "|---|---|---|---|---|",
    ]
    for s in made.scores:
        default = "-" if s.default is None else f"{s.default:.2f}"
        lines.append(
            f"| {s.scale:g} | {s.bicubic:.2f} | {s.prior:.2f} | {s.prior - s.bicubic:+.2f} "
            f"| {default} |"
        )
    return [*lines, ""]


_LIMITS = [
    "## Limits",
    "",
    "- Detail drawn by the steps is plausible, not measured; use `--steps 0` to measure.",
    "- Imagery whose pixel size, blur or noise is far from the training's gains less.",
]
