"""``rs-sr demo``: try the tool without data of your own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import messages, options, process, sections
from .progress import shown


@click.command(
    cls=sections.Command,
    examples=[
        "rs-sr demo",
        "rs-sr demo -o town/ --overwrite",
    ],
)
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
@process.own_stderr
def command(out: Path, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Draw a georeferenced town, upscale it 3.5 times, and compare the results with the truth."""
    # Not at the top: the engine imports torch and rasterio, which --help must not wait for.
    with process.heavy_imports():
        from rs_superres import demo

    megapixels = (demo.SIDE * demo.SCALE) ** 2 / 1e6
    with shown("upscaled.tif", megapixels=megapixels, quiet=quiet or as_json) as progress:
        report = demo.run_demo(out, overwrite=overwrite, progress=progress)
    if as_json:
        facts = {
            "scene": str(report.scene),
            "result": str(report.result),
            "picture": str(report.picture),
            "scale": report.scale,
            "psnr": report.psnr,
        }
        click.echo(json.dumps(facts, indent=2))
        return
    messages.echo(f"PSNR against the truth at x{report.scale:g}:")
    for name, value in report.psnr.items():
        messages.echo(f"  {name:8} {value:6.2f} dB")
    messages.echo(
        f"scene    {report.scene}", f"result   {report.result}", f"picture  {report.picture}"
    )
