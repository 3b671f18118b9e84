"""Options of pictures: how heat is finished, how it looks, and what of a volume is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import click

from onnxcam.files import GRID
from onnxcam.finish import NORMALIZATIONS, Finish
from onnxcam.interpolation import KERNELS
from onnxcam.overlay import LAYOUTS, STYLES, Look, View


class _SliceNumber(click.ParamType):
    """A whole number or "middle"."""

    name = "slice"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == "middle" or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"'{value}' is neither a slice's number nor 'middle'", param, ctx)


_OPTIONS = (
    click.option(
        "--style",
        metavar="NAME",
        help=f"{', '.join(STYLES)}; or {GRID}: all maps of a picture side by side in one, "
        f"{GRID}:NAME in another style.  [default: blend]",
    ),
    click.option("--colormap", help="OpenCV's or matplotlib's name.  [default: the style's]"),
    click.option("--alpha", type=float, help="Weight of the heat.  [default: the style's]"),
    click.option("--beta", type=float, help="Weight of the picture.  [default: the style's]"),
    click.option("--gamma", type=float, help="Power of the heat; below 1 shows weak heat."),
    click.option("--threshold", type=float, help="Heat below it is not drawn."),
    click.option("--enlarge", type=int, help="How often as wide and high the picture is."),
    click.option(
        "--normalize",
        "normalization",
        type=click.Choice(list(NORMALIZATIONS)),
        help="How a map becomes a heatmap.  [default: min-max]",
    ),
    click.option(
        "--interpolate",
        "interpolation",
        type=click.Choice(KERNELS),
        help="How a heatmap is enlarged.  [default: linear]",
    ),
    click.option("--base", help="Colormap of grey slices of volumes.  [default: gray]"),
    click.option("--view", "layout", type=click.Choice(LAYOUTS), help="What of a volume is shown."),
    click.option("--axis", type=int, help="Axis that slices lie across: 0, 1 or 2."),
    click.option(
        "--slice", "index", type=_SliceNumber(), help="Its number, or middle.  [default: hottest]"
    ),
    click.option("--rotate", type=int, help="Quarter turns of slices, counter-clockwise."),
    click.option("--slices", "count", type=int, help="How many a montage has.  [default: 9]"),
    click.option("--window", type=(float, float), help="A volume's values drawn black and white."),
)


def drawing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, each handed to the command by the name of the field that it sets."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def drawn(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`finish`, `look` and `view` for an `Explainer`: the usual ones but for what was given."""
    made: dict[str, Any] = {"finish": Finish(), "look": Look(), "view": View()} | {
        name: value for name, value in usual.items() if name in ("finish", "look", "view")
    }
    for name, value in made.items():
        own = {one.name for one in fields(value)}
        wanted = {key: v for key, v in given.items() if key in own and v is not None}
        made[name] = replace(value, **wanted)
    return made
