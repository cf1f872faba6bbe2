"""Turn the options of a run into a model and the settings with which it upscales."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rs_superres import zoo
from rs_superres.errors import InputError
from rs_superres.image.limits import LOCAL, Limits
from rs_superres.image.radiometry import limits
from rs_superres.options import PixelOptions, check_samples
from rs_superres.raster import Description
from rs_superres.scene.recipe import ModelSettings
from rs_superres.system.devices import resolve_device, resolve_precision


def model_settings(
    options: PixelOptions, source: Description, *, uncertainty: bool = False
) -> ModelSettings:
    """Load the model and resolve the options that it has defaults for.

    Args:
        options: the options of the run.
        source: describes the source.
        uncertainty: whether the expected error is computed too.

    Raises:
        InputError: the device does not exist, the model cannot do what is asked of it, several
            samples of the operator alone, or limits that the dtype does not reach.
        ModelError: the model cannot be used.
    """
    model = zoo.load(options.model) if isinstance(options.model, str) else options.model
    steps = model.config.steps if options.steps is None else options.steps
    if options.texture is not None:
        model = _with_texture(model, options.texture)
        steps = steps if options.texture else 0
    device, sensor = resolve_device(options.device), options.sensor_of(source.sensor)
    check_samples(options.samples, steps)
    if uncertainty and options.samples == 1 and not model.config.predicts_error:
        raise InputError(
            f"uncertainty= with the model {model.name} needs samples=2 or more; samples=8 works "
            "well"
        )
    return ModelSettings(
        model=model,
        steps=steps,
        uncertainty=uncertainty,
        seed=options.seed,
        samples=options.samples,
        ensemble=options.ensemble,
        consistency=options.consistency,
        sensor=None if sensor is None else zoo.sensor(sensor),
        mtf=options.mtf,
        noise=options.noise,
        limits=_limits(options, source.dtype),
        precision=resolve_precision(options.precision, device),
        device=device,
    )


def _with_texture(model: zoo.Model, texture: float) -> zoo.Model:
    """Return a model that draws texture of another strength.

    Raises:
        InputError: the model draws no texture.
    """
    config = model.config
    if config.texture is None:
        raise InputError(
            f"texture={texture:g}, but the model {model.name} draws no texture of a chosen "
            "strength; leave it out"
        )
    return replace(model, config=replace(config, sampler=replace(config.sampler, texture=texture)))


def _limits(options: PixelOptions, dtype: str) -> Limits | None:
    """Return the limits of a result.

    Raises:
        InputError: fewer than two numbers of the dtype lie within the bounds.
    """
    if options.limits == "none":
        return None
    if options.limits == "local":
        return LOCAL
    least, greatest = limits(dtype)
    low, high = max(options.limits[0], least), min(options.limits[1], greatest)
    if np.dtype(dtype).kind != "f":  # rounding to a whole number must not leave the bounds
        low, high = math.ceil(low), math.floor(high)
    if not low < high:
        raise InputError(
            f"limits={options.limits[0]:g},{options.limits[1]:g}, expected bounds with two or more "
            f"numbers of {dtype} ({least:g} to {greatest:g}) between them"
        )
    return Limits((low, high))
