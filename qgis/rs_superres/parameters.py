"""The parameters that Upscale and Batch share, as options of rs-sr."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from . import command
from .algorithm import Values

AUTOMATIC = "automatic"
"""The choice of an enumeration that gives rs-sr no option."""

MODES = (
    "For looking: the model's texture",
    "For measuring: no texture (--steps 0)",
)
"""How much texture is drawn, in the order of the parameter's values."""

TEXTS = {
    "SENSOR": "--sensor",
    "BANDS": "--bands",
    "RGB": "--rgb",
    "MODEL": "--model",
    "DEVICE": "--device",
    "MEMORY": "--memory",
    "FORMAT": "--format",
}
"""Parameters that rs-sr gets as they are, with their flags."""


def target(
    size: QgsProcessingParameterDefinition, others: str
) -> list[QgsProcessingParameterDefinition]:
    """Return the parameters that say how fine the result is, and how it is made.

    Args:
        size: The parameter RESOLUTION, whose unit depends on the algorithm.
        others: What takes the place of the scale factor, in words.
    """
    return [
        QgsProcessingParameterNumber(
            "SCALE",
            f"Scale factor, unless you set {others}",
            QgsProcessingParameterNumber.Double,
            2.0,
            optional=True,
            minValue=1.0,
        ),
        size,
        QgsProcessingParameterEnum("MODE", "Mode", list(MODES), defaultValue=0),
        QgsProcessingParameterNumber(
            "TEXTURE",
            "Strength of the texture, 0 to 1",
            QgsProcessingParameterNumber.Double,
            None,
            optional=True,
            minValue=0.0,
            maxValue=1.0,
        ),
        choice("SENSOR", "Sensor, which sets the blur", [AUTOMATIC, "none", *command.SENSORS]),
    ]


def machine() -> list[QgsProcessingParameterDefinition]:
    """Return the advanced parameters that the two algorithms share."""
    return advanced(
        [
            text("RGB", "Bands to sharpen together, as red, green and blue (--rgb, as in 4,3,2)"),
            text("MODEL", "Model: a name, or a model folder"),
            choice("DEVICE", "Device", ["auto", "cpu", "cuda", "mps"]),
            text("MEMORY", "Memory limit (as in 4GB)"),
            choice("FORMAT", "Format", ["cog", "gtiff"]),
            QgsProcessingParameterBoolean(
                "OVERWRITE", "Replace existing results (--overwrite)", False
            ),
            text("EXTRA", "More options of rs-sr (as in --seed 1 --noise 2)"),
        ]
    )


def text(name: str, title: str) -> QgsProcessingParameterString:
    """Return an optional parameter for a text."""
    return QgsProcessingParameterString(name, title, "", multiLine=False, optional=True)


def choice(name: str, title: str, choices: list[str]) -> QgsProcessingParameterEnum:
    """Return a parameter for one of several words, the first by default."""
    return QgsProcessingParameterEnum(
        name, title, choices, allowMultiple=False, defaultValue=choices[0], usesStaticStrings=True
    )


def advanced(
    parameters: list[QgsProcessingParameterDefinition],
) -> list[QgsProcessingParameterDefinition]:
    """Return parameters that the dialog hides at first."""
    for parameter in parameters:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return parameters


def options(
    algorithm: QgsProcessingAlgorithm,
    parameters: Values,
    context: QgsProcessingContext,
    *,
    like: str = "",
    temporary: bool = False,
    switches: dict[str, bool] | None = None,
) -> command.Options:
    """Return the options of rs-sr that the parameters' values stand for.

    Args:
        algorithm: The algorithm, which knows the parameters.
        parameters: The values.
        context: Where the values are evaluated.
        like: The raster whose grid the result gets.
        temporary: Whether the result is a temporary file, which may be replaced.
        switches: Further flags without a value.
    """

    def real(name: str) -> float | None:
        given = parameters.get(name, algorithm.parameterDefinition(name).defaultValue())
        missing = given is None or given == ""
        return None if missing else algorithm.parameterAsDouble(parameters, name, context)

    def word(name: str) -> str:
        definition = algorithm.parameterDefinition(name)
        if definition is None:
            return ""
        if isinstance(definition, QgsProcessingParameterEnum):
            value = str(algorithm.parameterAsEnumString(parameters, name, context))
            return "" if value in (AUTOMATIC, definition.defaultValue()) else value
        if isinstance(definition, QgsProcessingParameterBand):
            return ",".join(map(str, algorithm.parameterAsInts(parameters, name, context)))
        return str(algorithm.parameterAsString(parameters, name, context))

    overwrite = temporary or algorithm.parameterAsBoolean(parameters, "OVERWRITE", context)
    return command.Options(
        scale=real("SCALE"),
        resolution=real("RESOLUTION"),
        like=like,
        measure=algorithm.parameterAsEnum(parameters, "MODE", context) == 1,
        texture=real("TEXTURE"),
        texts={flag: word(name) for name, flag in TEXTS.items()},
        switches={"--overwrite": overwrite, **(switches or {})},
        more=algorithm.parameterAsString(parameters, "EXTRA", context),
    )
