"""Check a model before others get it."""

from __future__ import annotations

from dataclasses import dataclass

from rs_superres.errors import ModelError
from rs_superres.zoo import models

FILES = {models.CONFIG, "weights.safetensors", "card.md"}
"""The files of a model; configurations of its training (``*.toml``) may lie next to them."""

LICENCE = ("licence", "license")
"""Words of which a card holds one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong with a model."""

    faults: tuple[str, ...] = ()
    """Why others could not use the model, each in one line."""
    advice: tuple[str, ...] = ()
    """What to improve before it is published, each in one line."""


def check(model: str) -> Findings:
    """Check the files of a model as loading does, and what only people read.

    Args:
        model: as for :func:`rs_superres.zoo.find`.

    Raises:
        UnknownModelError: there is no such model.
    """
    path = models.find(model)
    faults, advice = [], []
    try:
        tensors = models.load(model).network.state_dict()
        wrong = sorted(name for name, tensor in tensors.items() if not tensor.isfinite().all())
        if wrong:
            faults.append(f"{path / 'weights.safetensors'}: {wrong[0]} holds NaN or infinity")
    except ModelError as error:
        faults.append(str(error))
    try:
        text = models.card(model)
        if not text.startswith("# "):
            faults.append(f"{path / 'card.md'}: expected a heading, such as # {path.name}, first")
        if not any(word in text.lower() for word in LICENCE):
            advice.append(f"{path / 'card.md'} does not name the licence of the weights")
    except ModelError as error:
        faults.append(str(error))
    others = sorted(
        entry.name
        for entry in path.iterdir()
        if entry.name not in FILES and entry.suffix != ".toml"
    )
    if others:
        advice.append(f"{path} holds files that a model does not need: {', '.join(others)}")
    return Findings(faults=tuple(faults), advice=tuple(advice))
