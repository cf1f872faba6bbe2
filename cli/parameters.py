"""The base class of the types of our options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    Parameter = click.ParamType
else:

    class Parameter(click.ParamType):
        """click's type of a parameter, which names what it gives only from click 8.4 on."""

        def __class_getitem__(cls, given: object) -> type[click.ParamType]:
            """Accept ``Parameter[int]`` with older releases too."""
            del given
            return cls
