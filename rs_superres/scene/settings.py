"""Turn the options of a run into a model and the settings with which it upscales."""

from __future__ import annotations

import math

import numpy as np

from rs_superres import zoo
from rs_superres.errors import InputError
from rs_superres.image.limits import LOCAL, Limits
from rs_superres.image.radiometry import limits
from rs_superres.options import PixelOptions, check_samples
from rs_superres.scene.recipe import ModelSettings
from rs_superres.system.devices import resolve_device, resolve_precision


def model_settings(options: PixelOptions, dtype: str) -> ModelSettings:
    """Load the model and resolve the options that it has defaults for.

    Args:
        options: the options of the run.
        dtype: NumPy's name of the result's dtype.

    Raises:
        InputError: the device does not exist, several samples of the operator alone, or limits
            that the dtype does not reach.
        ModelError: the model cannot be used.
    """
    model = zoo.load(options.model) if isinstance(options.model, str) else options.model
    steps = model.config.steps if options.steps is None else options.steps
    device = resolve_device(options.device)
    check_samples(options.samples, steps)
    return ModelSettings(
        model=model,
        steps=steps,
        seed=options.seed,
        samples=options.samples,
        consistency=options.consistency,
        sensor=None if options.sensor is None else zoo.sensor(options.sensor),
        mtf=options.mtf,
        noise=options.noise,
        limits=_limits(options, dtype),
        precision=resolve_precision(options.precision, device),
        device=device,
    )


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
