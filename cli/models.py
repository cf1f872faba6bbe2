"""``rs-sr models``: list, show and check models, or import a checkpoint of the paper's release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from rs_superres import zoo
from rs_superres.config import ModelConfig, read_config
from rs_superres.errors import ModelError

from . import messages, options, sections

SHORT = 16
"""Digits of a checksum that people see."""


@click.group(
    cls=sections.Group,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",
    examples=[
        "rs-sr models",
        "rs-sr models show aerial",
        "rs-sr models import neurop-diff.pth -o paper",
    ],
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show and check models, or import a checkpoint. Without a command, list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@command.command("list", examples=["rs-sr models list", "rs-sr models list --json"])
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool = False) -> None:
    """List the models that -m finds by name: in RS_SR_MODELS and in the package."""
    for folder in zoo.search_path():
        if not folder.is_dir():
            messages.warn(f"RS_SR_MODELS names {folder}, which is no folder")
    models, damaged = [], False
    for name in zoo.names():
        try:
            models.append(_facts(name))
        except ModelError as error:
            damaged = True
            messages.warn(f"{name}: {error}")
    if as_json:
        click.echo(json.dumps(models, indent=2))
    else:
        for facts in models:
            messages.echo("  ".join(_columns(facts)))
    if not (models or damaged):
        messages.say("no models are installed; give -m a model folder")
    if damaged:
        raise click.exceptions.Exit(1)


@command.command("show", examples=["rs-sr models show aerial", "rs-sr models show run/ --json"])
@click.argument("name", shell_complete=options.complete_models)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show the card of a model. NAME is a model that is listed, or the path of a model folder."""
    facts = _facts(name)
    card = zoo.card(name)
    if as_json:
        click.echo(json.dumps({**facts, "card": card}, indent=2))
        return
    messages.echo("  ".join(_columns(facts)))
    messages.echo(facts["path"], "", *card.rstrip().splitlines())


@command.command("check", examples=["rs-sr models check aerial", "rs-sr models check run/"])
@click.argument("name", shell_complete=options.complete_models)
def check(name: str) -> None:
    """Check a model before you publish it. NAME is a listed model, or the path of a model folder.

    The exit status is 1 if others could not use the model.
    """
    # Not at the top: it imports torch, which `rs-sr models --help` must not wait for.
    from rs_superres.zoo.publishing import check as find_faults

    findings = find_faults(name)
    for text in findings.advice:
        messages.warn(text)
    for text in findings.faults:
        messages.say(f"error: {text}")
    if findings.faults:
        raise click.exceptions.Exit(1)
    messages.echo("  ".join(_columns(_facts(name))), "PASS: others can use this model")


@command.command(
    "import",
    examples=[
        "rs-sr models import neurop-diff.pth -o paper",
        "rs-sr models import neurop-diff.pth -o paper --weights raw --overwrite",
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The model folder to create.",
)
@click.option(
    "--weights",
    type=click.Choice(["ema", "raw"]),
    default="ema",
    show_default=True,
    help="Take the averaged weights (ema), or those of the last training step (raw).",
)
@click.option(
    "--norm-groups",
    metavar="N",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Groups of the U-Net's normalisation, which the file does not hold.",
)
@click.option("--overwrite", is_flag=True, help="Replace DIR if it is a model folder.")
def import_model(
    file: Path, out: Path, weights: Literal["ema", "raw"], norm_groups: int, overwrite: bool
) -> None:
    """Turn FILE, a public NeurOp-Diff checkpoint (.pth), into a model folder.

    No code in FILE is executed.
    """
    # Not at the top: it imports torch, which `rs-sr models --help` must not wait for.
    from rs_superres.zoo.checkpoint import import_checkpoint

    import_checkpoint(file, out, weights=weights, norm_groups=norm_groups, overwrite=overwrite)
    messages.echo(f"{out}: {_sizes(read_config(out / 'config.toml'))}")


def _facts(name: str) -> dict[str, Any]:
    """Return a model's facts as plain values by name, without loading its weights."""
    path = zoo.find(name)
    config = read_config(path / "config.toml")
    return {
        "name": zoo.name_of(path),
        "path": str(path),
        "shipped": zoo.is_shipped(path),
        "default": name == zoo.DEFAULT,
        "kind": config.kind,
        "sizes": _sizes(config),
        "scales": config.trained.scales,
        "pixel_size": config.trained.pixel_size,
        "degradation": config.trained.degradation,
        "steps": config.sampler.steps,
        "checksum": zoo.checksum(name),
    }


def _columns(facts: dict[str, Any]) -> list[str]:
    """Return the columns of a model's line."""
    low, high = facts["scales"]
    columns = [
        f"{facts['name']}{' (default)' if facts['default'] else ''}",
        facts["sizes"],
        f"scales {low:g} to {high:g}",
        f"{facts['steps']} steps",
    ]
    if facts["pixel_size"]:
        columns.append("trained on pixels of {:.3g} to {:.3g} m".format(*facts["pixel_size"]))
    columns.append(f"sha256 {facts['checksum'][:SHORT]}")
    return columns if facts["shipped"] else [*columns, f"in {Path(facts['path']).parent}"]


def _sizes(config: ModelConfig) -> str:
    """Describe the sizes of a network in a few words."""
    drawn = "texture" if config.kind == "scene" else "denoiser"
    detail = "prior alone" if config.is_prior_alone else f"prior and {drawn}"
    encoder, operator = config.encoder, config.operator
    return (
        f"{config.kind} model, {detail}, {encoder.name} {encoder.channels} x {encoder.blocks}, "
        f"operator {operator.width}"
    )
