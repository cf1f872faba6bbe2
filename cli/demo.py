"""``rs-sr demo``: try the tool without data of your own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import messages, options, process, sections
from .progress import shown

METHODS = {"cubic": "cubic interpolation", "prior": "neural operator (--steps 0)"}
"""What the README calls the results of a demonstration. "default" keeps its name."""


@click.command(
    cls=sections.Command,
    examples=[
        "rs-sr demo",
        "rs-sr demo --scene country -o country/",
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
@click.option(
    "--scene",
    type=click.Choice(["town", "country"]),
    default="town",
    show_default=True,
    help="What to draw: a town with pixels of 0.75 m, or countryside with pixels of 10 m.",
)
@options.overwrite
@options.as_json
@options.quiet
@process.own_stderr
def command(out: Path, scene: str, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Draw a georeferenced scene, upscale it 3.5 times, and compare the results with the truth."""
    # Not at the top: the engine imports torch and rasterio, which --help must not wait for.
    with process.heavy_imports():
        from rs_superres import demo

    megapixels = (demo.SCENES[scene].side * demo.SCALE) ** 2 / 1e6
    with shown("upscaled.tif", megapixels=megapixels, quiet=quiet or as_json) as progress:
        report = demo.run_demo(out, scene=scene, overwrite=overwrite, progress=progress)
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
    messages.echo(f"PSNR against the truth at x{report.scale:g} (higher is closer):")
    for name, value in report.psnr.items():
        messages.echo(f"  {METHODS.get(name, name):28} {value:6.2f} dB")
    messages.echo(
        f"scene    {report.scene}",
        f"result   {report.result}",
        f"picture  {report.picture}: source, cubic, operator, default, truth",
    )
