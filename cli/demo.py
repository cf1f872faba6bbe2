"""``rs-sr demo``: see the tool at work without data of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import options
from .process import loading
from .progress import shown


@click.command()
@click.option(
    "-o",
    "--out",
    type=options.FILE,
    default=Path("rs-sr-demo"),
    show_default=True,
    help="Folder for the scene, the results and the picture.",
)
@options.overwrite
@options.as_json
@options.quiet
def command(out: Path, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Draw a georeferenced town, upscale it 3.5 times, and compare with the truth."""
    # Not at the top: the engine needs torch and rasterio, which --help must not wait for.
    with loading():
        from rs_superres import demo

    megapixels = (demo.SIDE * demo.SCALE) ** 2 / 1e6
    with shown("upscaled.tif", megapixels=megapixels, quiet=quiet or as_json) as progress:
        outcome = demo.run_demo(out, overwrite=overwrite, progress=progress)
    if as_json:
        told = {
            "scene": str(outcome.scene),
            "result": str(outcome.result),
            "picture": str(outcome.picture),
            "scale": outcome.scale,
            "psnr": outcome.psnr,
        }
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"PSNR against the truth at x{outcome.scale:g}:")
    for name, value in outcome.psnr.items():
        click.echo(f"  {name:8} {value:6.2f} dB")
    click.echo(f"scene    {outcome.scene}\nresult   {outcome.result}\npicture  {outcome.picture}")
